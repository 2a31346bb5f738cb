"""The client against servers that a well-behaved forge is not, over real connections."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

import pytest

from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret
from pressplay.forge.client import Forge

COMMENT = {"user": {"login": "a"}, "body": "b", "created_at": "1", "updated_at": "2"}
REPOSITORY = {
    "id": 7, "owner": {"login": "new"}, "name": "name", "default_branch": "main",
    "private": False, "clone_url": "http://127.0.0.1/new/name.git",
}  # fmt: skip
TOKEN = Secret("ghs_0123456789abcdefghij0123456789abcdef")
NOTHING: Mapping[str, str] = MappingProxyType({})
Answer = Callable[["_Handler"], None]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        server.asked.append((self.command, self.path, dict(self.headers)))
        length = int(self.headers.get("Content-Length", "0"))
        server.bodies.append(self.rfile.read(length))
        server.answer(self)

    do_POST = do_GET  # noqa: N815 - as above
    do_PATCH = do_GET  # noqa: N815 - as above

    def say(self, document: object, *, status: int = 200, **headers: str) -> None:
        """A JSON answer; underscores in the names of headers become dashes."""
        content = json.dumps(document).encode()
        self.raw(content, status=status, headers={"Content-Type": "application/json"} | headers)

    def raw(
        self, content: bytes, *, status: int = 200, headers: Mapping[str, str] = NOTHING
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes] = []


@contextmanager
def _served(answer: Answer) -> Iterator[tuple[_Server, Forge]]:
    with _Server(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            with Forge(api_url=f"http://127.0.0.1:{server.server_port}", token=TOKEN) as forge:
                yield server, forge
        finally:
            server.shutdown()
            thread.join()


def test_every_call_says_who_speaks_which_version_of_the_api() -> None:
    with _served(lambda it: it.say(REPOSITORY)) as (server, forge):
        forge.repository("o", "r")

    headers = {name.lower(): it for name, it in server.asked[0][2].items()}
    assert headers["user-agent"] == "pressplay"
    assert headers["accept"] == "application/vnd.github+json"
    assert headers["x-github-api-version"] == "2022-11-28"
    assert headers["authorization"] == f"Bearer {TOKEN.reveal()}"


def test_short_pages_are_read_on_as_long_as_there_is_a_next_one() -> None:
    def answer(it: _Handler) -> None:
        page = int(it.path.rpartition("page=")[2])
        link = f'<http://127.0.0.1/elsewhere?page={page + 1}>; rel="next"'
        first = '<http://127.0.0.1/?page=1>; rel="first"'
        it.say([COMMENT | {"id": page}], Link=link if page < 3 else first)

    with _served(answer) as (server, forge):
        assert [it.id for it in forge.issue_comments("o", "r", 1)] == [1, 2, 3]
    assert all(path.startswith("/repos/o/r/issues/1/comments?") for _, path, _ in server.asked)


def test_full_page_without_a_link_is_followed_by_a_look_at_the_next() -> None:
    def answer(it: _Handler) -> None:
        page = int(it.path.rpartition("page=")[2])
        it.say([COMMENT | {"id": page}] * (100 if page == 1 else 0))

    with _served(answer) as (_, forge):
        assert len(forge.issue_comments("o", "r", 1)) == 100


def test_link_that_leads_nowhere_ends() -> None:
    def answer(it: _Handler) -> None:
        it.say([COMMENT | {"id": 1}], Link='<http://127.0.0.1/?page=1>; rel="next"')

    with _served(answer) as (server, forge), pytest.raises(Refused, match="too many to read"):
        forge.issue_comments("o", "r", 1)
    assert len(server.asked) == 30


def test_renamed_repository_is_read_under_its_new_name_and_written_under_none() -> None:
    def answer(it: _Handler) -> None:
        if it.path.startswith("/repositories/7"):
            it.say(REPOSITORY)
            return
        rest = it.path.removeprefix("/repos/o/r")
        it.say({}, status=301 if it.command == "GET" else 307, Location=f"/repositories/7{rest}")

    with _served(answer) as (server, forge):
        assert forge.repository("o", "r").name == "name"
        with pytest.raises(Refused, match="use the new name"):
            forge.add_comment("o", "r", 1, body="b")
    assert [path for _, path, _ in server.asked][-1] == "/repos/o/r/issues/1/comments"


def test_token_is_not_carried_to_another_server() -> None:
    with (
        _served(lambda it: it.say(REPOSITORY)) as (other, _),
        _served(
            lambda it: it.say(
                {}, status=302, Location=f"http://127.0.0.1:{other.server_port}/repos/o/r"
            )
        ) as (_, forge),
        pytest.raises(Refused, match="renamed or moved"),
    ):
        forge.repository("o", "r")
    assert other.asked == []


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"<html>sign in</html>", {"Content-Type": "text/html"}),
        (b"\xff\xfe{", {"Content-Type": "application/json"}),
        (b"[" * 100_000, {"Content-Type": "application/json"}),
        (b'{"id": 1e999}', {"Content-Type": "application/json"}),
        (b'{"id": 7, "owner": null}', {"Content-Type": "application/json"}),
        (b"null", {"Content-Type": "application/json"}),
    ],
    ids=["html", "no utf-8", "deep", "endless number", "null inside", "null"],
)
def test_answer_that_is_no_forges_is_refused_with_advice(
    content: bytes, headers: dict[str, str]
) -> None:
    with (
        _served(lambda it: it.raw(content, headers=headers)) as (_, forge),
        pytest.raises(Refused, match="GITHUB_API_URL"),
    ):
        forge.repository("o", "r")


def _cut_off(it: _Handler) -> None:
    it.send_response(200)
    it.send_header("Content-Length", "1000")
    it.end_headers()
    it.wfile.write(b"{")
    it.close_connection = True


def _garbled(it: _Handler) -> None:
    content = gzip.compress(b"{}")[:-9] + b"nonsense!"
    it.raw(b"\x1f\x8b" + content, headers={"Content-Encoding": "gzip"})


def _no_http(it: _Handler) -> None:
    it.wfile.write(b"SSH-2.0-odd\r\n")
    it.close_connection = True


@pytest.mark.parametrize("answer", [_cut_off, _garbled, _no_http])
def test_answer_that_breaks_off_is_unavailable_and_a_write_is_not_repeated(
    answer: Answer,
) -> None:
    with _served(answer) as (server, forge), pytest.raises(Unavailable):
        forge.add_comment("o", "r", 1, body="b")
    assert len(server.asked) == 1


def test_read_survives_a_forge_that_is_down_for_a_moment() -> None:
    count = iter(range(9))

    def answer(it: _Handler) -> None:
        if next(count) < 2:
            it.say({"message": "Server Error"}, status=502)
        else:
            it.say(REPOSITORY)

    with _served(answer) as (server, forge):
        assert forge.repository("o", "r").id == 7
    assert len(server.asked) == 3


def test_write_that_the_limit_on_bursts_turned_away_arrives_once_it_may() -> None:
    count = iter(range(9))

    def answer(it: _Handler) -> None:
        if next(count) == 0:
            it.say({"message": "secondary rate limit"}, status=403, Retry_After="1")
        else:
            it.say(COMMENT | {"id": 1}, status=201)

    with _served(answer) as (server, forge):
        assert forge.add_comment("o", "r", 1, body="b").id == 1
    assert server.bodies[0] == server.bodies[1] == b'{"body":"b"}'


def test_texts_arrive_no_longer_than_githubs_limits() -> None:
    def answer(it: _Handler) -> None:
        check = {"id": 1, "name": "n", "head_sha": "s", "status": "completed"}
        it.say(check if "check-runs" in it.path else COMMENT | {"id": 1}, status=201)

    with _served(answer) as (server, forge):
        forge.add_comment("o", "r", 1, body="é" * 70_000)
        forge.add_check_run(
            "o", "r", name="n", sha="s", status="completed", conclusion="success",
            external_id="", title="t" * 999, summary="x" * 70_000,
        )  # fmt: skip

    body = json.loads(server.bodies[0])["body"]
    output = json.loads(server.bodies[1])["output"]
    assert len(body.encode()) <= 65_536
    assert "bytes are left out here" in body
    assert len(output["summary"]) <= 65_535
    assert len(output["title"]) <= 256


@pytest.mark.parametrize(
    ("word", "role", "seen"),
    [
        ("write", "maintain", "write"),
        ("read", "triage", "read"),
        ("admin", "admin", "admin"),
        ("none", "", "none"),
        ("owner", "owner", "none"),
        (None, "admin", "none"),
    ],
)
def test_permission_is_the_oldest_word_and_an_unknown_word_is_none(
    word: object, role: str, seen: str
) -> None:
    document = {"permission": word, "role_name": role, "user": None}

    with _served(lambda it: it.say(document)) as (_, forge):
        assert forge.permission("o", "r", "bob") == seen
