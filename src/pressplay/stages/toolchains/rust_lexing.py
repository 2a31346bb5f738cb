"""Cuts Rust source into tokens: just enough to tell code from comments, strings and lifetimes.

By "The Rust Reference", chapter "Lexical structure". No token is lost: their texts, one after the
other, are the source again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a token is."""

    SPACE = "space"
    COMMENT = "comment"
    STRING = "string"
    CHARACTER = "character"
    LIFETIME = "lifetime"
    NUMBER = "number"
    WORD = "word"
    SIGN = "sign"


@dataclass(frozen=True)
class Token:
    """A piece of the source; `line` is the one, from 1, on which it begins."""

    kind: Kind
    text: str
    line: int

    @property
    def is_code(self) -> bool:
        """Whether the compiler sees it."""
        return self.kind not in (Kind.SPACE, Kind.COMMENT)

    @property
    def last_line(self) -> int:
        return self.line + self.text.count("\n")


_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = frozenset(_OPENING.values())

_RAW = re.compile(r'(?:br|cr|r)(#*)"')
_COMMENT_MARK = re.compile(r"/\*|\*/")

# In this order: what begins alike stands with the longer one first.
_RULES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (Kind.SPACE, re.compile(r"\s+")),
    (Kind.COMMENT, re.compile(r"//[^\n]*")),
    (Kind.STRING, re.compile(r'(?:b|c)?"(?:[^"\\]|\\.)*"', re.DOTALL)),
    (
        Kind.CHARACTER,
        re.compile(r"b?'(?:\\(?:x[0-7a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^'\\\n\t\r])'"),
    ),
    (Kind.LIFETIME, re.compile(r"'(?:r#)?[^\W\d]\w*")),
    (
        Kind.NUMBER,
        re.compile(
            r"0[xob][0-9a-fA-F_]+(?:[ui](?:8|16|32|64|128|size))?|"
            r"\d[\d_]*(?:\.(?![.\w])|(?:\.\d[\d_]*)?(?:[eE][+-]?[\d_]*\d[\d_]*)?(?:[a-z]\w*)?)"
        ),
    ),
    (Kind.WORD, re.compile(r"(?:r#)?[^\W\d]\w*")),
    (
        Kind.SIGN,
        re.compile(
            r"<<=|>>=|\.\.\.|\.\.=|::|->|=>|==|!=|<=|>=|&&|\|\||\+=|-=|\*=|/=|%=|\^=|&=|\|=|\.\.|"
            r"[-+*/%^!&|=<>@.,;:#$?~(){}\[\]]"
        ),
    ),
)


class NotRust(ValueError):
    """A token that Rust has no word for, or one that does not end."""


def tokens(source: str) -> tuple[Token, ...]:
    """The tokens of a source file. Raises NotRust."""
    return tuple(_tokens(source))


def closing(found: Sequence[Token], start: int) -> int | None:
    """The index of the bracket that closes the one at `start`; None where none does."""
    wanted: list[str] = []
    for index in range(start, len(found)):
        token = found[index]
        if token.kind is not Kind.SIGN:
            continue
        if token.text in _OPENING:
            wanted.append(_OPENING[token.text])
        elif token.text in _CLOSING:
            if not wanted or wanted.pop() != token.text:
                return None
            if not wanted:
                return index
    return None


def _tokens(source: str) -> Iterator[Token]:
    position, line = 0, 1
    if source.startswith("#!") and not re.match(r"#!\s*\[", source):
        position = source.find("\n") if "\n" in source else len(source)
        yield Token(Kind.COMMENT, source[:position], line)
    while position < len(source):
        kind, end = _next(source, position)
        text = source[position:end]
        yield Token(kind, text, line)
        position, line = end, line + text.count("\n")


def _next(source: str, position: int) -> tuple[Kind, int]:
    if source.startswith("/*", position):
        return Kind.COMMENT, _end_of_comment(source, position)
    raw = _RAW.match(source, position)
    if raw is not None:
        end = source.find('"' + raw[1], raw.end())
        if end < 0:
            raise NotRust("a raw string does not end")
        return Kind.STRING, end + 1 + len(raw[1])
    for kind, rule in _RULES:
        found = rule.match(source, position)
        if found is not None:
            return kind, found.end()
    raise NotRust(f"nothing begins with {source[position]!r}")


def _end_of_comment(source: str, position: int) -> int:
    """Comments of this kind stand in each other."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(source, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    raise NotRust("a comment does not end")
