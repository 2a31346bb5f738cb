"""The door: nothing outside the table is sent; only harmless calls are repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from pressplay.base.errors import Refused, Unavailable
from pressplay.forge import transport
from pressplay.forge.errors import RefusedByForge
from pressplay.forge.transport import ClosedTransport, PatientTransport

API = "https://forge.example/api/v3"
GOLDEN = Path(__file__).parent / "golden"
REVIEW = {"commit_id": "c", "event": "APPROVE", "body": ""}


def _never(request: httpx2.Request) -> httpx2.Response:
    pytest.fail(f"{request.method} {request.url} was sent")


def _door(handler: Callable[[httpx2.Request], httpx2.Response] = _never) -> httpx2.Client:
    inner = httpx2.MockTransport(handler)
    return httpx2.Client(
        transport=ClosedTransport(inner, api_url=API), base_url=API, follow_redirects=True
    )


def _ok(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json={})


@pytest.mark.parametrize("line", (GOLDEN / "never.txt").read_text().splitlines())
def test_forbidden_operation_is_refused_before_anything_is_sent(line: str) -> None:
    verb, path = line.split(" ")

    with _door() as http, pytest.raises(Refused, match="Not in the table"):
        http.request(verb, API + path, json=None if verb == "GET" else {"query": "x"})


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("PATCH", "/repos/o/r/pulls/7", {"state": "closed"}),
        ("PATCH", "/repos/o/r/pulls/7", {"title": "t", "base": "main"}),
        ("PATCH", "/repos/o/r/pulls/7", {"title": ["t"]}),
        ("PATCH", "/repos/o/r/pulls/7", ["title"]),
        ("POST", "/repos/o/r/pulls/7/reviews", REVIEW | {"event": "REQUEST_CHANGES"}),
        ("POST", "/repos/o/r/pulls/7/reviews", REVIEW | {"event": ["APPROVE"]}),
        ("POST", "/repos/o/r/pulls/7/reviews", {"commit_id": "c"}),
        ("POST", "/repos/o/r/pulls", {"head": "h", "base": "b", "title": "t", "maintainer": True}),
        ("POST", "/repos/o/r/check-runs", {"name": "n", "head_sha": "s", "status": "done"}),
        (
            "POST",
            "/repos/o/r/check-runs",
            {"name": "n", "head_sha": "s", "status": "queued", "output": {"images": []}},
        ),
        ("POST", "/app/installations/1/access_tokens", {"repositories": ["r"]}),
        (
            "POST",
            "/app/installations/1/access_tokens",
            {"repositories": ["r"], "permissions": {"administration": "write"}},
        ),
        (
            "POST",
            "/app/installations/1/access_tokens",
            {"repositories": ["r"], "permissions": {"contents": "admin"}},
        ),
    ],
)
def test_body_outside_the_table_is_refused(verb: str, path: str, body: object) -> None:
    with _door() as http, pytest.raises(Refused, match="Body of"):
        http.request(verb, API + path, json=body)


@pytest.mark.parametrize("content", [b"", b"title=x", b'{"title":"a","title":"b"}', b"\xff"])
def test_body_that_could_be_read_two_ways_is_refused(content: bytes) -> None:
    with _door() as http, pytest.raises(Refused, match="one JSON object"):
        http.patch(API + "/repos/o/r/pulls/7", content=content)


def test_reading_call_with_a_body_is_refused() -> None:
    with _door() as http, pytest.raises(Refused, match="takes no body"):
        http.request("GET", API + "/repos/o/r", content=b"{}")


@pytest.mark.parametrize("query", ["?x=1", "?state=open&state=all", "?_method=DELETE"])
def test_query_outside_the_table_is_refused(query: str) -> None:
    with _door() as http, pytest.raises(Refused, match="Query of"):
        http.get(API + "/repos/o/r/pulls" + query)


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "Content-Encoding", "Cookie"])
def test_header_that_could_change_the_meaning_is_refused(name: str) -> None:
    with _door() as http, pytest.raises(Refused, match="is not sent to a forge"):
        http.get(API + "/repos/o/r", headers={name: "DELETE"})


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/api/v3/repos/o/r",
        "http://forge.example/api/v3/repos/o/r",
        "https://forge.example:8443/api/v3/repos/o/r",
        "https://forge.example/repos/o/r",
        "https://forge.example/api/v3evil/repos/o/r",
    ],
)
def test_token_never_travels_to_another_address(url: str) -> None:
    with _door() as http, pytest.raises(Refused, match="not the configured forge"):
        http.get(url)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed_even_by_a_client_that_would(status: int) -> None:
    sent: list[str] = []

    def redirecting(request: httpx2.Request) -> httpx2.Response:
        sent.append(str(request.url))
        return httpx2.Response(status, headers={"location": f"{API}/repos/o/other"})

    with _door(redirecting) as http, pytest.raises(RefusedByForge, match="use the new name"):
        http.get(API + "/repos/o/r")
    assert sent == [f"{API}/repos/o/r"]


def test_call_of_the_table_passes() -> None:
    with _door(_ok) as http:
        assert http.post(API + "/repos/o/r/pulls/7/reviews", json=REVIEW).status_code == 200
        assert http.get(API + "/repos/o/r/pulls?head=o:b&state=open&per_page=1").status_code == 200


class _Flaky:
    """Fails as told, then answers."""

    def __init__(
        self, *failures: int | type[Exception], headers: dict[str, str] | None = None
    ) -> None:
        self.failures = list(failures)
        self.headers = headers or {}
        self.asked = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if not self.failures:
            return httpx2.Response(200, json={})
        failure = self.failures.pop(0)
        if isinstance(failure, int):
            return httpx2.Response(failure, headers=self.headers)
        raise failure("broken")


def _patient(flaky: _Flaky, pauses: list[float]) -> httpx2.Client:
    inner = httpx2.MockTransport(flaky)
    return httpx2.Client(transport=PatientTransport(inner, pause=pauses.append))


@pytest.mark.parametrize("failure", [429, 500, 502, 503, httpx2.ConnectError, httpx2.ReadTimeout])
def test_get_is_repeated_until_the_forge_answers(failure: int | type[Exception]) -> None:
    pauses: list[float] = []
    flaky = _Flaky(failure, failure)

    with _patient(flaky, pauses) as http:
        assert http.get(API).status_code == 200
    assert flaky.asked == 3
    assert len(pauses) == 2


def test_get_is_repeated_a_bounded_number_of_times_with_growing_pauses() -> None:
    pauses: list[float] = []
    flaky = _Flaky(*[503] * 99)

    with _patient(flaky, pauses) as http, pytest.raises(Unavailable, match="answers 503"):
        http.get(API)
    assert flaky.asked == transport.ATTEMPTS
    for pause, ceiling in zip(pauses, (0.5, 1.0, 2.0, 4.0), strict=True):
        assert ceiling / 2 <= pause <= ceiling


@pytest.mark.parametrize("failure", [503, 429, httpx2.ConnectError])
def test_writing_call_is_sent_once(failure: int | type[Exception]) -> None:
    pauses: list[float] = []
    flaky = _Flaky(failure)

    with _patient(flaky, pauses) as http, pytest.raises(Unavailable):
        http.post(API, json={})
    assert flaky.asked == 1
    assert pauses == []


def test_retry_after_is_honoured() -> None:
    pauses: list[float] = []
    flaky = _Flaky(429, headers={"retry-after": "7"})

    with _patient(flaky, pauses) as http:
        http.get(API)
    assert pauses == [7.0]


def test_retry_after_beyond_the_cap_ends_the_waiting_at_once() -> None:
    pauses: list[float] = []
    flaky = _Flaky(429, headers={"retry-after": "3600"})

    with _patient(flaky, pauses) as http, pytest.raises(Unavailable):
        http.get(API)
    assert flaky.asked == 1
    assert pauses == []


def test_spent_rate_limit_counts_as_unavailable_though_it_is_a_403() -> None:
    pauses: list[float] = []
    flaky = _Flaky(403, headers={"x-ratelimit-remaining": "0"})

    with _patient(flaky, pauses) as http:
        assert http.get(API).status_code == 200
    assert flaky.asked == 2


def test_plain_403_is_an_answer() -> None:
    flaky = _Flaky(403)

    with _patient(flaky, []) as http:
        assert http.get(API).status_code == 403
    assert flaky.asked == 1
