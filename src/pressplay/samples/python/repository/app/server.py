"""HTTP in front of the items: JSON in, JSON out."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from app.items import InvalidItem, Items

BODY_LIMIT = 64 * 1024


class Server(ThreadingHTTPServer):
    """One thread a connection, all on the same items."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], items: Items) -> None:
        self.items = items
        super().__init__(address, Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Header and body go out in two writes; the second must not wait for an acknowledgement.
    disable_nagle_algorithm = True
    timeout = 30

    def do_GET(self) -> None:
        match urlsplit(self.path).path:
            case "/healthz":
                self._answer(200, {"status": "ok"})
            case "/api/items":
                self._answer(200, {"items": self._items().all()})
            case _:
                self._answer(404, {"error": "not found"})

    def do_POST(self) -> None:
        if urlsplit(self.path).path != "/api/items":
            self._refuse(404, "not found")
            return
        try:
            item = self._items().add(self._body())
        except ValueError as error:
            self._refuse(400, str(error))
            return
        self._answer(201, item)

    def log_message(self, format: str, *args: object) -> None:
        """One line a request would drown everything else under load."""

    def _items(self) -> Items:
        assert isinstance(self.server, Server)
        return self.server.items

    def _body(self) -> object:
        """The request's JSON. Raises ValueError."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_LIMIT:
            raise InvalidItem(f"send a body with a Content-Length of at most {BODY_LIMIT}")
        return json.loads(self.rfile.read(int(length)))

    def _refuse(self, status: int, why: str) -> None:
        # The body may not have been read; on this connection it would pass for a request.
        self.close_connection = True
        self._answer(status, {"error": why})

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def make_server(items: Items, *, port: int, host: str = "127.0.0.1") -> Server:
    """A server that listens already; port 0 means any free one."""
    return Server((host, port), items)
