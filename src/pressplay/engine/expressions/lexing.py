"""Characters to tokens, for expr-lang's dialect.

Source: the language definition in expr-lang's documentation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.limits import MAX_SOURCE


class Kind(Enum):
    """What a token is; an operator is any word or sign with a meaning of its own."""

    NUMBER = "number"
    TEXT = "string"
    NAME = "name"
    OPERATOR = "operator"
    END = "end of expression"


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `value` is the number or the unescaped string, else the text itself."""

    kind: Kind
    text: str
    position: int
    value: object = None

    def is_operator(self, *texts: str) -> bool:
        """Whether it is one of these operators."""
        return self.kind is Kind.OPERATOR and self.text in texts

    def __str__(self) -> str:
        return self.kind.value if self.kind is Kind.END else f"'{self.text}'"


WORDS = frozenset(
    {"in", "or", "and", "not", "matches", "contains", "startsWith", "endsWith"}
    | {"let", "if", "else"}
)

_PATTERN = re.compile(
    r"""
      (?P<space>  \s+ | //[^\n]* | /\*.*?\*/ )
    | (?P<number>
          0[xX][0-9a-fA-F_]+ | 0[oO][0-7_]+ | 0[bB][01_]+
        | (?: \d[\d_]* (?: \.(?!\.)[\d_]* )? | \.\d[\d_]* ) (?: [eE][+-]?[\d_]* )?
      )
    | (?P<name>   [^\W\d][\w$]* | \$[\w$]* )
    | (?P<quoted> "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
    | (?P<raw>    `[^`]*` )
    | (?P<operator>
          \?\. | \?\? | \|\| | && | == | != | <= | >= | \*\* | \.\. | ::
        | [-+*/%^!<>=?:;,.|\#()\[\]{}]
      )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"""\\(?:
          ([abfnrtv\\'"`?])
        | ([0-3][0-7]{2}) | [xX]([0-9a-fA-F]{2})
        | u([0-9a-fA-F]{4}) | U([0-9a-fA-F]{8}) | u\{([0-9a-fA-F]{1,6})\}
        | (.|$)
    )""",
    re.VERBOSE | re.DOTALL,
)
_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


def tokens_of(source: str) -> tuple[Token, ...]:
    """All tokens, with one for the end. Raises Fault where no token begins."""
    if len(source) > MAX_SOURCE:
        raise Fault(f"is longer than {MAX_SOURCE} characters", position=0)
    found: list[Token] = []
    position = 0
    while position < len(source):
        match = _PATTERN.match(source, position)
        if match is None:
            raise Fault(_complaint(source, position), position=position)
        if match.lastgroup != "space":
            found.append(_token(match.lastgroup or "", match.group(), position))
        position = match.end()
        if match.lastgroup == "number" and re.match(r"[\w$]", source[position : position + 1]):
            raise Fault("bad number syntax", position=match.start())
    found.append(Token(Kind.END, "", position))
    return tuple(found)


def _token(group: str, text: str, position: int) -> Token:
    match group:
        case "number":
            return Token(Kind.NUMBER, text, position, _number(text, position))
        case "quoted":
            return Token(Kind.TEXT, text, position, _unescaped(text[1:-1], position))
        case "raw":
            return Token(Kind.TEXT, text, position, text[1:-1])
        case "name" if text not in WORDS:
            return Token(Kind.NAME, text, position)
        case _:
            return Token(Kind.OPERATOR, text, position)


def _number(text: str, position: int) -> int | float:
    plain = text.replace("_", "").lower()
    try:
        if plain[:2] in ("0x", "0o", "0b"):
            number = int(plain, 0)
        elif "." in plain or "e" in plain:
            return _float(plain, position)
        else:
            number = int(plain) if len(plain) < 40 else 2**63
    except ValueError as error:
        raise Fault(f"bad number {text}", position=position) from error
    if number >= 2**63:
        raise Fault(f"the integer {text[:40]} does not fit 64 bits", position=position)
    return number


def _float(plain: str, position: int) -> float:
    number = float(plain)
    if number == float("inf"):
        raise Fault(f"the number {plain[:40]} is too large", position=position)
    return number


def _unescaped(inside: str, position: int) -> str:
    if "\\" not in inside:
        return inside
    return _ESCAPE.sub(lambda match: _escape(match, position), inside)


def _escape(match: re.Match[str], position: int) -> str:
    simple, octal, *codes, _ = match.groups()
    if simple:
        return _SIMPLE_ESCAPES.get(simple, simple)
    code = int(octal, 8) if octal else int(next(filter(None, codes), "110000"), 16)
    if code > 0x10FFFF:
        raise Fault(f"unknown escape {match.group()}", position=position)
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


def _complaint(source: str, position: int) -> str:
    character = source[position]
    if character in "\"'`":
        return "the string is not closed"
    if source.startswith("/*", position):
        return "the comment is not closed"
    return f"unrecognized character {character!r}"
