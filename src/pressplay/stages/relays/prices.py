"""What a model's tokens cost, from the operator's list.

The list is JSON: `{"models": {NAME: {"input": USD, "output": USD, …}}}`, each price for a million
tokens; ConfigMap model-prices in the manifests tells the rest. The factors of cache prices are
those of Anthropic's pricing page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pressplay.base.errors import Refused

_WRITE_5M, _WRITE_1H, _READ = 1.25, 2.0, 0.1
_MILLION = 1_000_000

_PREFIX = re.compile(r"([a-z]+\.)?anthropic[./]")
_SUFFIX = re.compile(r"([-@]20\d{6}|-latest)?(-v\d+(:\d+)?)?(\[[a-z0-9]+\])?\Z")


@dataclass(frozen=True)
class Usage:
    """Tokens of one call, by price."""

    input: int = 0
    output: int = 0
    write_5m: int = 0
    write_1h: int = 0
    read: int = 0

    @property
    def total(self) -> int:
        """All that the model read and wrote."""
        return self.prompt + self.output

    @property
    def prompt(self) -> int:
        """All that the model read."""
        return self.input + self.write_5m + self.write_1h + self.read


@dataclass(frozen=True)
class Rate:
    """US dollars for a million tokens of each kind."""

    input: float
    output: float
    write_5m: float
    write_1h: float
    read: float

    def cost(self, usage: Usage) -> float:
        """US dollars."""
        total = sum(getattr(self, name) * count for name, count in vars(usage).items())
        return float(total) / _MILLION


@dataclass(frozen=True)
class Price:
    """A model's rates; `dear` instead of `usual` where the prompt has more than `above` tokens."""

    usual: Rate
    dear: Rate
    above: int

    def rate(self, prompt: int) -> Rate:
        """The rate for a call whose prompt has so many tokens."""
        return self.dear if prompt > self.above else self.usual


@dataclass(frozen=True)
class Prices:
    """All known prices; never empty."""

    models: Mapping[str, Price]

    def of(self, model: str) -> Price:
        """The price of a model: its own, else of the dearest rates that are known."""
        found = self.models.get(plain_name(model))
        return found if found is not None else self._dearest()

    def knows(self, model: str) -> bool:
        """Whether the model has a price of its own."""
        return plain_name(model) in self.models

    def _dearest(self) -> Price:
        rates = [rate for each in self.models.values() for rate in (each.usual, each.dear)]
        highest = Rate(*(max(getattr(rate, name) for rate in rates) for name in vars(rates[0])))
        return Price(usual=highest, dear=highest, above=0)


def parse(text: str) -> Prices:
    """The operator's list. Raises Refused, naming what is wrong."""
    try:
        models = json.loads(text)["models"]
        found = {str(name).lower(): _price(str(name), each) for name, each in models.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            f'models.json (ConfigMap model-prices) is not {{"models": {{NAME: PRICES}}}}: {error}'
        ) from error
    if not found:
        raise Refused("models.json (ConfigMap model-prices) names no model; add at least one")
    return Prices(found)


def plain_name(model: str) -> str:
    """A model's name without what only tells its date, its provider or its context."""
    name = model.strip().lower()
    return _SUFFIX.sub("", _PREFIX.sub("", name, count=1), count=1)


def _price(name: str, value: Mapping[str, Any]) -> Price:
    usual = _rate(name, value)
    beyond = value.get("beyond")
    if beyond is None:
        return Price(usual=usual, dear=usual, above=0)
    return Price(usual=usual, dear=_rate(name, beyond), above=int(_usd(name, beyond, "tokens")))


def _rate(name: str, value: Mapping[str, Any]) -> Rate:
    given = _usd(name, value, "input")
    return Rate(
        input=given,
        output=_usd(name, value, "output"),
        write_5m=_usd(name, value, "cache_write_5m", default=given * _WRITE_5M),
        write_1h=_usd(name, value, "cache_write_1h", default=given * _WRITE_1H),
        read=_usd(name, value, "cache_read", default=given * _READ),
    )


def _usd(name: str, value: Mapping[str, Any], key: str, *, default: float | None = None) -> float:
    found = value.get(key, default)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e9:
        raise Refused(f"models.json: {name}.{key} is {found!r}; write a number from 0 on")
    return float(found)
