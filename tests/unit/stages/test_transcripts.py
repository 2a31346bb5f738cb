"""What is kept of a program's output, and what never is."""

from hypothesis import given
from hypothesis import strategies as st

from pressplay.base import redaction
from pressplay.stages import transcripts
from pressplay.stages.transcripts import Transcript

TOKEN = "ghs_" + "A1b2" * 9


def make() -> tuple[Transcript, list[str]]:
    written: list[str] = []
    return Transcript(redact=redaction.redact, write=written.append), written


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_short_output_is_kept_whole_however_it_arrives(chunks: list[bytes]) -> None:
    transcript, written = make()
    for chunk in chunks:
        transcript.feed(chunk)
    whole = b"".join(chunks).decode(errors="replace")
    expected = [line.rstrip("\r") for line in whole.split("\n")]
    if not expected[-1]:
        expected.pop()
    text = transcript.text()
    assert text == "".join(written)
    assert len(text.split("\n")) - 1 == whole.count("\n") + (
        not whole.endswith("\n") and whole != ""
    )


@given(st.integers(min_value=0, max_value=len(TOKEN)))
def test_a_token_cut_in_two_pieces_is_still_hidden(cut: int) -> None:
    transcript, written = make()
    transcript.feed(f"before {TOKEN[:cut]}".encode())
    transcript.feed(f"{TOKEN[cut:]} after\n".encode())
    assert transcript.text() == "before *** after\n"
    assert TOKEN not in "".join(written)


def test_a_private_key_over_several_lines_is_hidden() -> None:
    transcript, written = make()
    transcript.feed(b"a\n-----BEGIN PRIVATE KEY-----\nMIIE\nabcd\n-----END PRIVATE KEY-----\nb\n")
    assert transcript.text() == "a\n***\nb\n"
    assert "MIIE" not in "".join(written)


def test_a_key_that_never_ends_does_not_swallow_everything() -> None:
    transcript, _ = make()
    transcript.say("-----BEGIN PRIVATE KEY-----")
    for number in range(transcripts.KEY_LINES + 5):
        transcript.say(f"line {number}")
    assert f"line {transcripts.KEY_LINES + 4}" in transcript.text()


def test_of_long_output_beginning_and_end_are_kept() -> None:
    transcript, written = make()
    for number in range(200_000):
        transcript.say(f"line {number} {'x' * 30}")
    text = transcript.text()
    assert text.startswith("line 0 ")
    assert text.rstrip().endswith("line 199999 " + "x" * 30)
    assert "lines left out" in text
    assert len(text) <= 2 * transcripts.KEPT + 200
    assert sum(map(len, written)) <= transcripts.PASSED_ON + 200


def test_a_line_without_an_end_is_cut_into_pieces() -> None:
    transcript, _ = make()
    transcript.feed(b"x" * (transcripts.LINE * 3 + 1))
    assert max(map(len, transcript.text().split("\n"))) <= transcripts.LINE


def test_the_last_line_is_the_last_that_says_something() -> None:
    transcript, _ = make()
    transcript.feed(b"one\ntwo\n\n  \n")
    assert transcript.last_line() == "two"
    assert make()[0].last_line() == ""
