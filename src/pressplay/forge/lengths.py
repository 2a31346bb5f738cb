"""How long a text may be before GitHub refuses the whole call, and how ours are made to fit.

Sources: GitHub's REST description ("Maximum length: 65535 characters" of a check run's summary)
and its answer to longer comments ("body is too long (maximum is 65536 characters)"). Counted in
bytes of UTF-8, which is never less than whatever the forge counts.
"""

from __future__ import annotations

BODY = 65_536
"""Comments, reviews and descriptions of pull requests."""

SUMMARY = 65_535
"""A check run's summary."""

TITLE = 256
"""A pull request's title; a check run's is held to the same."""

_NOTE = "\n\n… {left_out} bytes are left out here: the forge takes no longer text …\n\n"
_TAIL = 2_000


def fit(text: str, *, most: int = BODY) -> str:
    """`text` in at most `most` bytes; of a longer one its middle is left out, with a note.

    The beginning and the end stay, because the marks by which we find our own texts again stand
    there. Half a surrogate pair, which no forge could store, becomes a question mark.
    """
    data = text.encode(errors="replace")
    if len(data) <= most:
        return data.decode()
    note = _NOTE.format(left_out=len(data))
    tail = min(_TAIL, most // 4)
    head = most - tail - len(note.encode())
    if head <= 0:
        return _cut(data, most=most)
    start = data[:head].decode(errors="ignore")
    end = data[-tail:].decode(errors="ignore")
    left_out = len(data) - len(start.encode()) - len(end.encode())
    return f"{start}{_NOTE.format(left_out=left_out)}{end}"


def fit_line(text: str, *, most: int = TITLE) -> str:
    """A title in one line of at most `most` bytes."""
    data = " ".join(text.split()).encode(errors="replace")
    return data.decode() if len(data) <= most else _cut(data, most=most)


def _cut(data: bytes, *, most: int) -> str:
    return data[: most - len("…".encode())].decode(errors="ignore") + "…"
