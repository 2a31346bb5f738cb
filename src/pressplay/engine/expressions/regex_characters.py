"""Sets of characters as RE2 writes them: `[a-z]`, `\\d`, `[[:alpha:]]`, `\\pL`."""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Mapping
from dataclasses import dataclass

from pressplay.engine.expressions.errors import Fault

_REMEMBERED = 4096
_CATEGORIES = frozenset(
    {"L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No"}
    | {"P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So"}
    | {"Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Co"}
)


class Characters(Container[str]):
    """A set that is described, not listed; what was asked before is remembered."""

    __slots__ = ("_answers", "_folds", "_is_negated", "_parts", "_ranges")

    def __init__(
        self,
        ranges: tuple[tuple[str, str], ...],
        parts: tuple[tuple[Container[str], bool], ...] = (),
        *,
        is_negated: bool = False,
        folds: bool = False,
    ) -> None:
        self._ranges = ranges
        self._parts = parts
        self._is_negated = is_negated
        self._folds = folds
        self._answers: dict[str, bool] = {}

    def __contains__(self, character: object) -> bool:
        answer = self._answers.get(character)  # type: ignore[call-overload] # None for the rest
        if answer is None:
            if not isinstance(character, str):
                return False
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            answer = self._answers[character] = self._decide(character)
        return bool(answer)

    def _decide(self, character: str) -> bool:
        forms = {character}
        if self._folds:
            forms |= {character.lower(), character.upper()}
        inside = any(low <= form <= high for low, high in self._ranges for form in forms) or any(
            any(form in part for form in forms) != is_negated for part, is_negated in self._parts
        )
        return inside != self._is_negated


@dataclass(frozen=True)
class Category(Container[str]):
    """The characters of one of Unicode's general categories."""

    name: str

    def __contains__(self, character: object) -> bool:
        return isinstance(character, str) and (
            len(character) == 1 and unicodedata.category(character).startswith(self.name)
        )


def _ranges(text: str) -> tuple[tuple[str, str], ...]:
    """`a-z0-9_` as ranges: each has two or one characters, divided by spaces."""
    return tuple((each[0], each[-1]) for each in text.split(" "))


ANY = Characters((), is_negated=True)
ANY_BUT_NEWLINE = Characters((("\n", "\n"),), is_negated=True)
WORD = Characters(_ranges("09 AZ _ az"))
PERL: Mapping[str, Characters] = {
    "d": Characters(_ranges("09")),
    "s": Characters((("\t", "\n"), ("\f", "\r"), (" ", " "))),
    "w": WORD,
}
POSIX: Mapping[str, Characters] = {
    "alnum": Characters(_ranges("09 AZ az")),
    "alpha": Characters(_ranges("AZ az")),
    "ascii": Characters((("\0", "\x7f"),)),
    "blank": Characters((("\t", "\t"), (" ", " "))),
    "cntrl": Characters((("\0", "\x1f"), ("\x7f", "\x7f"))),
    "digit": Characters(_ranges("09")),
    "graph": Characters(_ranges("!~")),
    "lower": Characters(_ranges("az")),
    "print": Characters(((" ", "~"),)),
    "punct": Characters(_ranges("!/ :@ [` {~")),
    "space": Characters((("\t", "\r"), (" ", " "))),
    "upper": Characters(_ranges("AZ")),
    "word": WORD,
    "xdigit": Characters(_ranges("09 AF af")),
}


def category(name: str) -> Container[str]:
    """The set behind `\\p{name}`. Raises Fault for a script: only categories are known."""
    if name == "Any":
        return ANY
    if name not in _CATEGORIES:
        raise Fault(f"regular expression: \\p{{{name}}} is no general category of Unicode")
    return Category(name)
