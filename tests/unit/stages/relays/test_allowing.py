from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.stages.relays import allowing
from pressplay.stages.relays.allowing import Denied, Destination

ALLOWED = allowing.parse("pypi.org, mirror.example:8443,files.pythonhosted.org")


def test_the_default_list_is_read() -> None:
    hosts = {each.host for each in allowing.parse(allowing.DEFAULT)}
    assert {"pypi.org", "index.crates.io", "registry.npmjs.org"} <= hosts
    assert {each.port for each in allowing.parse(allowing.DEFAULT)} == {443}


def test_an_empty_list_allows_nothing() -> None:
    assert allowing.parse("") == frozenset()
    with pytest.raises(Denied, match="PRESSPLAY_REGISTRIES"):
        allowing.destination("pypi.org:443", allowing.parse(" , "))


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "[::1]:443", "localhost", "*.pypi.org", "https://pypi.org", "a b.c"),
        *("pypi.org:0", "pypi.org:65536", "user@pypi.org", "0x7f.1", "pypi.org/", "-a.b", "a..b"),
        "x.y:http",
    ],
)
def test_an_entry_that_is_no_name_of_a_host_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="PRESSPLAY_REGISTRIES"):
        allowing.parse(text)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("pypi.org:443", Destination("pypi.org", 443)),
        ("PyPI.org:443", Destination("pypi.org", 443)),
        ("mirror.example:8443", Destination("mirror.example", 8443)),
    ],
)
def test_a_listed_destination_is_let_through(target: str, expected: Destination) -> None:
    assert allowing.destination(target, ALLOWED) == expected


BYPASSES = [
    "pypi.org",
    "pypi.org:",
    "pypi.org:80",
    "pypi.org:4430",
    "pypi.org:0443",
    "pypi.org:443:443",
    "pypi.org:443/",
    "pypi.org.:443",
    ".pypi.org:443",
    "evil.pypi.org:443",
    "pypi.org.evil.example:443",
    "evilpypi.org:443",
    "pypi.org@evil.example:443",
    "user:password@pypi.org:443",
    "evil.example#pypi.org:443",
    "evil.example?pypi.org:443",
    "pypi.org\\@evil.example:443",
    "https://pypi.org:443",
    "//pypi.org:443",
    "pypi.org%00.evil.example:443",
    "pypi.org\x00.evil.example:443",
    "pypi\u3002org:443",
    "\u24df\u24e8\u24df\u24d8.org:443",
    "mirror.example:443",
    "localhost:443",
    "localhost:8443",
    "127.0.0.1:443",
    "127.1:443",
    "0:443",
    "0.0.0.0:443",
    "2130706433:443",
    "0x7f000001:443",
    "0177.0.0.1:443",
    "[::1]:443",
    "[::ffff:127.0.0.1]:443",
    "::1:443",
    "169.254.169.254:443",
    "",
    ":443",
]


@pytest.mark.parametrize("target", BYPASSES)
def test_no_way_of_writing_leads_past_the_list(target: str) -> None:
    with pytest.raises(Denied):
        allowing.destination(target, ALLOWED)


@given(st.text(max_size=60))
def test_whatever_is_asked_for_only_listed_destinations_come_out(target: str) -> None:
    try:
        found = allowing.destination(target, ALLOWED)
    except Denied:
        return
    assert found in ALLOWED
    assert target.lower().startswith(f"{found.host}:")


@given(
    st.sampled_from(["pypi.org", "mirror.example", "files.pythonhosted.org"]),
    st.text(alphabet="abc.:@/\\#?%[]0123456789 \t\r\n\x00-_*", min_size=1, max_size=12),
    st.sampled_from(["before", "after", "inside"]),
)
def test_a_listed_name_with_anything_added_is_another_name(
    host: str, added: str, where: str
) -> None:
    changed = {"before": added + host, "after": host + added, "inside": host[:3] + added + host[3:]}
    with pytest.raises(Denied):
        allowing.destination(f"{changed[where]}:443", ALLOWED - {Destination(changed[where], 443)})


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "169.254.169.254", "224.0.0.1", "::1", "::", "fe80::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "2002:7f00:1::"),
        *("64:ff9b::7f00:1", "ff02::1", "no address", "fe80::1%eth0", "::ffff:0.0.0.0"),
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
    ],
)
def test_addresses_of_this_machine_are_closed_in_every_notation(address: str) -> None:
    assert allowing.is_closed(address)


@pytest.mark.parametrize(
    "address", ["151.101.0.223", "10.1.2.3", "203.0.113.80", "2a04:4e42::223", "64:ff9b::9765:df"]
)
def test_public_addresses_and_a_mirrors_private_one_are_open(address: str) -> None:
    assert not allowing.is_closed(address)


@given(st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_no_loopback_address_is_open_in_any_form(address: ipaddress.IPv4Address) -> None:
    assert allowing.is_closed(str(address))
    assert allowing.is_closed(f"::ffff:{address}")
    assert allowing.is_closed(str(ipaddress.IPv6Address((0x64FF9B << 96) | int(address))))


def test_a_listed_name_that_leads_back_here_is_refused() -> None:
    wanted = Destination("pypi.org", 443)
    with pytest.raises(Denied, match="an address of this machine"):
        allowing.addresses(wanted, lambda *_: ["127.0.0.1", "::1", "169.254.169.254"])


def test_of_several_addresses_only_the_open_ones_are_dialled() -> None:
    wanted = Destination("pypi.org", 443)
    found = allowing.addresses(wanted, lambda *_: ["127.0.0.1", "203.0.113.7", "::1"])
    assert found == ("203.0.113.7",)


def test_a_name_that_is_not_known_is_refused_with_the_resolvers_words() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(Denied, match="Name or service not known"):
        allowing.addresses(Destination("pypi.org", 443), fail)


def test_the_systems_resolver_answers_addresses() -> None:
    assert set(allowing.resolve("localhost", 443)) <= {"127.0.0.1", "::1"}
