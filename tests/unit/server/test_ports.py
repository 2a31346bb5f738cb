from __future__ import annotations

import socket

import pytest

from pressplay.base.errors import Unavailable
from pressplay.server import ports


def test_free_port_can_be_listened_on() -> None:
    port = ports.free_port(())
    assert ports.FIRST <= port <= ports.LAST
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert not ports.is_free(port)


def test_taken_ports_are_left_out() -> None:
    taken = set(range(ports.FIRST, ports.LAST + 1))
    some = next(port for port in range(ports.FIRST, ports.LAST) if ports.is_free(port))
    assert ports.free_port(taken - {some}) == some


def test_no_port_left_is_said() -> None:
    with pytest.raises(Unavailable, match="No TCP port"):
        ports.free_port(range(ports.FIRST, ports.LAST + 1))
