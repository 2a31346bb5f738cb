"""The raw samples, `samples.jsonl`: one line a request, from which a verdict can be recomputed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from pressplay.base import documents
from pressplay.base.errors import Refused
from pressplay.evidence import shapes


@dataclass(frozen=True)
class Sample:
    """One request and its answer.

    `look` and `n` count from 1: the look of the schedule it was sent for, and its number among
    the requests to this endpoint. `started_ms` is the moment it was due, since the load began;
    `latency_ms` counts from that moment, not from when a late client got round to sending.
    `status` is 0 where no answer came.
    """

    endpoint: str
    host: str
    path: str
    method: str
    look: int
    n: int
    started_ms: float
    latency_ms: float
    status: int
    ok: bool
    error: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Which target it belongs to."""
        return self.endpoint, self.host

    def to_line(self) -> str:
        """Its line in `samples.jsonl`."""
        return json.dumps(vars(self), ensure_ascii=False) + "\n"


def write(samples: Iterable[Sample]) -> str:
    """The text of `samples.jsonl`."""
    return "".join(sample.to_line() for sample in samples)


def read(data: bytes) -> tuple[Sample, ...]:
    """The samples in a `samples.jsonl`. Raises Refused, naming the first bad line."""
    return tuple(
        _sample(line, number) for number, line in enumerate(data.splitlines(), 1) if line.strip()
    )


def _sample(line: bytes, number: int) -> Sample:
    source = f"samples.jsonl, line {number}"
    value = documents.read_json(line, source=source)
    try:
        shapes.validate("sample", value)
    except Refused as error:
        raise Refused(f"{source}: {error}") from error
    return Sample(**cast("dict[str, Any]", value))
