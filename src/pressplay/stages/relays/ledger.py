"""What was spent, what is promised, and what is left: the one place that says yes or no.

A call's worst case is put aside before it is made and replaced by what it cost. Where the worst
case is too much, its answer is made shorter before it is refused, so that the last part of a
budget can be used too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pressplay.stages.limits import Limits
from pressplay.stages.relays.prices import Price, Usage

SHORTEST = 1024
"""Tokens of an answer below which a call is not worth making, unless it asked for fewer."""

PATIENCE_S = 600.0
"""Seconds that a call waits for others, whose promises may turn out too high."""


class Spent(Exception):
    """A limit is reached; the message says which."""


@dataclass(frozen=True)
class Asked:
    """One call's worst case: its prompt, and the longest answer.

    The answer may be cut down to `shortest` tokens.
    """

    model: str
    price: Price
    prompt: Usage
    longest: int
    shortest: int

    def worst(self, answer: int) -> Usage:
        """All tokens of the call, with an answer of that length."""
        return Usage(**{**vars(self.prompt), "output": answer})

    def cost(self, usage: Usage) -> float:
        """US dollars."""
        return self.price.rate(usage.prompt).cost(usage)


@dataclass
class Call:
    """A call that was let through; `answer` is the longest answer that it may ask for."""

    asked: Asked
    answer: int
    used: Usage = field(default_factory=Usage)
    was_answered: bool = False

    @property
    def promised(self) -> Usage:
        """What is put aside."""
        return self.asked.worst(self.answer)


@dataclass
class _Sum:
    calls: int = 0
    usd: float = 0.0
    tokens: int = 0


class Ledger:
    """The accounts of one run. May be used by any number of threads."""

    def __init__(self, limits: Limits, *, keep: Callable[[dict[str, Any]], None]) -> None:
        """`keep` gets the whole record after each change, one at a time."""
        self._limits = limits
        self._keep = keep
        self._changed = threading.Condition()
        self._open: list[Call] = []
        self._models: dict[str, _Sum] = {}
        self._usage = Usage()
        self._refused = 0
        self._write()

    @contextmanager
    def call(self, asked: Asked) -> Iterator[Call]:
        """Put the worst case aside; at the end, settle by what the caller wrote into `used`.

        Raises Spent at once where nothing of it fits any more.
        """
        made = self._begin(asked)
        try:
            yield made
        finally:
            self._settle(made)

    def _begin(self, asked: Asked) -> Call:
        with self._changed:
            try:
                answer = self._grant(asked)
            except Spent:
                self._refused += 1
                self._write()
                raise
            made = Call(asked, answer)
            self._open.append(made)
            self._write()
            return made

    def _grant(self, asked: Asked) -> int:
        """The length of the answer that fits; waits while others may give something back."""
        while True:
            complaint = self._complaint(asked, asked.longest)
            if not complaint:
                return asked.longest
            if self._open:
                if not self._changed.wait(PATIENCE_S):
                    raise Spent(complaint)
                continue
            if self._complaint(asked, asked.shortest):
                raise Spent(self._complaint(asked, asked.shortest))
            return self._longest_that_fits(asked)

    def _longest_that_fits(self, asked: Asked) -> int:
        fits, too_much = asked.shortest, asked.longest
        while too_much - fits > 1:
            middle = (fits + too_much) // 2
            if self._complaint(asked, middle):
                too_much = middle
            else:
                fits = middle
        return fits

    def _complaint(self, asked: Asked, answer: int) -> str:
        """Which limit a call would break; empty where none."""
        worst = asked.worst(answer)
        limits, spent = self._limits, sum(each.usd for each in self._models.values())
        held = sum(each.asked.cost(each.promised) for each in self._open)
        if limits.usd is not None and spent + held + asked.cost(worst) > limits.usd:
            return f"the budget of ${limits.usd:g} is used up (${spent:.4f} spent)"
        tokens = self._usage.total + sum(each.promised.total for each in self._open)
        if limits.tokens is not None and tokens + worst.total > limits.tokens:
            return f"the budget of {limits.tokens} tokens is used up ({self._usage.total} used)"
        calls = sum(each.calls for each in self._models.values())
        if limits.turns is not None and calls + len(self._open) + 1 > limits.turns:
            return f"the limit of {limits.turns} turns is reached"
        return ""

    def _settle(self, made: Call) -> None:
        with self._changed:
            self._open.remove(made)
            if made.was_answered:
                entry = self._models.setdefault(made.asked.model, _Sum())
                entry.calls += 1
                entry.usd += made.asked.cost(made.used)
                entry.tokens += made.used.total
                self._usage = Usage(
                    **{
                        name: count + getattr(made.used, name)
                        for name, count in vars(self._usage).items()
                    }
                )
            self._write()
            self._changed.notify_all()

    def _write(self) -> None:
        """Hand the record over."""
        used = self._usage
        held = sum(each.asked.cost(each.promised) for each in self._open)
        models = {
            name: {**vars(each), "usd": round(each.usd, 6)} for name, each in self._models.items()
        }
        self._keep(
            {
                "usd": round(sum(each.usd for each in self._models.values()), 6),
                "calls": sum(each.calls for each in self._models.values()),
                "tokens": {
                    "input": used.input,
                    "output": used.output,
                    "cache_write": used.write_5m + used.write_1h,
                    "cache_read": used.read,
                },
                "models": models,
                "limits": self._limits.to_json(),
                "refused": self._refused,
                "open": {"calls": len(self._open), "usd": round(held, 6)},
            }
        )
