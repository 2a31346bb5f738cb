from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.cluster import selectors

LABELS = {"a": "1", "b": "", "pressplay.dev/pr": "7"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("a=1", True),
        ("a==1", True),
        ("a=2", False),
        ("b=", True),
        ("c=", False),
        ("a!=1", False),
        ("a!=2", True),
        ("c!=1", True),
        ("a", True),
        ("c", False),
        ("!c", True),
        ("!a", False),
        ("a in (1,2)", True),
        ("a in (2, 3)", False),
        ("c in (1)", False),
        ("a notin (1,2)", False),
        ("a notin (2)", True),
        ("c notin (1)", True),
        ("b in (,x)", True),
        ("pressplay.dev/pr=7,a in (1,2), !c", True),
        ("pressplay.dev/pr=7,a in (3,2),!c", False),
        (" a = 1 ", True),
    ],
)
def test_selector_selects_as_kubernetes_does(text: str, *, expected: bool) -> None:
    assert selectors.matches(selectors.parse(text), LABELS) is expected


@pytest.mark.parametrize(
    "text",
    [
        "=",
        "a=b=c",
        "a in 1",
        "a in (",
        "a,,b",
        ",",
        "a b",
        "a=-",
        "a in (b c)",
        "-a",
        "a>1",
        "!",
        "a=b)",
    ],
)
def test_unreadable_selector_is_refused_with_help(text: str) -> None:
    with pytest.raises(Refused, match="Label selector"):
        selectors.parse(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selector = selectors.parse(text)
    except Refused:
        return
    assert selectors.matches(selector, {}) in (True, False)


_WORD = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)


@given(key=_WORD, values=st.sets(_WORD, min_size=1, max_size=4), value=_WORD)
def test_notin_is_the_opposite_of_in(key: str, values: set[str], value: str) -> None:
    inside = ",".join(sorted(values))
    labels = {key: value}
    chosen = selectors.matches(selectors.parse(f"{key} in ({inside})"), labels)
    left = selectors.matches(selectors.parse(f"{key} notin ({inside})"), labels)
    assert chosen is (value in values)
    assert chosen is not left
