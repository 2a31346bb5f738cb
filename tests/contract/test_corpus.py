"""The embedded engine against what real Argo answered, case by case (docs/argo-compatibility.md).

The answers are recorded from a live cluster by `make live`. A case that the engine does not pass
yet stands in tests/corpus/differing.yaml with what is missing, and has to differ: so the number on
the page is true in both directions.
"""

from __future__ import annotations

from collections.abc import Iterator

import differ
import pytest
from differential import cases, recordings, reporting
from differential.cases import Case
from differential.embedded import Embedded

CASES = list(cases.load_all())
DIFFERING = recordings.differing()


@pytest.fixture(scope="module")
def engine() -> Iterator[Embedded]:
    """One server for all cases of a worker."""
    with Embedded.running() as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_engine_answers_as_argo_did(engine: Embedded, case: Case) -> None:
    found = differ.differences(engine, case)
    if case.name in DIFFERING:
        assert found, f"{case.name} agrees now: take it out of {recordings.DIFFERING.name}"
    else:
        assert not found, "\n".join(found)


def test_the_corpus_is_as_large_as_it_says_and_every_case_has_an_answer() -> None:
    assert len(CASES) >= 80
    assert {case.name for case in CASES} >= set(DIFFERING)
    assert all(recordings.read(case)["phase"] for case in CASES)


def test_the_page_says_what_agrees() -> None:
    assert reporting.PAGE.read_text() == reporting.page(), "run tools/differ.py --report"
