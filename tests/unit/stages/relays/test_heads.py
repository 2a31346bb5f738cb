from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.relays import heads
from pressplay.stages.relays.heads import BadRequest

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_head_is_read_and_what_follows_is_kept(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: x\r\nX-A:  b c \r\n\r\nrest")
    head, rest = heads.read(ours)
    assert (head.method, head.target) == ("POST", "/v1/messages?beta=true")
    assert head.fields == (("host", "x"), ("x-a", "b c"))
    assert rest == b"rest"


def test_a_body_comes_whole_however_it_is_cut(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nab")
    head, rest = heads.read(ours)
    theirs.sendall(b"cd")
    threading.Timer(0.05, theirs.sendall, [b"efgh"]).start()
    assert heads.read_body(ours, head, rest, limit=10, within_s=5) == b"abcdef"


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    head, rest = heads.read(ours)

    def answer() -> None:
        assert theirs.recv(99).startswith(b"HTTP/1.1 100 ")
        theirs.sendall(b"ok")

    thread = threading.Thread(target=answer)
    thread.start()
    assert heads.read_body(ours, head, rest, limit=10, within_s=5) == b"ok"
    thread.join()


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (b"Transfer-Encoding: chunked", 411),
        (b"Content-Length: 11", 413),
        (b"Content-Length: -1", 400),
        (b"Content-Length: 1_0", 400),
        (b"Content-Length: +1", 400),
        (b"Content-Length: 0x1", 400),
    ],
)
def test_a_body_of_unclear_or_too_great_length_is_refused(
    pair: Pair, field: bytes, status: int
) -> None:
    head = heads.parse(b"POST / HTTP/1.1\r\n" + field)
    with pytest.raises(BadRequest) as caught:
        heads.read_body(pair[0], head, b"", limit=10, within_s=1)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"CONNECT",
        b"CONNECT pypi.org:443",
        b"CONNECT pypi.org:443 HTTP/2.0",
        b"CONNECT  pypi.org:443 HTTP/1.1",
        b"CONNECT pypi.org:443 HTTP/1.1 ",
        b"CONNECT\tpypi.org:443 HTTP/1.1",
        b"CONNECT pypi.org:443\x00 HTTP/1.1",
        b"connect pypi.org:443 HTTP/1.1",
        b"CONNECT pypi.org:443 HTTP/1.1\nHost: x",
        b"CONNECT pypi.org:443 HTTP/1.1\r\n folded: x",
        b"CONNECT pypi.org:443 HTTP/1.1\r\nHost : x",
        b"CONNECT pypi.org:443 HTTP/1.1\r\nno colon",
        b"CONNECT pypi.org:443 HTTP/1.1\r\nX: a\rY: b",
        b"CONNECT pypi.org:443 HTTP/1.1\r\nX: a\nY: b",
        b"CONNECT pypi.org:443 HTTP/1.1\r\nX: a\x00",
        b"CONNECT pypi.org:443 HTTP/1.1\r\nHost: a\r\nHost: b",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 2",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: x\r\nTransfer-Encoding: y",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest):
        heads.parse(head)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_refused(data: bytes) -> None:
    try:
        head = heads.parse(data)
    except BadRequest:
        return
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert head.method.isupper()


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True),
        st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=20),
        max_size=5,
    )
)
def test_what_a_client_sends_is_what_is_read(fields: dict[str, str]) -> None:
    lines = "".join(f"\r\n{name}: {value}" for name, value in fields.items())
    head = heads.parse(f"GET /x HTTP/1.1{lines}".encode())
    assert dict(head.fields) == fields


def test_a_huge_head_is_refused_without_being_kept(pair: Pair) -> None:
    ours, theirs = pair

    def pour() -> None:
        try:
            theirs.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000)
        except OSError:
            return

    thread = threading.Thread(target=pour)
    thread.start()
    with pytest.raises(BadRequest, match="too long") as caught:
        heads.read(ours)
    ours.close()
    thread.join()
    assert caught.value.status == 431


def test_a_head_that_trickles_in_is_given_up_in_time(pair: Pair) -> None:
    ours, theirs = pair
    over = threading.Event()

    def trickle() -> None:
        while not over.wait(0.02):
            theirs.sendall(b"X")

    thread = threading.Thread(target=trickle)
    thread.start()
    started = time.monotonic()
    with pytest.raises(BadRequest, match="too slowly") as caught:
        heads.read(ours, within_s=0.3)
    taken = time.monotonic() - started
    over.set()
    thread.join()
    assert caught.value.status == 408
    assert taken < 2


def test_a_client_that_says_nothing_is_given_up_in_time(pair: Pair) -> None:
    with pytest.raises(BadRequest, match="too slowly"):
        heads.read(pair[0], within_s=0.05)


def test_a_client_that_leaves_within_its_head_or_body_is_no_request(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
    head, rest = heads.read(ours)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(BadRequest, match="within its body"):
        heads.read_body(ours, head, rest, limit=10, within_s=5)
    with pytest.raises(BadRequest, match="within its head"):
        heads.read(ours)
