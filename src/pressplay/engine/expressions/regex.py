"""Matching regular expressions in time that grows with the text and no faster.

Python's own engine can take exponential time, and the text is often a stranger's; RE2, which Argo
uses, cannot. The machine follows all ways through the program at once, in order of preference.
Source of the method: Russ Cox, "Regular Expression Matching: the Virtual Machine Approach".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from pressplay.engine.expressions.limits import Budget
from pressplay.engine.expressions.regex_characters import WORD
from pressplay.engine.expressions.regex_parsing import Op, Program, Step, parse

_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})", re.ASCII)

Places = tuple[int, ...]  # start and end of the match, then of each group; -1 where it took no part
Threads = list[tuple[int, Places]]  # where each is in the program, preferred ones first


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Pattern:
    """The pattern, ready to match. Raises Fault."""
    return Pattern(parse(pattern))


class Pattern:
    """A compiled regular expression. Every method pays its steps from the budget."""

    def __init__(self, program: Program) -> None:
        self._steps = program.steps
        self._names = program.names
        self._prefix = _prefix(program.steps)

    def is_match(self, text: str, *, budget: Budget) -> bool:
        """Whether it matches anywhere in the text."""
        return self._search(text, 0, budget=budget, groups=0) is not None

    def find_all(self, text: str, *, limit: int, budget: Budget) -> list[Places]:
        """The matches from left to right, at most `limit` if that is not negative."""
        found: list[Places] = []
        for places in self._matches(text, groups=1, budget=budget):
            if len(found) == limit:
                break
            found.append(places)
        return found

    def find_groups(self, text: str, *, budget: Budget) -> list[Places]:
        """All matches from left to right, with the places of their groups."""
        return list(self._matches(text, groups=len(self._names), budget=budget))

    def replace(self, text: str, template: str, *, budget: Budget, expand: bool = True) -> str:
        """The text with every match replaced; `expand` fills `$1` and `${name}` in."""
        parts: list[str] = []
        end = 0
        for places in self._matches(text, groups=len(self._names), budget=budget):
            made = self._expanded(template, text, places) if expand else template
            budget.reserve(len(made))
            parts += (text[end : places[0]], made)
            end = places[1]
        return "".join((*parts, text[end:]))

    def split(self, text: str, *, limit: int, budget: Budget) -> list[str]:
        """What lies between the matches, at most `limit` parts if that is not negative."""
        if limit == 0:
            return []
        parts: list[str] = []
        begin = end = 0
        if not text:
            return [""]
        for places in self.find_all(text, limit=limit, budget=budget):
            if limit > 0 and len(parts) == limit - 1:
                break
            end = places[0]
            if places[1] != 0:
                parts.append(text[begin:end])
            begin = places[1]
        if end != len(text):
            parts.append(text[begin:])
        return parts

    def _expanded(self, template: str, text: str, places: Places) -> str:
        def value(match: re.Match[str]) -> str:
            dollar, bare, braced = match.groups()
            if dollar:
                return "$"
            for number in self._numbers(bare or braced):
                if places[2 * number] >= 0:
                    return text[places[2 * number] : places[2 * number + 1]]
            return ""

        return _REFERENCE.sub(value, template)

    def _numbers(self, name: str) -> list[int]:
        """The groups that a reference can mean: two may have one name."""
        if name.isdigit():
            number = int(name) if len(name) < 5 else len(self._names)
            return [number] if number < len(self._names) else []
        return [number for number, each in enumerate(self._names) if each == name]

    def _matches(self, text: str, *, groups: int, budget: Budget) -> Iterator[Places]:
        position, last_end = 0, -1
        while position <= len(text):
            places = self._search(text, position, budget=budget, groups=groups)
            if places is None:
                return
            # An empty match directly behind the last match is none.
            if places[1] > places[0] or places[0] != last_end:
                yield places
            last_end = places[1]
            position = max(places[1], position + 1) if places[1] == position else places[1]

    def _search(self, text: str, start: int, *, budget: Budget, groups: int) -> Places | None:
        """The leftmost match, preferred as the pattern says; with no groups, any match."""
        best: Places | None = None
        unset = (-1,) * max(2 * groups - 1, 0)
        threads, seen = Threads(), set[int]()
        position = start
        while position <= len(text):
            if not threads:
                # Nothing is under way: a match, if any is to come, begins with the prefix.
                position = -1 if best is not None else text.find(self._prefix, position)
                if position < 0:
                    break
            if best is None:
                self._follow(0, (position, *unset), text=text, at=position, into=threads, seen=seen)
            budget.spend(2 + 2 * len(threads))
            found, threads, seen = self._advance(threads, text=text, at=position)
            best = best if found is None else found
            if best is not None and groups == 0:
                break
            position += 1
        return best

    def _advance(
        self, threads: Threads, *, text: str, at: int
    ) -> tuple[Places | None, Threads, set[int]]:
        """A match that ends here, if any, and the threads that take the character here.

        What is less preferred than the match is dropped.
        """
        following, seen = Threads(), set[int]()
        character = text[at : at + 1]
        for pc, places in threads:
            step = self._steps[pc]
            if step.op is Op.MATCH:
                return (places[0], at, *places[2:]), following, seen
            if character and character in step.chars:
                self._follow(pc + 1, places, text=text, at=at + 1, into=following, seen=seen)
        return None, following, seen

    def _follow(
        self, pc: int, places: Places, *, text: str, at: int, into: Threads, seen: set[int]
    ) -> None:
        """Put where `pc` leads without taking a character into the list, preferred ones first."""
        waiting = [(pc, places)]
        while waiting:
            pc, places = waiting.pop()
            if pc in seen:
                continue
            seen.add(pc)
            step = self._steps[pc]
            match step.op:
                case Op.TAKE | Op.MATCH:
                    into.append((pc, places))
                case Op.JUMP:
                    waiting.append((pc + step.first, places))
                case Op.SPLIT:
                    waiting.append((pc + step.second, places))
                    waiting.append((pc + step.first, places))
                case Op.SAVE:
                    waiting.append((pc + 1, _noted(places, step.first, at)))
                case _:
                    if _holds(step.op, text, at):
                        waiting.append((pc + 1, places))


def _noted(places: Places, number: int, at: int) -> Places:
    if number >= len(places):
        return places
    return (*places[:number], at, *places[number + 1 :])


def _holds(op: Op, text: str, at: int) -> bool:
    match op:
        case Op.TEXT_START:
            return at == 0
        case Op.TEXT_END:
            return at == len(text)
        case Op.LINE_START:
            return at == 0 or text[at - 1] == "\n"
        case Op.LINE_END:
            return at == len(text) or text[at] == "\n"
        case _:
            return _is_word_edge(text, at) == (op is Op.WORD_EDGE)


def _is_word_edge(text: str, at: int) -> bool:
    before = at > 0 and text[at - 1] in WORD
    after = at < len(text) and text[at] in WORD
    return before != after


def _prefix(steps: tuple[Step, ...]) -> str:
    """The characters with which every match begins."""
    found: list[str] = []
    for step in steps:
        if step.op is Op.SAVE:
            continue
        if step.op is not Op.TAKE or not isinstance(step.chars, frozenset):
            break
        found += step.chars
    return "".join(found)
