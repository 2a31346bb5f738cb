from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from pressplay.stages.relays import carrying, serving, sockets


def test_no_more_connections_are_served_at_once_than_allowed() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    entered, release = threading.Semaphore(0), threading.Event()

    def serve(client: socket.socket) -> None:
        entered.release()
        release.wait(5)
        client.sendall(b"done")

    with serving.serving(listening, serve, limit=2):
        clients = [socket.create_connection(listening.getsockname()) for _ in range(3)]
        assert entered.acquire(timeout=5)
        assert entered.acquire(timeout=5)
        assert not entered.acquire(timeout=0.1)
        release.set()
        for each in clients:
            each.settimeout(5)
            assert each.recv(4) == b"done"
            each.close()


def test_the_end_cuts_open_connections() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    entered = threading.Event()

    def serve(client: socket.socket) -> None:
        entered.set()
        client.recv(1)

    started = time.monotonic()
    with (
        socket.create_connection(listening.getsockname()) as client,
        serving.serving(listening, serve),
    ):
        assert entered.wait(5)
    assert time.monotonic() - started < 3
    assert client.fileno() == -1


def test_a_fault_in_one_connection_leaves_the_others_alone() -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        if client.recv(1) == b"x":
            raise OSError("gone")
        client.sendall(b"fine")

    with serving.serving(listening, serve):
        for said, answer in ((b"x", b""), (b"y", b"fine")):
            with socket.create_connection(listening.getsockname(), timeout=5) as client:
                client.sendall(said)
                assert client.recv(4) == answer


def test_a_port_leads_to_a_socket_and_both_sides_hear_each_others_end(tmp_path: Path) -> None:
    def echo(client: socket.socket) -> None:
        data = b""
        while more := client.recv(100):
            data += more
        client.sendall(data[::-1])

    path = tmp_path / "s.sock"
    with (
        serving.serving(sockets.listen(path), echo),
        carrying.carrier(path) as port,
        socket.create_connection(("127.0.0.1", port), timeout=5) as client,
    ):
        client.sendall(b"abc")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b"cba"
        assert client.recv(10) == b""


def test_a_socket_that_nobody_serves_ends_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    sockets.listen(path).close()
    with (
        carrying.carrier(path) as port,
        socket.create_connection(("127.0.0.1", port), timeout=5) as client,
    ):
        assert client.recv(1) == b""


def test_a_socket_may_have_a_long_path_and_is_for_its_user_only(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    path = folder / "s.sock"
    with sockets.listen(path) as listening, sockets.connect(path):
        assert path.stat().st_mode & 0o777 == 0o600
        listening.accept()[0].close()


def test_half_a_download_does_not_look_like_a_whole_one() -> None:
    (one, ours), (theirs, other) = socket.socketpair(), socket.socketpair()
    with one, other:
        joining = threading.Thread(target=sockets.join, args=(ours, theirs))
        joining.start()
        theirs.shutdown(socket.SHUT_RDWR)
        other.close()
        one.settimeout(5)
        assert one.recv(1) == b""
        one.close()
        joining.join(5)
        assert not joining.is_alive()
    ours.close()
    theirs.close()
