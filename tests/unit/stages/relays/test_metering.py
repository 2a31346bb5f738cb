from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pressplay.base import redaction
from pressplay.base.redaction import Secret
from pressplay.stages.limits import Limits
from pressplay.stages.relays import metering, prices, sockets, upstream
from pressplay.stages.relays.ledger import Ledger
from pressplay.stages.relays.upstream import Service, Upstream

KEY = "sk-the-real-key-1234567890"
PRICES = prices.parse(
    '{"models": {"small": {"input": 1, "output": 5}, "big": {"input": 10, "output": 50}}}'
)
ASK = {"model": "small", "max_tokens": 1000, "messages": [{"role": "user", "content": "Hi"}]}


@dataclass
class Metered:
    socket: Path
    records: list[dict[str, Any]]
    logged: list[tuple[str, dict[str, Any]]]

    @property
    def record(self) -> dict[str, Any]:
        return self.records[-1]


@pytest.fixture
def start(model: Any, serve: Any, request: pytest.FixtureRequest) -> Callable[..., Metered]:
    def begin(limits: Limits = Limits(), *, url: str = "") -> Metered:  # noqa: B008 - frozen
        records: list[dict[str, Any]] = []
        logged: list[tuple[str, dict[str, Any]]] = []
        calls = Upstream(Service(url or model.url, Secret(KEY)))
        request.addfinalizer(calls.close)
        meter = metering.Meter(
            calls,
            ledger=Ledger(limits, keep=records.append),
            prices=PRICES,
            log=lambda event, **fields: logged.append((event, fields)),
            redact=lambda text: redaction.redact(text, secrets=(KEY,)),
        )
        return Metered(serve(meter.serve), records, logged)

    return begin


def test_a_call_reaches_the_service_with_the_real_key_alone(
    model: Any, start: Any, talk: Any
) -> None:
    metered = start()
    answer = talk.ask(
        metered.socket,
        ASK,
        target="/v1/messages?beta=true",
        x_api_key="sk-of-the-client-000000",
        authorization="Bearer of-the-client",
        cookie="a=b",
        host="evil.example",
        proxy_authorization="Basic eDp5",
        anthropic_version="2023-06-01",
        anthropic_beta="x-1",
        x_forwarded_for="1.2.3.4",
    )
    assert answer.status == 200
    assert answer.json == {"usage": {"input_tokens": 100, "output_tokens": 50}}
    (heard,) = model.heard
    assert heard.path == "/v1/messages?beta=true"
    assert heard.body == ASK
    assert heard.headers["x-api-key"] == KEY
    assert heard.headers["anthropic-version"] == "2023-06-01"
    assert heard.headers["anthropic-beta"] == "x-1"
    assert heard.headers["host"] == model.url.removeprefix("http://")
    assert heard.headers["accept-encoding"] == "identity"
    unwanted = {"authorization", "cookie", "proxy-authorization", "x-forwarded-for"}
    assert not unwanted & set(heard.headers)
    assert "client" not in json.dumps(heard.headers)
    assert answer.fields["request-id"] == "req_1"
    assert "set-cookie" not in answer.fields


def test_what_a_call_cost_is_on_record(start: Any, talk: Any) -> None:
    metered = start(Limits(usd=1))
    talk.ask(metered.socket, ASK)
    talk.ask(metered.socket, {**ASK, "model": "big"})
    assert metered.record["usd"] == pytest.approx((100 * 11 + 50 * 55) / 1e6)
    assert metered.record["calls"] == 2
    assert metered.record["tokens"]["input"] == 200
    assert metered.record["models"]["big"] == {"calls": 1, "usd": 0.0035, "tokens": 150}
    assert metered.record["open"] == {"calls": 0, "usd": 0}
    assert metered.logged[0] == (
        "model_called",
        {"model": "small", "prompt": 100, "answer": 50, "usd": "0.000350"},
    )


def test_a_stream_passes_event_by_event_and_is_counted(model: Any, start: Any, talk: Any) -> None:
    metered = start()
    seen = threading.Event()
    model.streams(
        {
            "type": "message_start",
            "message": {
                "usage": {
                    "input_tokens": 10,
                    "cache_creation_input_tokens": 300,
                    "cache_creation": {"ephemeral_1h_input_tokens": 100},
                    "cache_read_input_tokens": 1000,
                    "output_tokens": 1,
                }
            },
        },
        lambda: seen.wait(5),
        {"type": "content_block_delta", "delta": {"text": "Hello"}},
        {"type": "message_delta", "usage": {"output_tokens": 40, "input_tokens": None}},
        {"type": "message_stop"},
    )
    body = json.dumps({**ASK, "stream": True}).encode()
    with sockets.connect(metered.socket) as client:
        client.settimeout(5)
        head = f"POST /v1/messages HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        first = b""
        while b"message_start" not in first:
            first += client.recv(65536)
        assert b"Hello" not in first
        # Nothing more is said until the first event has arrived here.
        seen.set()
        rest = talk.rest(client)
    assert b"content-type: text/event-stream" in first
    assert rest.endswith(b"0\r\n\r\n")
    expected = 10 * 1 + 200 * 1.25 + 100 * 2 + 1000 * 0.1 + 40 * 5
    assert metered.record["usd"] == pytest.approx(expected / 1e6)
    assert metered.record["tokens"]["cache_write"] == 300


def test_a_stream_that_breaks_off_is_not_given_out_as_whole_and_costs_what_was_seen(
    model: Any, start: Any, talk: Any
) -> None:
    metered = start()
    usage = {"input_tokens": 100, "output_tokens": 1}
    model.streams(
        {"type": "message_start", "message": {"usage": usage}},
        {"type": "content_block_delta", "delta": {"text": "x" * 300}},
    )
    model.breaks_off = True
    answer = talk.ask(metered.socket, {**ASK, "stream": True})
    assert not answer.is_whole
    assert b"x" * 300 in answer.body
    assert metered.record["tokens"]["input"] == 100
    assert metered.record["tokens"]["output"] > 100
    assert metered.logged[0][0] == "model_unavailable"


def test_a_client_that_leaves_in_the_middle_is_settled(model: Any, start: Any, talk: Any) -> None:
    metered = start()
    gone = threading.Event()
    usage = {"input_tokens": 100, "output_tokens": 1}
    model.streams(
        {"type": "message_start", "message": {"usage": usage}},
        lambda: gone.wait(5),
        *[{"type": "content_block_delta", "delta": {"text": "y" * 60}} for _ in range(200)],
    )
    body = json.dumps({**ASK, "stream": True}).encode()
    with sockets.connect(metered.socket) as client:
        head = f"POST /v1/messages HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        client.recv(100)
        assert metered.record["open"]["calls"] == 1
        assert metered.record["open"]["usd"] > 0
    gone.set()
    _eventually(lambda: metered.record["open"]["calls"] == 0)
    assert metered.record["tokens"]["input"] == 100


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(usd=0.0005), r"the budget of \$0.0005 is used up"),
        (Limits(tokens=1500), "the budget of 1500 tokens is used up"),
        (Limits(turns=1), "the limit of 1 turns is reached"),
    ],
)
def test_a_call_over_a_limit_is_refused_in_the_apis_shape_and_never_made(
    model: Any, start: Any, talk: Any, limits: Limits, why: str
) -> None:
    metered = start(limits)
    model.chunks = [json.dumps({"usage": {"input_tokens": 400, "output_tokens": 9}}).encode()]
    small = {**ASK, "max_tokens": 10}
    answers = [talk.ask(metered.socket, small if limits.usd is None else ASK)]
    model.heard.clear()
    answers.append(talk.ask(metered.socket, {**ASK, "max_tokens": 1000}))
    refused = answers[-1]
    assert refused.status == 403
    assert refused.fields["x-should-retry"] == "false"
    assert refused.json["type"] == "error"
    assert refused.json["error"]["type"] == "permission_error"
    assert re.search(why, refused.json["error"]["message"])
    assert model.heard == []
    assert metered.record["refused"] >= 1
    assert metered.logged[-1][0] == "model_call_refused"


def test_an_answer_is_made_shorter_before_a_call_is_refused(
    model: Any, start: Any, talk: Any
) -> None:
    metered = start(Limits(usd=0.05))
    assert talk.ask(metered.socket, {**ASK, "max_tokens": 100_000}).status == 200
    granted = model.heard[0].body["max_tokens"]
    assert 9000 < granted < 10_000


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/messages/batches", 404),
        ("/v1/models", 404),
        ("/v1/messages/", 404),
        ("/v1/files", 404),
        ("//v1/messages", 404),
        ("/v1/../v1/messages", 404),
        ("/v1/messages%2f..", 404),
        ("http://evil.example/v1/messages", 404),
        ("/v1/messages?x=http://evil.example/", 400),
        ("/v1/messages?a=b#c", 400),
    ],
)
def test_only_two_paths_are_passed_on(
    model: Any, start: Any, talk: Any, target: str, status: int
) -> None:
    answer = talk.ask(start().socket, ASK, target=target)
    assert answer.status == status
    assert answer.json["type"] == "error"
    assert model.heard == []


@pytest.mark.parametrize(
    ("line", "status"),
    [("HEAD / HTTP/1.1", 200), ("GET / HTTP/1.1", 200), ("GET /v1/models HTTP/1.1", 404)],
)
def test_a_look_whether_somebody_is_there_is_answered_here(
    model: Any, start: Any, talk: Any, line: str, status: int
) -> None:
    answer = talk.send(start().socket, f"{line}\r\n\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert model.heard == []


@pytest.mark.parametrize("line", ["DELETE /v1/messages", "PUT /v1/messages", "CONNECT a.b:443"])
def test_other_methods_are_refused(model: Any, start: Any, talk: Any, line: str) -> None:
    answer = talk.send(start().socket, f"{line} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert model.heard == []


def test_tokens_are_counted_by_the_service_for_nothing(model: Any, start: Any, talk: Any) -> None:
    metered = start(Limits(usd=0))
    model.chunks = [b'{"input_tokens": 7}']
    answer = talk.ask(metered.socket, ASK, target="/v1/messages/count_tokens")
    assert answer.json == {"input_tokens": 7}
    assert model.heard[0].path == "/v1/messages/count_tokens"
    assert (metered.record["usd"], metered.record["calls"]) == (0, 0)


def test_what_the_service_refuses_is_passed_on_costs_nothing_and_holds_no_key(
    model: Any, start: Any, talk: Any
) -> None:
    metered = start(Limits(turns=1))
    model.status = 429
    model.headers = {"content-type": "application/json", "retry-after": "7"}
    model.chunks = [f'{{"error": "too many for {KEY}"}}'.encode()]
    answer = talk.ask(metered.socket, ASK)
    assert answer.status == 429
    assert answer.fields["retry-after"] == "7"
    assert answer.json == {"error": "too many for ***"}
    assert (metered.record["usd"], metered.record["calls"]) == (0, 0)
    model.status = 200
    model.chunks = []
    assert talk.ask(metered.socket, ASK).status == 200


def test_a_service_that_is_not_there_can_be_tried_again_and_costs_nothing(
    start: Any, talk: Any
) -> None:
    metered = start(url="http://127.0.0.1:9")
    answer = talk.ask(metered.socket, ASK)
    assert answer.status == 502
    assert answer.fields["x-should-retry"] == "true"
    assert answer.json["error"]["type"] == "api_error"
    assert (metered.record["usd"], metered.record["calls"]) == (0, 0)


def test_a_service_that_never_answers_costs_the_prompt(
    model: Any, start: Any, talk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "READ_S", 0.2)
    over = threading.Event()
    metered = start()
    model.chunks = [b" ", lambda: over.wait(5)]
    answer = talk.ask(metered.socket, ASK)
    over.set()
    assert not answer.is_whole
    assert metered.record["calls"] == 1
    assert metered.record["tokens"]["input"] > 0


def test_the_dearest_price_holds_for_a_model_that_is_not_known(start: Any, talk: Any) -> None:
    metered = start()
    talk.ask(metered.socket, {**ASK, "model": "newest"})
    assert metered.record["usd"] == pytest.approx((100 * 10 + 50 * 50) / 1e6)
    assert metered.logged[0][0] == "model_price_unknown"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"max_tokens": NaN}', b"\xff", b"[" * 100_000, b'{"model": "x"}']
)
def test_a_body_that_is_no_request_is_refused(
    model: Any, start: Any, talk: Any, body: bytes
) -> None:
    answer = talk.ask(start().socket, body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert model.heard == []


def test_the_service_reads_what_was_checked_and_no_second_meaning(
    model: Any, start: Any, talk: Any
) -> None:
    body = b'{"model": "big", "max_tokens": 5, "model": "small", "max_tokens": 7, "messages": []}'
    talk.ask(start().socket, body)
    assert model.heard[0].body == {"model": "small", "max_tokens": 7, "messages": []}


def test_calls_that_might_not_fit_together_come_one_after_the_other(
    model: Any, start: Any, talk: Any
) -> None:
    metered = start(Limits(usd=0.008))
    entered, release = threading.Semaphore(0), threading.Event()
    model.chunks = [
        entered.release,
        lambda: release.wait(5),
        json.dumps({"usage": {"input_tokens": 100, "output_tokens": 50}}).encode(),
    ]
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(talk.ask(metered.socket, ASK).status))
        for _ in range(2)
    ]
    for each in threads:
        each.start()
    assert entered.acquire(timeout=5)
    assert not entered.acquire(timeout=0.2)
    release.set()
    for each in threads:
        each.join(10)
    assert found == [200, 200]


def _eventually(is_true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(500):
        if is_true():
            return
        pause.wait(0.01)
    pytest.fail("did not happen in five seconds")
