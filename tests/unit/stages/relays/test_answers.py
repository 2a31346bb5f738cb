from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.relays import answers
from pressplay.stages.relays.answers import Stream, Whole
from pressplay.stages.relays.prices import Usage

PROMPT = Usage(write_5m=77)


def events(*found: dict[str, Any], end: str = "\n") -> bytes:
    return "".join(
        f"event: {each['type']}{end}data: {json.dumps(each)}{end}{end}" for each in found
    ).encode()


START = {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}
DELTA = {"type": "content_block_delta", "delta": {"text": "x" * 90}}
END = {"type": "message_delta", "usage": {"output_tokens": 40}}


@given(st.sets(st.integers(0, 500), max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_a_stream_counts_the_same_however_it_is_cut(cuts: set[int], end: str) -> None:
    whole = events(START, {"type": "ping"}, DELTA, END, {"type": "message_stop"}, end=end)
    stream = Stream()
    for one, two in itertools.pairwise([0, *sorted(cuts), len(whole)]):
        stream.feed(whole[one:two])
    assert stream.usage(prompt=PROMPT) == Usage(input=9, output=40)


def test_the_last_word_of_a_stream_counts() -> None:
    stream = Stream()
    later = {"type": "message_delta", "usage": {"output_tokens": 50, "cache_read_input_tokens": 5}}
    stream.feed(events(START, END, later))
    assert stream.usage(prompt=PROMPT) == Usage(input=9, output=50, read=5)


def test_a_stream_without_a_beginning_costs_the_prompt() -> None:
    assert Stream().usage(prompt=PROMPT) == PROMPT


def test_a_stream_without_an_end_costs_what_came() -> None:
    stream = Stream()
    stream.feed(events(START, DELTA, DELTA))
    found = stream.usage(prompt=PROMPT)
    assert found.input == 9
    assert found.output >= 60


def test_a_line_without_an_end_is_not_kept() -> None:
    stream = Stream()
    for _ in range(40):
        stream.feed(b"data: " + b"x" * 100_000)
    stream.feed(b"\n" + events(START, END))
    assert stream.usage(prompt=PROMPT).input == 9


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_are_counted_without_a_fault(chunks: list[bytes]) -> None:
    stream, whole = Stream(), Whole()
    for each in chunks:
        stream.feed(b"data:" + each + b"\n")
        whole.feed(each)
    assert stream.usage(prompt=PROMPT).total >= 0
    assert whole.usage(prompt=PROMPT).total >= 0


def test_a_whole_answer_tells_its_usage() -> None:
    whole = Whole()
    for each in (b'{"usage": {"input_tokens": 3, ', b'"output_tokens": 4}}'):
        whole.feed(each)
    assert whole.usage(prompt=PROMPT) == Usage(input=3, output=4)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"usage": 3}', b"x" * 300])
def test_a_whole_answer_that_does_not_tell_costs_the_prompt_and_its_size(body: bytes) -> None:
    whole = Whole()
    whole.feed(body)
    assert whole.usage(prompt=PROMPT) == Usage(write_5m=77, output=len(body) // 3)


def test_usage_is_read_by_price() -> None:
    assert answers.usage_of(
        {
            "input_tokens": 1,
            "output_tokens": 2,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_1h_input_tokens": 10, "ephemeral_5m_input_tokens": 20},
            "cache_read_input_tokens": 4,
        }
    ) == Usage(input=1, output=2, write_5m=20, write_1h=10, read=4)


@given(
    st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "cache_creation"]),
        st.none()
        | st.integers()
        | st.text()
        | st.booleans()
        | st.dictionaries(st.text(), st.text()),
    )
)
def test_no_usage_is_below_zero(counts: dict[str, Any]) -> None:
    assert min(vars(answers.usage_of(counts)).values()) >= 0
