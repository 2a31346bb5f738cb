"""The model's double over HTTP, as a client of the Messages API sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pressplay.stages.scripted_model import messages, scenario, serving
from pressplay.stages.scripted_model.serving import Double

READ = {"name": "Read", "input": {"file_path": "a.py"}}
PARTS = scenario.parse(
    [
        {
            "when": "You are Rex",
            "turns": [
                {"text": "I look.", "tools": [READ]},
                {"fail": {"status": 529, "type": "overloaded_error", "times": 1}, "text": "Done."},
                {"text": "x" * 2000, "breaks_off": True},
            ],
        }
    ],
    source="s",
)
HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}


@pytest.fixture
def double() -> Iterator[Double]:
    with serving.serving(PARTS) as running:
        yield running


def _request(**change: Any) -> dict[str, Any]:
    return {
        "model": "claude-x",
        "max_tokens": 1000,
        "system": "You are Rex.",
        "messages": [{"role": "user", "content": "the task"}],
        "tools": [{"name": "Read", "input_schema": {"type": "object"}}],
        **change,
    }


def _talk(*answers: dict[str, Any]) -> list[dict[str, Any]]:
    """A conversation with these answers in it, each use of a tool answered."""
    said: list[dict[str, Any]] = [{"role": "user", "content": "the task"}]
    for answer in answers:
        content = answer["content"]
        results = [
            {"type": "tool_result", "tool_use_id": each["id"], "content": "ok"}
            for each in content
            if each["type"] == "tool_use"
        ]
        said += [{"role": "assistant", "content": content}]
        said += [{"role": "user", "content": results or "go on"}]
    return said


def _post(double: Double, body: Any, **headers: str) -> httpx2.Response:
    url = f"{double.url}/v1/messages?beta=true"
    return httpx2.post(url, json=body, headers={**HEADERS, **headers})


def _events(text: str) -> list[dict[str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        kind, data = block.split("\n")
        value = json.loads(data.removeprefix("data: "))
        assert kind == f"event: {value['type']}"
        found.append(value)
    return found


def test_an_answer_says_that_it_is_a_double_and_asks_for_the_tool(double: Double) -> None:
    answer = _post(double, _request())
    assert answer.status_code == 200
    assert answer.headers[serving.IS_DOUBLE] == "true"
    text, use = answer.json()["content"]
    assert text["text"] == f"{messages.SAYS} I look."
    assert (use["type"], use["name"], use["input"]) == ("tool_use", "Read", READ["input"])
    assert answer.json()["stop_reason"] == "tool_use"
    assert answer.json()["usage"]["input_tokens"] > 10
    assert answer.json()["usage"]["output_tokens"] > 1
    assert [call.key for call in double.calls] == ["k"]


def test_a_stream_says_the_same_as_the_whole_message(double: Double) -> None:
    whole = _post(double, _request()).json()
    answer = _post(double, _request(stream=True))
    assert answer.headers["content-type"] == "text/event-stream"
    events = _events(answer.text)
    assert [each["type"] for each in events][:2] == ["message_start", "ping"]
    assert events[-1] == {"type": "message_stop"}
    content: list[dict[str, Any]] = []
    pieces: dict[int, str] = {}
    for each in events:
        if each["type"] == "content_block_start":
            content.append(each["content_block"])
        if each["type"] == "content_block_delta":
            delta = each["delta"]
            piece = delta.get("text", delta.get("partial_json"))
            pieces[each["index"]] = pieces.get(each["index"], "") + piece
    assert pieces[0] == whole["content"][0]["text"]
    assert json.loads(pieces[1]) == whole["content"][1]["input"]
    assert content[1]["id"] == whole["content"][1]["id"]
    closing = events[-2]
    assert closing["delta"]["stop_reason"] == "tool_use"
    assert closing["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


def test_a_failure_is_played_as_often_as_the_script_says(double: Double) -> None:
    first = _post(double, _request()).json()
    request = _request(messages=_talk(first))
    failed = _post(double, request)
    assert failed.status_code == 529
    assert failed.json()["error"]["type"] == "overloaded_error"
    assert failed.json()["error"]["message"].startswith(messages.SAYS)
    again = _post(double, request)
    assert again.status_code == 200
    assert again.json()["stop_reason"] == "end_turn"


def test_an_answer_that_breaks_off_has_no_end(double: Double) -> None:
    first = _post(double, _request()).json()
    done = {"content": [{"type": "text", "text": "Done."}]}
    answer = _post(double, _request(messages=_talk(first, done), stream=True))
    assert "message_stop" not in answer.text


def test_a_tool_that_was_not_offered_is_complained_about_and_not_asked_for(double: Double) -> None:
    answer = _post(double, _request(tools=[])).json()
    assert answer["stop_reason"] == "end_turn"
    assert "tools that were not offered: Read" in answer["content"][0]["text"]


def test_a_conversation_that_the_script_does_not_know_is_refused(double: Double) -> None:
    answer = _post(double, _request(system="You are nobody."))
    assert answer.status_code == 400
    assert "no part of the script" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": ""}, "model: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be"),
        ({"messages": []}, "at least one message is required"),
        ({"messages": [{"role": "robot"}]}, "messages.0.role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "first message must use the user"),
        (
            {
                "messages": [
                    {"role": "user", "content": "x"},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "t-1"}]},
                    {"role": "user", "content": "y"},
                ]
            },
            "without `tool_result` blocks immediately after: t-1",
        ),
    ],
)
def test_what_the_service_would_refuse_is_refused(
    double: Double, change: dict[str, Any], said: str
) -> None:
    answer = _post(double, _request(**change))
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert said in answer.json()["error"]["message"]


def test_a_wrong_or_missing_key_is_refused() -> None:
    with serving.serving(PARTS, key="right") as double:
        assert _post(double, _request(), **{"x-api-key": "wrong"}).status_code == 401
        assert _post(double, _request(), **{"x-api-key": ""}).status_code == 401
        assert _post(double, _request(), **{"x-api-key": "right"}).status_code == 200
        bearer = {"x-api-key": "", "authorization": "Bearer right"}
        assert _post(double, _request(), **bearer).status_code == 200
        assert len(double.calls) == 2


def test_a_request_without_a_version_is_refused(double: Double) -> None:
    assert "anthropic-version" in _post(double, _request(), **{"anthropic-version": ""}).text


def test_other_doors_are_closed(double: Double) -> None:
    assert httpx2.head(double.url).status_code == 200
    assert httpx2.get(f"{double.url}/v1/models").status_code == 404
    assert httpx2.post(f"{double.url}/v1/files", json={}, headers=HEADERS).status_code == 404
    assert httpx2.post(f"{double.url}/v1/messages", headers=HEADERS).status_code == 413
    url = f"{double.url}/v1/messages"
    assert httpx2.post(url, content=b"no", headers=HEADERS).status_code == 400


def test_tokens_are_counted_without_an_answer(double: Double) -> None:
    url = f"{double.url}/v1/messages/count_tokens"
    request = {name: value for name, value in _request().items() if name != "max_tokens"}
    answer = httpx2.post(url, json=request, headers=HEADERS)
    assert answer.json()["input_tokens"] > 10


def test_it_starts_from_the_command_line_and_says_what_it_is(tmp_path: Path) -> None:
    script = tmp_path / "s.json"
    script.write_text('[{"turns": [{"text": "hello"}]}]')
    command = [sys.executable, "-m", "pressplay.stages.scripted_model", str(script)]
    env = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert "not a model" in process.stdout.readline()
        found = process.stdout.readline().split("ANTHROPIC_BASE_URL=")[1].split()[0]
        answer = httpx2.post(f"{found}/v1/messages", json=_request(), headers=HEADERS)
        process.kill()
    assert answer.json()["content"][0]["text"] == f"{messages.SAYS} hello"


def test_a_script_that_cannot_be_read_ends_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pressplay.stages.scripted_model", str(tmp_path / "gone")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: No script at")
