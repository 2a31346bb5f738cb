"""Operator precedence parsing, shared by the dialects.

Source of the method: Vaughan Pratt, "Top Down Operator Precedence" (1973).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.lexing import Kind, Token
from pressplay.engine.expressions.limits import MAX_NESTING, MAX_NODES
from pressplay.engine.expressions.syntax import Node


@dataclass(frozen=True)
class Power:
    """How tightly a binary operator binds, and whether the right one of two goes first."""

    level: int
    from_right: bool = False

    @property
    def right(self) -> int:
        """The least level that its right operand may have."""
        return self.level if self.from_right else self.level + 1


class Parser(ABC):
    """Turns tokens into a tree. A dialect says what operands are and what operators do."""

    def __init__(self, tokens: Sequence[Token], powers: Mapping[str, Power]) -> None:
        if len(tokens) > MAX_NODES:
            raise Fault(f"has more than {MAX_NODES} parts", position=0)
        self._tokens = tokens
        self._powers = powers
        self._next = 0
        self._nesting = 0

    def parse(self) -> Node:
        """The whole expression. Raises Fault with the position of the first wrong token."""
        root = self.whole()
        if self.token.kind is not Kind.END:
            raise self.unexpected()
        return root

    def whole(self) -> Node:
        """What a source holds: by default one expression."""
        return self.expression(0)

    @abstractmethod
    def operand(self) -> Node:
        """Everything that binds tighter than the binary operators."""

    @abstractmethod
    def operation(self, left: Node, power: Power) -> Node:
        """The operator at the current token applied to `left` and what follows."""

    def expression(self, least: int) -> Node:
        """An operand and all operators after it that bind at least so tightly."""
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise Fault(f"nested deeper than {MAX_NESTING}", position=self.token.position)
        left = self.operand()
        while (power := self.power()) is not None and power.level >= least:
            left = self.operation(left, power)
        self._nesting -= 1
        return left

    def power(self) -> Power | None:
        """The power of the current token, if it is a binary operator."""
        return self._powers.get(self.token.text) if self.token.kind is Kind.OPERATOR else None

    @property
    def token(self) -> Token:
        return self._tokens[self._next]

    @property
    def index(self) -> int:
        """How many tokens have been taken."""
        return self._next

    def ahead(self) -> Token:
        """The token after the current one."""
        return self._tokens[min(self._next + 1, len(self._tokens) - 1)]

    def take(self) -> Token:
        """The current token; the next one becomes current."""
        taken = self._tokens[self._next]
        if taken.kind is not Kind.END:
            self._next += 1
        return taken

    def accept(self, *operators: str) -> bool:
        """Whether the current token is one of these operators; if so it is taken."""
        if self.token.is_operator(*operators):
            self._next += 1
            return True
        return False

    def expect(self, operator: str) -> Token:
        """Take this operator. Raises Fault if something else is there."""
        if not self.token.is_operator(operator):
            raise Fault(f"expected '{operator}', not {self.token}", position=self.token.position)
        return self.take()

    def unexpected(self) -> Fault:
        """The complaint about the current token."""
        return Fault(f"unexpected {self.token}", position=self.token.position)
