from __future__ import annotations

import itertools
import socket
import ssl
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.relays import hellos
from pressplay.stages.relays.hellos import NotHello


def greeting(host: str) -> bytes:
    """What this machine's TLS library says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=host).do_handshake()
    return outgoing.read()


HELLO = greeting("pypi.org")


def test_the_name_in_a_real_greeting_is_found() -> None:
    assert hellos.server_name(HELLO) == "pypi.org"
    assert hellos.server_name(greeting("registry.npmjs.org") + b"more") == "registry.npmjs.org"


def test_a_greeting_to_a_bare_address_names_no_host() -> None:
    assert hellos.server_name(greeting("127.0.0.1")) == ""


@given(st.lists(st.integers(1, len(HELLO) - 6), max_size=6))
def test_a_greeting_that_is_cut_into_records_is_put_together(cuts: list[int]) -> None:
    body = HELLO[5:]
    edges = [0, *sorted(set(cuts)), len(body)]
    parts = [body[one:two] for one, two in itertools.pairwise(edges)]
    cut = b"".join(b"\x16\x03\x01" + len(p).to_bytes(2, "big") + p for p in parts)
    assert hellos.server_name(cut) == "pypi.org"


@given(st.binary(max_size=300))
def test_any_bytes_are_a_greeting_or_not(data: bytes) -> None:
    try:
        assert isinstance(hellos.server_name(data), str)
    except (NotHello, hellos._Short):
        return


@given(st.integers(0, len(HELLO) - 1), st.integers(0, 255))
def test_a_greeting_with_a_wrong_byte_never_breaks_the_reader(place: int, byte: int) -> None:
    broken = HELLO[:place] + bytes([byte]) + HELLO[place + 1 :]
    try:
        assert isinstance(hellos.server_name(broken), str)
    except (NotHello, hellos._Short):
        return


def test_a_greeting_is_waited_for_until_it_names_its_host() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(HELLO[100:])
        assert hellos.read(ours, HELLO[:100], host="pypi.org") == HELLO


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (greeting("evil.example"), "names 'evil.example'"),
        (greeting("127.0.0.1"), "names 'no host'"),
        (b"GET / HTTP/1.1\r\n\r\n", "is not TLS"),
        (b"SSH-2.0-x\r\n", "is not TLS"),
        (HELLO[:5] + b"\x02" + HELLO[6:], "is not a TLS greeting"),
    ],
)
def test_what_greets_another_host_or_nobody_is_cut_off(data: bytes, why: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        with pytest.raises(NotHello, match=why):
            hellos.read(ours, b"", host="pypi.org")


def test_a_client_that_greets_with_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hellos, "WITHIN_S", 0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(NotHello, match="in time"):
            hellos.read(ours, HELLO[:50], host="pypi.org")
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(NotHello, match="ended before"):
            hellos.read(ours, HELLO[:50], host="pypi.org")


def test_a_greeting_without_an_end_is_cut_off() -> None:
    record = b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + b"\x00" * (0x4000 - 4)
    more = b"\x16\x03\x01\x40\x00" + b"\x00" * 0x4000
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = threading.Thread(target=_pour, args=(theirs, record + more * 20))
        thread.start()
        with pytest.raises(NotHello, match="no TLS greeting came"):
            hellos.read(ours, b"", host="pypi.org")
        ours.shutdown(socket.SHUT_RDWR)
        thread.join()


def _pour(target: socket.socket, data: bytes) -> None:
    try:
        target.sendall(data)
    except OSError:
        return
