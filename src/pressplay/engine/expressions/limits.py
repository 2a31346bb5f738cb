"""Bounds, so that no expression can hold up the engine or fill its memory.

Every value that an operation takes or makes is paid for by its size; a closure is paid for each
time it runs. What is left bounds the time of the whole evaluation to about a second.
"""

from __future__ import annotations

from pressplay.engine.expressions.errors import Fault

MAX_SOURCE = 262_144
MAX_NODES = 10_000
MAX_NESTING = 50
MAX_STEPS = 2_000_000
_TEXT_UNIT = 3  # as a shift: eight characters cost one step


class Budget:
    """The steps that one evaluation may still take. Raises Fault when they run out."""

    __slots__ = ("_left",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Pay for `steps`, before they are taken."""
        self._left -= steps
        if self._left < 0:
            raise Fault(f"needs more than {MAX_STEPS} steps; make it or its values smaller")

    def reserve(self, characters: int) -> None:
        """Pay for a text of that length, before it is made."""
        self.spend(1 + (characters >> _TEXT_UNIT))

    def charge(self, value: object) -> None:
        """Pay for a value by its whole size, all that is nested in it included."""
        waiting = [value]
        while waiting:
            each = waiting.pop()
            if isinstance(each, str):
                self.reserve(len(each))
            elif isinstance(each, list):
                self.spend(1 + len(each))
                waiting.extend(each)
            elif isinstance(each, dict):
                self.spend(1 + len(each))
                waiting.extend(each.values())
