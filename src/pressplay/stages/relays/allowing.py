"""Which hosts a step may reach: the operator's list, and what no list can open.

A name decides first, exactly as it is written in the list; then the addresses that it stands for:
a listed name must not lead back into this machine or to what a cloud serves at a link-local one.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pressplay.base.errors import Refused

DEFAULT = (
    "index.crates.io,static.crates.io,"
    "pypi.org,files.pythonhosted.org,"
    "registry.npmjs.org,"
    "proxy.golang.org,sum.golang.org"
)
"""The public registries, read only as far as that can be told from a host's name."""

HTTPS = 443

_HOST = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9-]{1,63})+")
_TARGET = re.compile(r"([^:]*):([1-9][0-9]{0,4})")
_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a host and port, as text. Raises OSError."""


class Denied(Exception):
    """The destination is not allowed; the message says why."""


@dataclass(frozen=True)
class Destination:
    """A host and port that stand in the list."""

    host: str
    port: int


def parse(text: str) -> frozenset[Destination]:
    """The list: `host` or `host:port`, between commas. Raises Refused."""
    entries = [each.strip() for each in text.split(",")]
    return frozenset(_entry(each) for each in entries if each)


def destination(target: str, allowed: frozenset[Destination]) -> Destination:
    """What a CONNECT names, if it stands in the list. Raises Denied."""
    found = _TARGET.fullmatch(target)
    if not found:
        raise Denied("it is not host:port")
    host = found[1].lower()
    if not _HOST.fullmatch(host) or _is_number(host):
        raise Denied("only the name of a host is allowed, no address")
    wanted = Destination(host, int(found[2]))
    if wanted not in allowed:
        ports = sorted(each.port for each in allowed if each.host == host)
        if ports:
            raise Denied(f"port {wanted.port} is not allowed for this host")
        raise Denied("the host is not in PRESSPLAY_REGISTRIES (ConfigMap pressplay-settings)")
    return wanted


def addresses(wanted: Destination, resolve: Resolve) -> tuple[str, ...]:
    """Where a destination may be dialled: all its addresses but the closed ones. Raises Denied."""
    try:
        found = resolve(wanted.host, wanted.port)
    except OSError as error:
        raise Denied(f"the name is not known here: {error.strerror or error}") from error
    open_ones = tuple(each for each in found if not is_closed(each))
    if not open_ones:
        raise Denied("the name stands for an address of this machine or a link-local one")
    return open_ones


def is_closed(address: str) -> bool:
    """Whether no list can open this address. A private one is open: it may be a mirror's."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return True
    return any(
        each.is_loopback or each.is_link_local or each.is_unspecified or each.is_multicast
        for each in (found, *_inside(found))
    )


def resolve(host: str, port: int) -> tuple[str, ...]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def _entry(text: str) -> Destination:
    host, _, port = text.lower().partition(":")
    if not _HOST.fullmatch(host) or _is_number(host):
        raise Refused(f"PRESSPLAY_REGISTRIES holds {text!r}; write the name of a host, host:port")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Refused(f"PRESSPLAY_REGISTRIES holds {text!r}; its port is not a number")
    return Destination(host, int(port) if port else HTTPS)


def _is_number(host: str) -> bool:
    """Whether a resolver would read the name as an IPv4 address: `127.1`, `0x7f.0.0.1`."""
    return _NUMBERS.fullmatch(host.rpartition(".")[2]) is not None


def _inside(address: Address) -> list[Address]:
    """The IPv4 addresses that an IPv6 one carries (RFC 4291, 3056, 6052)."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    carried: list[Address] = [
        each for each in (address.ipv4_mapped, address.sixtofour) if each is not None
    ]
    if address in ipaddress.ip_network("64:ff9b::/96") or int(address) >> 32 == 0:
        carried.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return carried
