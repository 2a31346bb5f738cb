"""A running service for every test, on a port of its own."""

import http.client
import json
import threading
from collections.abc import Iterator

import pytest

from app.items import Items
from app.server import make_server


class Client:
    """Speaks JSON with the service; answers status and document."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str) -> tuple[int, object]:
        return self._ask("GET", path, b"")

    def post(self, path: str, document: object) -> tuple[int, object]:
        return self._ask("POST", path, json.dumps(document).encode())

    def send(self, path: str, body: bytes) -> tuple[int, object]:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request(method, path, body=body)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()


@pytest.fixture
def client() -> Iterator[Client]:
    with make_server(Items(), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Client(server.server_port)
        server.shutdown()
        thread.join()
