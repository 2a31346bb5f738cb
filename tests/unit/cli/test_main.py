"""How commands are found, how they end, and what a start may cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from pressplay.base.errors import PressplayError, Refused, Unavailable
from pressplay.cli import endings, main, reporting

HEAVY = ("httpx2", "asyncio", "aiohttp", "starlette", "cryptography", "yaml", "rich", "sqlite3")


def _call(
    *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pressplay.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}
    )


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _commands(found, (*path, name))


def _find(path: tuple[str, ...]) -> click.Command:
    command: click.Command = main.cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


def test_every_command_shows_an_example() -> None:
    for path in _commands(main.cli, ()):
        epilog = _find(path).epilog or ""
        assert "Example: " in epilog, f"pressplay {' '.join(path)} has no example"


def test_a_mistyped_command_is_told_the_nearest_one() -> None:
    done = _call("rnu")
    assert done.returncode == 2
    assert "No such command 'rnu'. Did you mean run?" in done.stderr
    assert "Did you mean" not in _call("xyzzy").stderr
    assert "No such command 'xyzzy'" in _call("xyzzy").stderr
    assert "list" in _call("workflow", "lsit").stderr


def test_an_error_is_one_json_object_where_json_is_wanted() -> None:
    for arguments in (
        ("run", "--repo", ".", "--output", "json", "--", "true"),
        ("run", "--repo", ".", "--output=json", "--no-such-option"),
    ):
        done = _call(*arguments)
        assert done.returncode == 2
        error = json.loads(done.stdout)["error"]
        assert error["kind"] == "refused"
        assert error["message"]
        assert done.stderr == ""


def test_a_program_of_the_users_that_takes_output_json_does_not_change_ours() -> None:
    assert endings.wants_json(["run", "--output", "json", "--", "x"])
    assert not endings.wants_json(["run", "--", "x", "--output", "json"])
    assert not endings.wants_json(["run", "--output"])


class _Bug(Exception):
    """An error that nobody expected."""


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (Refused("no"), 2, "refused"),
        (Unavailable("later"), 3, "unavailable"),
        (endings.Interrupted("goes on"), 130, "interrupted"),
        (click.UsageError("bad"), 2, "refused"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (PressplayError("odd"), 70, "bug"),
        (_Bug("odd"), 70, "bug"),
    ],
)
@pytest.mark.parametrize("output", ["text", "json"])
def test_every_error_ends_with_its_code_in_words_and_in_json(
    error: BaseException,
    code: int,
    kind: str,
    output: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(main.cli, "main", fail)
    monkeypatch.setattr(sys, "argv", ["pressplay", "run", "--output", output])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == code
    said = capsys.readouterr()
    if output == "json":
        assert json.loads(said.out)["error"]["kind"] == kind
    else:
        assert said.out == ""
        assert said.err.strip()
    assert ("Traceback" in said.err) is (kind == "bug")


def test_every_exit_code_is_explained_by_help() -> None:
    done = _call("--help")
    for code, meaning in endings.CODES.items():
        assert f"{code:>3}  {meaning}" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("run", "--help"), ("workflow", "list", "--help"), ("up", "--help")],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    program = (
        "import sys; from pressplay.cli import main; "
        f"main.cli.main({list(arguments)!r}, standalone_mode=False); "
        f"sys.exit(', '.join(each for each in {HEAVY!r} if each in sys.modules) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_asks_this_program(shell: str) -> None:
    done = _call("completion", shell)
    assert done.returncode == 0, done.stderr
    assert "_PRESSPLAY_COMPLETE" in done.stdout
    assert f"{shell}_complete" in done.stdout


def test_verbs_options_and_runs_are_completed(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "pressplay"

    def complete(*words: str) -> list[str]:
        env = {
            **os.environ,
            "_PRESSPLAY_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("pressplay", *words)),
            "COMP_CWORD": str(len(words)),
        }
        done = subprocess.run([program], capture_output=True, text=True, check=False, env=env)
        assert done.stderr == ""
        return [line.partition(",")[2] for line in done.stdout.split()]

    assert complete("wor") == ["workflow"]
    assert complete("workflow", "st") == ["stop"]
    assert "--issue" in complete("run", "--iss")
    # No server runs on this folder, and none is started to complete a word.
    assert complete("--state", str(tmp_path), "workflow", "stop", "x") == []
    assert list(tmp_path.iterdir()) == []


def test_the_way_back_to_a_run_names_its_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESSPLAY_STATE", str(tmp_path))
    assert "Watch again: pressplay workflow watch r1" in reporting.left(tmp_path, "r1")
    other = tmp_path / "a b"
    assert f"pressplay --state '{other}' workflow stop r1" in reporting.left(other, "r1")


def test_a_terminal_that_cannot_show_a_character_is_no_reason_to_end() -> None:
    done = _call("rnü", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert "No such command" in done.stderr
