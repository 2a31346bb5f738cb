"""Where a preview answers (`urls.json`), and which requests to it are gated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from pressplay.api.policy import Acceptance, Endpoint
from pressplay.evidence import shapes


@dataclass(frozen=True)
class Address:
    """One place of the preview: `connect` (host:port) is dialled, `host` is the Host header."""

    host: str
    path: str
    url: str
    connect: str


@dataclass(frozen=True)
class Urls:
    """The content of `urls.json`, which deploy wrote."""

    hosts: tuple[str, ...]
    ns: str
    release: str
    endpoints: tuple[Address, ...]
    deployer: str
    sha: str
    image: str = ""

    def to_json(self) -> dict[str, Any]:
        """What is written to `urls.json`."""
        return vars(self) | {
            "hosts": list(self.hosts),
            "endpoints": [dict(vars(each)) for each in self.endpoints],
        }

    @classmethod
    def from_json(cls, value: object) -> Urls:
        """The inverse of `to_json`. Raises Refused."""
        shapes.validate("urls", value)
        given = cast("dict[str, Any]", value)
        return cls(
            hosts=tuple(given["hosts"]),
            ns=given["ns"],
            release=given["release"],
            endpoints=tuple(
                Address(each["host"], path=each["path"], url=each["url"], connect=each["connect"])
                for each in given["endpoints"]
            ),
            deployer=given["deployer"],
            sha=given["sha"],
            image=given.get("image", ""),
        )


@dataclass(frozen=True)
class Target:
    """One gated endpoint at one address; judged alone, with its own samples."""

    endpoint: Endpoint
    address: Address

    @property
    def key(self) -> tuple[str, str]:
        """What tells its samples from others: the endpoint's name and the host."""
        return self.endpoint.name, self.address.host

    def __str__(self) -> str:
        return f"{self.endpoint.name} at {self.address.host}"


def targets(acceptance: Acceptance, urls: Urls) -> tuple[Target, ...]:
    """Every gated request, in the policy's order.

    A policy endpoint is asked at each address that names its path, and where none does at the
    first address: one host is the rule, and deploy may list the others.
    """
    found: dict[tuple[str, str], Target] = {}
    for endpoint in acceptance.endpoints:
        named = [each for each in urls.endpoints if each.path == endpoint.path]
        for address in named or urls.endpoints[:1]:
            target = Target(endpoint, address)
            found.setdefault(target.key, target)
    return tuple(found.values())
