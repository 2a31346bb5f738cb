"""A program with the Claude Code CLI's options that does what its first argument says."""

import json
import os
import sys
import time
from pathlib import Path

OPTIONS = (
    "--print --output-format --setting-sources --strict-mcp-config --permission-mode --bare "
    "--tools --disable-slash-commands --no-session-persistence --max-budget-usd"
)


def say(**value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def result(**change: object) -> None:
    good = {"subtype": "success", "is_error": False, "num_turns": 2, "result": "Done."}
    say(type="result", **{**good, "total_cost_usd": 0.5, **change})


def records() -> None:
    told = {"argv": sys.argv[2:], "env": dict(os.environ), "stdin": sys.stdin.read()}
    Path("told.json").write_text(json.dumps(told))
    result()


def dies() -> None:
    os.kill(os.getpid(), 9)


def leaves() -> None:
    sys.stderr.write("fatal: no memory\n")
    sys.exit(7)


def garbage() -> None:
    sys.stdout.write("\x00\xff{{{\nnot json\n")


def hangs() -> None:
    if os.fork() == 0:
        time.sleep(0.8)
        Path("child-lived-on").write_text("")
        time.sleep(60)
    say(type="assistant", message={"content": [{"type": "text", "text": "I wait."}]})
    time.sleep(60)


ACTS = {each.__name__: each for each in (records, dies, leaves, garbage, hangs)}
RESULTS: dict[str, dict[str, object]] = {
    "asks": {"result": "Which of the two do you mean?"},
    "turns": {"subtype": "error_max_turns", "is_error": True, "result": ""},
    "budget": {"subtype": "error_max_budget_usd", "is_error": True, "result": ""},
    "breaks": {"subtype": "error_during_execution", "is_error": True, "errors": ["it broke"]},
    "refused": {
        "is_error": True,
        "api_error_status": 403,
        "result": "API Error: 403 pressplay: the budget of $5 is used up",
    },
}


def act(part: str) -> int:
    say(type="system", subtype="init", model="m-1", claude_code_version="9.9.9", session_id="s")
    if part in ACTS:
        ACTS[part]()
        return 0
    result(**RESULTS[part])
    return 1 if RESULTS[part].get("is_error") else 0


if "--help" in sys.argv:
    sys.stdout.write("Usage: claude\n" + ("--print" if sys.argv[1] == "old" else OPTIONS) + "\n")
    sys.exit(3 if sys.argv[1] == "broken" else 0)
sys.exit(act(sys.argv[1]))
