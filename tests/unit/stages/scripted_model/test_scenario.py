"""Scripts of the model's double: which turn is next, and what a script may say."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.errors import Refused
from pressplay.stages.scripted_model import scenario
from pressplay.stages.scripted_model.scenario import Failure, Part, ToolUse, Turn

PARTS = scenario.parse(
    [
        {"when": "You are QA", "turns": [{"text": "a test"}]},
        {"when": "You are Rex", "turns": [{"text": "one"}, {"text": "two"}]},
    ],
    source="s",
)


def _request(system: str, *, answers: int = 0) -> dict[str, Any]:
    messages = [{"role": "user", "content": "the task"}]
    for _ in range(answers):
        messages += [{"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]
    return {"system": [{"type": "text", "text": system}], "messages": messages}


def test_the_part_is_chosen_by_the_system_prompt_and_the_turn_by_the_conversation() -> None:
    for answers, text in ((0, "one"), (1, "two"), (7, "two")):
        place = scenario.find(PARTS, _request("You are Rex.", answers=answers))
        assert place is not None
        assert place.play.text == text
    place = scenario.find(PARTS, _request("you are qa."))
    assert place is not None
    assert place.play.text == "a test"


def test_a_conversation_of_nobodys_has_no_part() -> None:
    assert scenario.find(PARTS, _request("You are nobody.")) is None


def test_what_is_said_later_does_not_change_the_part() -> None:
    request = _request("You are Rex.", answers=1)
    request["messages"][-1]["content"] = "You are QA"
    place = scenario.find(PARTS, request)
    assert place is not None
    assert place.part == 1


def test_the_clients_working_directory_is_filled_in() -> None:
    use = {"name": "Read", "input": {"file_path": "{workspace}/a.py", "limit": 5}}
    parts = scenario.parse([{"turns": [{"tools": [use]}]}], source="s")
    place = scenario.find(parts, _request("CWD: /work/src\nDate: today"))
    assert place is not None
    assert place.play.tools == (ToolUse("Read", {"file_path": "/work/src/a.py", "limit": 5}),)


def test_the_changes_of_a_scripted_agent_become_tool_uses_that_read_before_they_edit() -> None:
    value = {
        "qa": {
            "message": "It's done",
            "changes": [
                {"write": "new.py", "content": "x\n"},
                {"replace": "old.py", "old": "a", "new": "b"},
                {"replace": "old.py", "old": "c", "new": "d"},
            ],
        }
    }
    (part,) = scenario.parse(value, source="s")
    assert part.when == "You are Qa"
    named = [[(use.name, use.input.get("file_path", "")) for use in t.tools] for t in part.turns]
    assert named == [
        [("Edit", "{workspace}/new.py")],
        [("Read", "{workspace}/old.py")],
        [("Edit", "{workspace}/old.py")],
        [("Edit", "{workspace}/old.py")],
        [("Bash", "")],
        [],
    ]
    assert part.turns[-2].tools[0].input["command"].endswith("--message 'It'\\''s done'")


def test_the_samples_own_scripts_can_be_played() -> None:
    with resources.as_file(resources.files("pressplay.samples") / "python") as sample:
        parts = scenario.read(sample / "scenario.yaml")
    assert [part.when for part in parts] == ["You are Rex", "You are Qa"]


def test_failures_and_waits_are_read(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(
        '[{"turns": [{"wait_s": 0.5, "breaks_off": true,'
        ' "fail": {"status": 529, "type": "overloaded_error", "message": "m", "times": 2}}]}]'
    )
    assert scenario.read(path) == (
        Part(
            "",
            (
                Turn(
                    wait_s=0.5,
                    breaks_off=True,
                    fail=Failure(529, "overloaded_error", "m", times=2),
                ),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], r"s must be a list of \{when, turns\}"),
        ("text", r"s must be a list of"),
        ([{"turns": []}], r"s\[0\]\.turns must be a list with at least one turn"),
        ([{"turn": []}], r"s\[0\] may only have the keys turns, when"),
        ([{"turns": [{"tool": 1}]}], r"turns\[0\] may only have the keys"),
        ([{"turns": [{"tools": [{"name": "Read"}]}]}], r"tools\[0\] must be \{name: TEXT"),
        ([{"turns": [{"tools": {}}]}], None),
        ([{"turns": [{"wait_s": -1}]}], r"wait_s is -1; it must be a number from 0 on"),
        ([{"turns": [{"fail": {"status": 200}}]}], r"status is 200; an error is from 400 to 599"),
        ({"rex": {"changes": 1}}, r"s: rex.changes must be a list"),
        ({"rex": {"changes": [{"write": "a"}]}}, r"changes\[0\] must have the keys write, content"),
        ({"rex": {"edits": []}}, r"s: rex may only have the keys changes, message"),
    ],
)
def test_a_script_that_says_nothing_is_refused_at_its_place(value: Any, said: str | None) -> None:
    if said is None:
        assert scenario.parse(value, source="s")[0].turns == (Turn(),)
        return
    with pytest.raises(Refused, match=said):
        scenario.parse(value, source="s")


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No script at"):
        scenario.read(tmp_path / "gone.yaml")
