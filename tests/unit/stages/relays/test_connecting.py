from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pressplay.stages.relays import allowing, connecting, serving, sockets

HOST = "registry.example"
ALLOWED = allowing.parse(f"{HOST},other.example:8443")


@dataclass
class Registry:
    """A TLS server on loopback that answers every line with the same line, twice."""

    port: int
    certificate: Path
    greeted: list[bytes] = field(default_factory=list)


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    certificate, key = _certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        sockets.hasten(connection)
        with context.wrap_socket(connection, server_side=True) as tls:
            while line := tls.recv(65536):
                tls.sendall(line * 2)

    port = listening.getsockname()[1]
    with serving.serving(listening, answer):
        yield Registry(port, certificate)


@dataclass
class World:
    socket: Path
    logged: list[tuple[str, dict[str, Any]]]
    dialled: list[tuple[str, int]]


@pytest.fixture
def world(registry: Registry, serve: Any) -> World:
    logged: list[tuple[str, dict[str, Any]]] = []
    dialled: list[tuple[str, int]] = []

    def dial(address: str, port: int) -> socket.socket:
        dialled.append((address, port))
        if address == "203.0.113.1":
            raise OSError("nobody there")
        return connecting.dial("127.0.0.1", registry.port)

    proxy = connecting.Proxy(
        ALLOWED,
        log=lambda event, **fields: logged.append((event, fields)),
        resolve=lambda host, port: {
            HOST: ["127.0.0.1", "203.0.113.1", "203.0.113.2"],
            "other.example": ["127.0.0.1", "169.254.169.254"],
        }[host],
        dial=dial,
    )
    return World(serve(proxy.serve), logged, dialled)


def connect(world: World, target: str = f"{HOST}:443") -> socket.socket:
    client = sockets.connect(world.socket)
    client.settimeout(10)
    client.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    assert client.recv(39) == b"HTTP/1.1 200 Connection established\r\n\r\n"
    return client


def test_a_client_speaks_tls_with_an_allowed_registry(registry: Registry, world: World) -> None:
    context = ssl.create_default_context(cafile=registry.certificate)
    with (
        connect(world) as client,
        context.wrap_socket(client, server_hostname=HOST) as tls,
    ):
        tls.sendall(b"hello")
        assert tls.recv(10) == b"hellohello"
    # The first address that is open and answers; the machine's own was never tried.
    assert world.dialled == [("203.0.113.1", 443), ("203.0.113.2", 443)]
    assert world.logged == []


def test_much_data_passes_unchanged(registry: Registry, world: World) -> None:
    context = ssl.create_default_context(cafile=registry.certificate)
    with connect(world) as client, context.wrap_socket(client, server_hostname=HOST) as tls:
        for _ in range(50):
            tls.sendall(b"x" * 10_000)
            got = 0
            while got < 20_000:
                got += len(tls.recv(65536))
            assert got == 20_000


def test_one_front_cannot_be_asked_for_another_host(registry: Registry, world: World) -> None:
    context = ssl.create_default_context(cafile=registry.certificate)
    with connect(world) as client, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(client, server_hostname="evil.example")
    event, fields = world.logged[0]
    assert event == "connection_refused"
    assert "names 'evil.example'" in fields["why"]


def test_what_is_not_tls_never_reaches_the_registry(world: World, talk: Any) -> None:
    with connect(world) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert talk.rest(client) == b""
    assert world.logged[0][1]["why"] == "what follows is not TLS"


@pytest.mark.parametrize(
    ("request_line", "status", "why"),
    [
        ("CONNECT evil.example:443 HTTP/1.1", 403, "not in PRESSPLAY_REGISTRIES"),
        (f"CONNECT {HOST}:80 HTTP/1.1", 403, "port 80 is not allowed for this host"),
        (f"CONNECT {HOST}@evil.example:443 HTTP/1.1", 403, "only the name of a host"),
        (f"CONNECT user:pass@{HOST}:443 HTTP/1.1", 403, "is not host:port"),
        ("CONNECT 127.0.0.1:443 HTTP/1.1", 403, "only the name of a host"),
        ("CONNECT [::1]:443 HTTP/1.1", 403, "is not host:port"),
        ("CONNECT localhost:443 HTTP/1.1", 403, "only the name of a host"),
        ("CONNECT other.example:8443 HTTP/1.1", 403, "an address of this machine"),
        (f"GET http://{HOST}/ HTTP/1.1", 405, "only CONNECT is served"),
        ("GET / HTTP/1.1", 405, "only CONNECT is served"),
        (f"CONNECT {HOST}:443", 400, "first line is not one"),
        (f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: a\r\nHost: b", 400, "two fields host"),
        ("CONNECT x HTTP/1.1\r\n" + "X: y\r\n" * 9000, 431, "too long"),
    ],
)
def test_a_bypass_is_answered_and_logged(
    world: World, talk: Any, request_line: str, status: int, why: str
) -> None:
    answer = talk.send(world.socket, f"{request_line}\r\n\r\n".encode()).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert why in answer
    assert why in world.logged[0][1]["why"]
    assert world.dialled == []


def test_the_host_field_does_not_matter(world: World, talk: Any) -> None:
    answer = talk.send(
        world.socket, f"CONNECT evil.example:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 403 ")


def test_a_refusal_is_logged_once_however_often_it_is_asked_for(world: World, talk: Any) -> None:
    for _ in range(3):
        talk.send(world.socket, b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n")
    assert len(world.logged) == 1


def test_the_log_does_not_grow_without_end(
    world: World, talk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_REMEMBERED", 5)
    for number in range(8):
        talk.send(world.socket, f"CONNECT e{number}.example:443 HTTP/1.1\r\n\r\n".encode())
    assert len(world.logged) == 5


def test_a_registry_that_does_not_answer_is_told(serve: Any, talk: Any) -> None:
    def dial(address: str, port: int) -> socket.socket:
        raise OSError("nobody there")

    proxy = connecting.Proxy(
        ALLOWED, log=lambda *_, **__: None, resolve=lambda *_: ["203.0.113.1"], dial=dial
    )
    answer = talk.send(serve(proxy.serve), f"CONNECT {HOST}:443 HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502 ")


def test_slow_clients_do_not_keep_others_waiting(world: World, talk: Any) -> None:
    slow = [sockets.connect(world.socket) for _ in range(20)]
    try:
        for each in slow:
            each.sendall(b"CONNECT ")
        answer = talk.send(world.socket, b"GET / HTTP/1.1\r\n\r\n", timeout_s=3)
        assert answer.startswith(b"HTTP/1.1 405 ")
    finally:
        for each in slow:
            each.close()
