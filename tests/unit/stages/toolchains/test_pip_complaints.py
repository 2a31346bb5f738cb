"""Pip's words for a failure, and ours."""

from __future__ import annotations

import pytest

from pressplay.base.errors import PressplayError, Refused, Unavailable
from pressplay.stages.toolchains import pip_complaints

RETRY = (
    "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by "
    "'NewConnectionError(': Failed to establish a new connection')': /simple/attrs/\n"
)
FORBIDDEN = (
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'ProxyError('Cannot connect to "
    "proxy.', OSError('Tunnel connection failed: 403 Forbidden'))': /simple/attrs/\n"
)
NOT_FOUND = (
    "ERROR: Could not find a version that satisfies the requirement attrs>=99 (from versions: "
    "none)\nERROR: No matching distribution found for attrs>=99\n"
)


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (RETRY + NOT_FOUND, Unavailable, ["could not fetch attrs>=99", "PRESSPLAY_REGISTRIES"]),
        (RETRY, Unavailable, ["could not fetch attrs:"]),
        (FORBIDDEN + NOT_FOUND, Refused, ["attrs>=99", "allowed", "PRESSPLAY_REGISTRIES"]),
        (NOT_FOUND, Refused, ["no registry has attrs>=99 for this Python"]),
        (
            "ERROR: Package 'a' requires a different Python: 3.11.7 not in '>=3.13'\n",
            Refused,
            ["requires a different Python: 3.11.7"],
        ),
        (
            "ERROR: Cannot install a and b==1 because these package versions have conflicting "
            "dependencies.\n",
            Refused,
            ["Cannot install a and b==1"],
        ),
        ("error: gcc not found\nERROR: Failed building wheel for x\n", Refused, ["wheel for x"]),
        ("", Refused, ["gave no reason"]),
    ],
)
def test_a_failure_says_what_was_wanted_and_what_to_do(
    said: str, kind: type[PressplayError], words: list[str]
) -> None:
    error = pip_complaints.failure(said)
    assert type(error) is kind
    for word in words:
        assert word in str(error)


def test_only_the_network_is_raised_for_a_project_that_does_not_build() -> None:
    pip_complaints.raise_if_outside(NOT_FOUND)
    with pytest.raises(Unavailable):
        pip_complaints.raise_if_outside(RETRY)
