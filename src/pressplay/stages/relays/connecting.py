"""The CONNECT proxy: bytes to and from the allowed registries, and a word in the log for the rest.

It never sees into the encrypted connection; a client checks the registry's certificate itself.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from pressplay.stages.relays import allowing, heads, hellos, sockets
from pressplay.stages.relays.allowing import Denied, Destination
from pressplay.stages.relays.heads import BadRequest

CONNECT_S = 10.0
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_REMEMBERED = 500
"""Different refusals that are logged; a program that tries addresses must not fill the disk."""

Log = Callable[..., None]
Dial = Callable[[str, int], socket.socket]


def dial(address: str, port: int) -> socket.socket:
    """A connection to an address. Raises OSError."""
    made = socket.create_connection((address, port), timeout=CONNECT_S)
    made.settimeout(None)
    sockets.hasten(made)
    return made


class Proxy:
    """Serves one connection at a time for each thread that calls it."""

    def __init__(
        self,
        allowed: frozenset[Destination],
        *,
        log: Log,
        resolve: allowing.Resolve = allowing.resolve,
        dial: Dial = dial,
    ) -> None:
        """`log` gets an event's name and its fields."""
        self._allowed = allowed
        self._log = log
        self._resolve = resolve
        self._dial = dial
        self._said: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def serve(self, client: socket.socket) -> None:
        """Answer one CONNECT, and pass bytes until both sides are done. Raises OSError."""
        try:
            head, rest = heads.read(client)
            server = self._open(client, head, rest)
        except BadRequest as error:
            self._refuse(client, "", str(error), status=error.status)
            return
        if server is not None:
            with server:
                sockets.join(client, server)

    def _open(self, client: socket.socket, head: heads.Head, rest: bytes) -> socket.socket | None:
        if head.method != "CONNECT":
            why = "only CONNECT is served: registries are reached over https"
            self._refuse(client, f"{head.method} {head.target}", why, status=405)
            return None
        try:
            wanted = allowing.destination(head.target, self._allowed)
            found = allowing.addresses(wanted, self._resolve)
        except Denied as error:
            self._refuse(client, head.target, str(error), status=403)
            return None
        server = self._dial_any(found, wanted.port)
        if server is None:
            self._refuse(client, head.target, "no address of the host answers", status=502)
            return None
        try:
            client.sendall(_ESTABLISHED)
            # The name within must be the one that was asked for: one front serves many hosts.
            server.sendall(hellos.read(client, rest, host=wanted.host))
        except BaseException as error:
            server.close()
            if isinstance(error, hellos.NotHello):
                self._note(head.target, str(error))
                return None
            raise
        return server

    def _dial_any(self, found: tuple[str, ...], port: int) -> socket.socket | None:
        for address in found:
            with suppress(OSError):
                return self._dial(address, port)
        return None

    def _refuse(self, client: socket.socket, target: str, why: str, *, status: int) -> None:
        self._note(target, why)
        body = f"pressplay: {target[:200] or 'the request'} is refused: {why}\n".encode()
        head = (
            f"HTTP/1.1 {status} Refused\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        client.sendall(head.encode() + body)

    def _note(self, target: str, why: str) -> None:
        said = (target[:200], why)
        with self._lock:
            if said in self._said or len(self._said) >= _REMEMBERED:
                return
            self._said.add(said)
        self._log("connection_refused", target=said[0], why=why)
