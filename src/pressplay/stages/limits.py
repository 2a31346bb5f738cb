"""How much one agent run may use: the tighter of what its object and its policy say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pressplay.api import policy
from pressplay.base.errors import Refused

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Limits:
    """The most that a run may cost (`usd`), send and get (`tokens`), and ask (`turns`).

    None is no limit. Tokens are all that the model reads and writes, those in its cache too.
    """

    usd: float | None = None
    tokens: int | None = None
    turns: int | None = None

    def to_json(self) -> dict[str, float]:
        """The limits that there are."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Limits:
        """The inverse of `to_json`; unknown names do not matter. Raises Refused."""
        tokens, turns = _number(value, "tokens"), _number(value, "turns")
        return cls(
            usd=_number(value, "usd"),
            tokens=None if tokens is None else int(tokens),
            turns=None if turns is None else int(turns),
        )

    def tighter(self, other: Limits) -> Limits:
        """The smaller of each."""
        return Limits(
            usd=_smaller(self.usd, other.usd),
            tokens=_smaller(self.tokens, other.tokens),
            turns=_smaller(self.turns, other.turns),
        )


def of_request(request: Mapping[str, Any]) -> Limits:
    """What the object's spec says: `budget` and `maxTurns`. Raises Refused."""
    budget = request.get("budget") or {}
    if not isinstance(budget, Mapping):
        raise Refused("spec.budget is not an object; write {usd: 5, tokens: 1000000}")
    return Limits.from_json({**budget, "turns": request.get("maxTurns")})


def of_policy(rules: policy.Policy) -> Limits:
    """What the repository's policy says."""
    return Limits(usd=rules.agent.max_usd, turns=rules.agent.max_turns)


def _number(value: Mapping[str, Any], name: str) -> float | None:
    found = value.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e12:
        raise Refused(f"The limit {name} is {found!r}; write a number from 0 on")
    return found


def _smaller(one: _Number | None, other: _Number | None) -> _Number | None:
    known = [each for each in (one, other) if each is not None]
    return min(known) if known else None
