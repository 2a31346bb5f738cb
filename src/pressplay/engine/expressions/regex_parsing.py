"""Regular expressions in RE2's syntax, to a program for the machine in `regex`.

What RE2 refuses (backreferences, lookaround) is refused here. Source: RE2's wiki page "Syntax"
and the documentation of Go's regexp/syntax.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from pressplay.engine.expressions import regex_characters as characters
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.regex_characters import Characters

MAX_PATTERN = 4_096
MAX_REPEAT = 1_000
MAX_STEPS = 5_000
_MAX_NESTING = 50

_GROUP_NAME = re.compile(r"\?P?<(\w+)>")
_FLAGS = re.compile(r"\?([imsU]*)(?:-([imsU]+))?([:)])")
_REPEAT = re.compile(r"\{(\d{1,5})(,(\d{0,5}))?\}")
_POSIX_NAME = re.compile(r"\[:(\^?)(\w+):\]")
_CATEGORY_NAME = re.compile(r"([a-zA-Z])|\{(\^?)(\w+)\}")
_CODE = re.compile(r"x([0-9a-fA-F]{2})|x\{([0-9a-fA-F]{1,6})\}|(0[0-7]{0,2}|[1-7][0-7]{1,2})")
_SIGNS: Mapping[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_SIMPLE = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Op(Enum):
    """What a step of the program does."""

    TAKE = auto()
    SPLIT = auto()
    JUMP = auto()
    SAVE = auto()
    TEXT_START = auto()
    TEXT_END = auto()
    LINE_START = auto()
    LINE_END = auto()
    WORD_EDGE = auto()
    NO_WORD_EDGE = auto()
    MATCH = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """TAKE reads one of `chars`; SPLIT and JUMP go by `first` (preferred) and `second` steps;
    SAVE notes the place under the number `first`; the rest look at where they are."""

    op: Op
    chars: Container[str] = ()
    first: int = 0
    second: int = 0


Steps = list[Step]


@dataclass(frozen=True)
class Program:
    """Steps with relative jumps; `names` are the groups' names, in order, "" without one."""

    steps: tuple[Step, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Flags:
    fold: bool = False
    multi: bool = False
    dot_all: bool = False
    ungreedy: bool = False

    def changed(self, letters: str, *, on: bool) -> _Flags:
        flags = self
        for letter in letters:
            match letter:
                case "i":
                    flags = replace(flags, fold=on)
                case "m":
                    flags = replace(flags, multi=on)
                case "s":
                    flags = replace(flags, dot_all=on)
                case _:
                    flags = replace(flags, ungreedy=on)
        return flags


def parse(pattern: str) -> Program:
    """The program of a pattern. Raises Fault, saying what is wrong with the pattern."""
    if len(pattern) > MAX_PATTERN:
        raise _problem(f"is longer than {MAX_PATTERN} characters")
    parser = _Parser(pattern)
    steps = parser.alternatives()
    if parser.rest:
        raise _problem("unexpected )")
    return Program((*steps, Step(Op.MATCH)), tuple(parser.names))


def _problem(what: str) -> Fault:
    return Fault(f"regular expression: {what}")


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._position = 0
        self._flags = _Flags()
        self._nesting = 0
        self.names = [""]

    @property
    def rest(self) -> bool:
        return self._position < len(self._pattern)

    def _peek(self) -> str:
        return self._pattern[self._position : self._position + 1]

    def _take(self) -> str:
        taken = self._peek()
        self._position += 1
        return taken

    def _accept(self, text: str) -> bool:
        if self._pattern.startswith(text, self._position):
            self._position += len(text)
            return True
        return False

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._pattern, self._position)
        if match is not None:
            self._position = match.end()
        return match

    def alternatives(self) -> Steps:
        """`a|b|c`, up to a closing parenthesis or the end."""
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise _problem(f"is nested deeper than {_MAX_NESTING}")
        outer = self._flags
        branches = [self._sequence()]
        while self._accept("|"):
            branches.append(self._sequence())
        self._flags = outer
        self._nesting -= 1
        steps = branches.pop()
        while branches:
            first = branches.pop()
            steps = [
                Step(Op.SPLIT, first=1, second=len(first) + 2),
                *first,
                Step(Op.JUMP, first=len(steps) + 1),
                *steps,
            ]
        return steps

    def _sequence(self) -> Steps:
        steps: Steps = []
        last: Steps | None = None  # what a repetition operator would repeat
        while self.rest and self._peek() not in "|)":
            if self._is_repetition():
                if last is None:
                    raise _problem(f"missing argument to repetition operator {self._peek()}")
                last = self._repeated(last)
                continue
            for atom in self._quoted() if self._accept("\\Q") else (self._atom(),):
                if atom is not None:
                    steps += last or []
                    last = atom
            if len(steps) > MAX_STEPS:
                raise _problem(f"needs more than {MAX_STEPS} steps")
        return steps + (last or [])

    def _quoted(self) -> list[Steps]:
        """The literals up to `\\E`, or to the end without one."""
        quoted, _, _ = self._pattern[self._position :].partition("\\E")
        self._position += len(quoted) + 2
        return [[self._literal(each)] for each in quoted]

    def _is_repetition(self) -> bool:
        return self._peek() in tuple("*+?") or bool(_REPEAT.match(self._pattern, self._position))

    def _repeated(self, atom: Steps) -> Steps:
        match = self._match(_REPEAT)
        if match is None:
            least, most = _SIGNS[self._take()]
        else:
            least = int(match[1])
            most = least if match[2] is None else int(match[3]) if match[3] else None
        lazy = self._accept("?") != self._flags.ungreedy
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            raise _problem("invalid repeat count")
        if self._is_repetition():
            raise _problem("invalid nested repetition operator")
        if len(atom) * max(least, most or 1, 1) > MAX_STEPS:
            raise _problem(f"needs more than {MAX_STEPS} steps")
        return _repeat(atom, least, most, lazy=lazy)

    def _atom(self) -> Steps | None:
        character = self._take()
        match character:
            case "(":
                return self._group()
            case "[":
                return [Step(Op.TAKE, self._bracket())]
            case ".":
                dot = characters.ANY if self._flags.dot_all else characters.ANY_BUT_NEWLINE
                return [Step(Op.TAKE, dot)]
            case "^":
                return [Step(Op.LINE_START if self._flags.multi else Op.TEXT_START)]
            case "$":
                return [Step(Op.LINE_END if self._flags.multi else Op.TEXT_END)]
            case "\\":
                return [self._escape()]
            case _:
                return [self._literal(character)]

    def _literal(self, character: str) -> Step:
        if self._flags.fold:
            return Step(Op.TAKE, Characters(_forms(character), folds=True))
        return Step(Op.TAKE, frozenset({character}))

    def _group(self) -> Steps | None:
        if self._peek() != "?":
            return self._captured("")
        name = self._match(_GROUP_NAME)
        if name is not None:
            return self._captured(name[1])
        flags = self._match(_FLAGS)
        if flags is None:
            raise _problem("invalid or unsupported group; RE2 knows no lookaround")
        outer = self._flags
        self._flags = outer.changed(flags[1], on=True).changed(flags[2] or "", on=False)
        if flags[3] == ")":
            return None
        steps = self.alternatives()
        self._flags = outer
        return self._closed(steps)

    def _captured(self, name: str) -> Steps:
        number = len(self.names)
        self.names.append(name)
        inside = self._closed(self.alternatives())
        return [Step(Op.SAVE, first=2 * number), *inside, Step(Op.SAVE, first=2 * number + 1)]

    def _closed(self, steps: Steps) -> Steps:
        if not self._accept(")"):
            raise _problem("missing closing )")
        return steps

    def _escape(self) -> Step:
        edges = {
            "A": Op.TEXT_START,
            "z": Op.TEXT_END,
            "b": Op.WORD_EDGE,
            "B": Op.NO_WORD_EDGE,
        }
        letter = self._peek()
        if letter in edges:
            self._take()
            return Step(edges[letter])
        part = self._class_escape()
        if part is not None:
            return Step(Op.TAKE, Characters((), (part,), folds=self._flags.fold))
        return self._literal(self._escaped_character())

    def _class_escape(self) -> tuple[Container[str], bool] | None:
        """The set behind `\\d` or `\\pL`, and whether it is turned around; None for another."""
        letter = self._peek()
        if letter and letter in "dswDSW":
            self._take()
            return characters.PERL[letter.lower()], letter.isupper()
        if letter and letter in "pP":
            self._take()
            name = self._match(_CATEGORY_NAME)
            if name is None:
                raise _problem("invalid character class range")
            short, caret, long = name.groups()
            return characters.category(short or long), (letter == "P") != bool(caret)
        return None

    def _escaped_character(self) -> str:
        code = self._match(_CODE)
        if code is not None:
            byte, braced, octal = code.groups()
            number = int(octal, 8) if octal else int(byte or braced, 16)
            if number > 0x10FFFF:
                raise _problem("invalid escape sequence")
            return chr(number)
        letter = self._take()
        if letter in _SIMPLE:
            return _SIMPLE[letter]
        if not letter or letter.isalnum() or ord(letter) > 0x7F:
            raise _problem(f"invalid escape sequence \\{letter}; RE2 knows no backreferences")
        return letter

    def _bracket(self) -> Characters:
        is_negated = self._accept("^")
        ranges: list[tuple[str, str]] = []
        parts: list[tuple[Container[str], bool]] = []
        is_first = True
        while is_first or self._peek() != "]":
            is_first = False
            posix = self._match(_POSIX_NAME)
            if posix is not None:
                parts.append((_posix(posix[2]), bool(posix[1])))
                continue
            part = None
            if self._accept("\\"):
                part = self._class_escape()
                low = "" if part is not None else self._escaped_character()
            else:
                low = self._take()
            if part is not None:
                parts.append(part)
            else:
                ranges.append(self._range(low))
        self._take()
        if self._flags.fold:
            ranges += [form for low, high in ranges if low == high for form in _forms(low)]
        return Characters(
            tuple(ranges), tuple(parts), is_negated=is_negated, folds=self._flags.fold
        )

    def _range(self, low: str) -> tuple[str, str]:
        if not low:
            raise _problem("missing closing ]")
        following = self._pattern[self._position : self._position + 2]
        if following[:1] != "-" or following in ("-", "-]"):
            return low, low
        self._take()
        high = self._escaped_character() if self._accept("\\") else self._take()
        if high < low:
            raise _problem("invalid character class range")
        return low, high


def _forms(character: str) -> tuple[tuple[str, str], ...]:
    forms = {character, character.lower(), character.upper()}
    return tuple((form, form) for form in forms if len(form) == 1)


def _posix(name: str) -> Container[str]:
    if name not in characters.POSIX:
        raise _problem(f"invalid character class range [:{name}:]")
    return characters.POSIX[name]


def _repeat(atom: Steps, least: int, most: int | None, *, lazy: bool) -> Steps:
    if most is None:
        if least == 0:
            # An atom that can be empty would loop without moving: (a+)? says the same.
            star = _plus(atom, lazy=lazy)
            return _optional(star, lazy=lazy) if _can_be_empty(atom) else _star(atom, lazy=lazy)
        return [*(atom * (least - 1)), *_plus(atom, lazy=lazy)]
    steps: Steps = []
    for _ in range(most - least):
        steps = _optional([*atom, *steps], lazy=lazy)
    return [*(atom * least), *steps]


def _optional(steps: Steps, *, lazy: bool) -> Steps:
    return [_split(1, len(steps) + 1, lazy=lazy), *steps]


def _star(steps: Steps, *, lazy: bool) -> Steps:
    back = Step(Op.JUMP, first=-len(steps) - 1)
    return [_split(1, len(steps) + 2, lazy=lazy), *steps, back]


def _plus(steps: Steps, *, lazy: bool) -> Steps:
    return [*steps, _split(-len(steps), 1, lazy=lazy)]


def _split(on: int, past: int, *, lazy: bool) -> Step:
    first, second = (past, on) if lazy else (on, past)
    return Step(Op.SPLIT, first=first, second=second)


def _can_be_empty(steps: Steps) -> bool:
    """Whether a way leads through the steps that takes no character."""
    waiting, seen = [0], set[int]()
    while waiting:
        at = waiting.pop()
        if at >= len(steps):
            return True
        if at in seen:
            continue
        seen.add(at)
        step = steps[at]
        if step.op is Op.SPLIT:
            waiting += [at + step.first, at + step.second]
        elif step.op is not Op.TAKE:
            waiting.append(at + (step.first if step.op is Op.JUMP else 1))
    return False
