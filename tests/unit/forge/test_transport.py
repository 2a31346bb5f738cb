"""The door: nothing outside the table is sent; only harmless calls are repeated."""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from pressplay.base.clocks import SystemClock
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


class _Moved:
    """Points from the former name to `location`, and answers everything else."""

    def __init__(self, location: str, *, status: int = 301) -> None:
        self.sent: list[str] = []
        self._location = location
        self._status = status

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(str(request.url))
        if "/repos/o/r" in str(request.url):
            return httpx2.Response(self._status, headers={"location": self._location})
        return httpx2.Response(200, json={})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    "location",
    [f"{API}/repositories/7/pulls", f"{API}/repos/new/name/pulls", "/api/v3/repositories/7/pulls"],
)
def test_reading_call_follows_a_renamed_repository_with_its_own_query(
    status: int, location: str
) -> None:
    moved = _Moved(location, status=status)

    with _door(moved) as http:
        assert http.get(API + "/repos/o/r/pulls?state=open").status_code == 200
    there = location if location.startswith("https") else f"https://forge.example{location}"
    assert moved.sent[1:] == [f"{there}?state=open"]


@pytest.mark.parametrize(
    "location",
    [
        "",
        "https://elsewhere.example/api/v3/repositories/7/pulls",
        "http://forge.example/api/v3/repositories/7/pulls",
        "https://forge.example/repositories/7/pulls",
        f"{API}/repositories/7/pulls/1/merge",
        f"{API}/repositories/7/pulls/1",
        f"{API}/repositories/x/pulls",
        f"{API}/user",
        "https://[::1",
    ],
)
def test_redirect_to_anything_but_the_same_call_is_not_followed(location: str) -> None:
    moved = _Moved(location)

    with _door(moved) as http, pytest.raises(RefusedByForge, match="use the new name"):
        http.get(API + "/repos/o/r/pulls")
    assert moved.sent == [f"{API}/repos/o/r/pulls"]


def test_writing_call_follows_no_redirect() -> None:
    moved = _Moved(f"{API}/repositories/7/pulls/7/reviews", status=307)

    with _door(moved) as http, pytest.raises(RefusedByForge, match="use the new name"):
        http.post(API + "/repos/o/r/pulls/7/reviews", json=REVIEW)
    assert len(moved.sent) == 1


def test_ring_of_redirects_ends() -> None:
    moved = _Moved(f"{API}/repos/o/r2/pulls")

    with _door(moved) as http, pytest.raises(RefusedByForge, match="use the new name"):
        http.get(API + "/repos/o/r/pulls")
    assert len(moved.sent) == transport.MOST_REDIRECTS + 1


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


@pytest.mark.parametrize("failure", [503, httpx2.ConnectError])
def test_writing_call_is_sent_once(failure: int | type[Exception]) -> None:
    pauses: list[float] = []
    flaky = _Flaky(failure)

    with _patient(flaky, pauses) as http, pytest.raises(Unavailable):
        http.post(API, json={})
    assert flaky.asked == 1
    assert pauses == []


def test_writing_call_that_a_rate_limit_turned_away_is_sent_again() -> None:
    pauses: list[float] = []
    flaky = _Flaky(429, headers={"retry-after": "3"})

    with _patient(flaky, pauses) as http:
        assert http.post(API, json={}).status_code == 200
    assert (flaky.asked, pauses) == (2, [3.0])


def test_retry_after_may_be_a_date() -> None:
    pauses: list[float] = []
    soon = email.utils.format_datetime(SystemClock().now() + timedelta(seconds=10), usegmt=True)
    flaky = _Flaky(429, headers={"retry-after": soon})

    with _patient(flaky, pauses) as http:
        http.get(API)
    assert 5 < pauses[0] <= 10


@pytest.mark.parametrize("text", ["soon", "-5", "1e9", ""])
def test_retry_after_that_is_none_is_not_believed(text: str) -> None:
    pauses: list[float] = []

    with _patient(_Flaky(429, headers={"retry-after": text}), pauses) as http:
        http.get(API)
    assert 0 < pauses[0] <= transport.FIRST_PAUSE_S


@pytest.mark.parametrize(("ahead_s", "asked"), [(5, 2), (3600, 1)])
def test_spent_limit_waits_for_its_reset_or_gives_up_at_once(ahead_s: int, asked: int) -> None:
    pauses: list[float] = []
    reset = str(int(SystemClock().now().timestamp()) + ahead_s)
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
    flaky = _Flaky(403, headers=headers)

    with _patient(flaky, pauses) as http:
        if asked == 1:
            with pytest.raises(Unavailable, match=r"rate limit\); try again in 3[0-9]{3} s"):
                http.get(API)
        else:
            http.get(API)
            assert 0 < pauses[0] <= ahead_s
    assert flaky.asked == asked


def test_limit_on_bursts_that_names_no_time_is_left_to_the_steps_own_retry() -> None:
    asked: list[httpx2.Request] = []

    def limited(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(403, json={"message": "You have exceeded a secondary rate limit"})

    http = httpx2.Client(transport=PatientTransport(httpx2.MockTransport(limited)))
    with http, pytest.raises(Unavailable, match="try again in 60 s"):
        http.post(API, json={})
    assert len(asked) == 1


def test_token_that_was_just_made_is_tried_again_until_it_is_known() -> None:
    pauses: list[float] = []
    flaky = _Flaky(401, 401)

    with _patient(flaky, pauses) as http:
        headers = {"Authorization": "Bearer ghs_x"}
        assert http.get(API, headers=headers).status_code == 200
        flaky.failures = [401]
        assert http.get(API, headers=headers).status_code == 401
    assert pauses == [transport.FRESH_TOKEN_PAUSE_S] * 2


@pytest.mark.parametrize(("verb", "token"), [("GET", "e30.e30.x"), ("POST", "ghs_x")])
def test_other_401s_are_answers(verb: str, token: str) -> None:
    flaky = _Flaky(401)

    with _patient(flaky, []) as http:
        answer = http.request(verb, API, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, flaky.asked) == (401, 1)


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
