"""Foreign text on a terminal: one line, no secrets, nothing that the terminal would obey.

What an agent prints may hold escape sequences that recolour, retitle, or rewrite what stands above,
and characters that turn the reading direction round.
"""

from __future__ import annotations

import re
import unicodedata

from pressplay.base import redaction

LONGEST = 400
"""Characters that are kept: more than any terminal is wide, few enough for marks that pile up."""

LONGEST_TEXT = 1000
"""Characters of a text of several lines: a step's reason has no more."""

_READ = 16 * 1024
"""Characters that are looked at: the end of a line that never ends."""

# ECMA-48: control sequences, strings up to their terminator, and two-character escapes.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
# A line of a key in PEM, away from the line that says so (RFC 7468).
_KEY_LINE = re.compile(r"[A-Za-z0-9+/]{60,}={0,2}")


def one_line(text: str, *, longest: int = LONGEST) -> str:
    """The last line of `text` that says something, fit to be shown; "" if none does."""
    if len(text) > _READ:
        # The word at the cut goes too: without its beginning a token has no known shape.
        text = text[-_READ:].partition(" ")[2]
    for line in reversed(re.split(r"[\r\n]+", _ESCAPES.sub("", text))):
        shown = " ".join(_visible(line).split())
        if shown:
            hidden = redaction.STARS if _KEY_LINE.fullmatch(shown) else redaction.redact(shown)
            return hidden[:longest]
    return ""


def harmless(line: str) -> str:
    """A whole line, however long, without what a terminal would obey and without secrets."""
    return redaction.redact(_visible(_ESCAPES.sub("", line)))


def all_in_one(text: str) -> str:
    """Every line of `text` in one, fit to be shown."""
    return one_line(re.sub(r"[\r\n]+", " ", text[:_READ]), longest=LONGEST_TEXT)


def last_line(data: bytes) -> str:
    """As `one_line`, for bytes of a log that may begin and end anywhere."""
    return one_line(data.decode("utf-8", errors="replace"))


def _visible(line: str) -> str:
    """The characters that are seen; a tab and every other white space becomes a blank."""
    kept = (" " if each.isspace() else each for each in line)
    return "".join(each for each in kept if unicodedata.category(each) not in _UNSEEN)
