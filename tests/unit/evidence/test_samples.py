"""Samples keep every digit that the verdict rests on."""

from __future__ import annotations

from typing import Any

import pytest

from pressplay.base.errors import Refused
from pressplay.evidence import samples


def test_samples_are_read_back_as_they_were_written(pair: Any) -> None:
    taken = pair.taken()
    assert samples.read(samples.write(taken).encode()) == tuple(taken)


def test_a_line_separator_inside_a_text_is_no_line_break(scene: Any) -> None:
    odd = scene.sample(next(iter(scene.judge([]).plan.targets)), look=1, n=1, answer=(0, 1.0))
    odd = type(odd)(**(vars(odd) | {"error": "a\u2028b\x85c"}))
    assert samples.read(samples.write([odd]).encode()) == (odd,)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{}", "line 2: sample: "),
        (b"not json", "line 2 is not plain JSON"),
        (b"\xff", "line 2 is not plain JSON"),
        (b"[1]", "line 2: sample: "),
    ],
)
def test_a_bad_line_is_named(scene: Any, line: bytes, complaint: str) -> None:
    data = samples.write(scene.taken()[:1]).encode() + line + b"\n"
    with pytest.raises(Refused, match=complaint):
        samples.read(data)


@pytest.mark.parametrize(
    ("key", "value"), [("latency_ms", -1), ("look", 0), ("n", 0), ("ok", 1), ("more", 1)]
)
def test_a_sample_of_another_shape_is_refused(scene: Any, key: str, value: object) -> None:
    line = vars(scene.taken()[0]) | {key: value}
    with pytest.raises(Refused, match="line 1"):
        samples.read(str(line).replace("'", '"').replace("True", "true").encode())
