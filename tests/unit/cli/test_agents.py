"""Who works on a run, as the command line names it: above all the Claude Code CLI and its key."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pressplay.base.errors import Refused
from pressplay.cli import agents, claude_program
from pressplay.cli.agents import AgentChoice

KEY = {"ANTHROPIC_API_KEY": "sk-ant-REDACTED"}


def _script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def _node(folder: Path) -> Path:
    """A program in the place of Node, as a version manager puts it: a script around the real one.

    It runs nothing: it answers with where the real one is, and what the CLI would.
    """
    real = _script(folder / "real/node", '#!/bin/sh\necho "2.1.5 (Claude Code)"\n')
    return _script(folder / "bin/node", f'#!/bin/sh\necho "{real}"\n')


def _package(folder: Path) -> Path:
    """The CLI as an npm package whose script Node runs; answers the command that npm links."""
    package = folder / "lib/node_modules/@anthropic-ai/claude-code"
    script = _script(package / "bin/cli.js", "#!/usr/bin/env node\n")
    (package / "package.json").write_text("{}")
    command = folder / "bin/claude"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.symlink_to(script)
    return command


def test_without_a_key_or_an_endpoint_claude_is_refused() -> None:
    with pytest.raises(Refused, match="set ANTHROPIC_API_KEY"):
        agents.choose("claude", (), environment={"PATH": ""})


def test_without_the_cli_claude_is_refused_with_how_to_get_it() -> None:
    with pytest.raises(Refused, match="npm install -g @anthropic-ai/claude-code"):
        agents.choose("claude", (), environment={"PATH": "", **KEY})


def test_a_named_cli_that_is_not_there_is_named(tmp_path: Path) -> None:
    named = {"PATH": "", "PRESSPLAY_CLAUDE": str(tmp_path / "gone"), **KEY}
    with pytest.raises(Refused, match=r"\$PRESSPLAY_CLAUDE is .*gone; there is no such program"):
        agents.choose("claude", (), environment=named)


def test_a_package_is_shown_with_its_folder_and_the_real_node(tmp_path: Path) -> None:
    _node(tmp_path)
    command = _package(tmp_path)
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", **KEY}
    choice = agents.choose("claude", (), environment=environment, model="opus", max_usd=2.5)
    real, package = tmp_path / "real/node", tmp_path / "lib/node_modules/@anthropic-ai/claude-code"
    assert json.loads(choice.files["claude.json"]) == [str(real), str(command.resolve())]
    assert choice.programs == (real, package)
    assert (choice.kind, choice.model, choice.max_usd) == ("claude", "opus", 2.5)


def test_a_native_binary_is_shown_alone_behind_all_links(tmp_path: Path) -> None:
    # Any native program does: it is only looked at, and then refused for what it answers.
    real = Path(shutil.which("true") or "").resolve()
    link = tmp_path / "claude"
    link.symlink_to(real)
    with pytest.raises(Refused, match="does not answer as the Claude Code CLI; it said: true"):
        claude_program.read(link, {"PATH": os.environ["PATH"]})


def test_a_script_around_the_cli_is_refused_with_what_to_name(tmp_path: Path) -> None:
    path = _script(tmp_path / "claude", "#!/bin/sh\nexec claude-real\n")
    with pytest.raises(Refused, match="is a script around the Claude Code CLI"):
        claude_program.read(path, {"PATH": os.environ["PATH"]})


def test_a_package_without_node_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="needs Node"):
        claude_program.read(_package(tmp_path), {"PATH": str(tmp_path)})


def test_the_key_prints_as_stars_and_both_names_are_always_given() -> None:
    key = agents.claude_key(KEY)
    assert key["api-key"].reveal() == KEY["ANTHROPIC_API_KEY"]
    assert key["base-url"].reveal() == ""
    choice = AgentChoice("claude", key=key)
    assert KEY["ANTHROPIC_API_KEY"] not in repr(choice)


def test_an_endpoint_alone_is_enough() -> None:
    key = agents.claude_key({"ANTHROPIC_BASE_URL": "http://127.0.0.1:8080"})
    assert (key["api-key"].reveal(), key["base-url"].reveal()) == ("", "http://127.0.0.1:8080")


@pytest.mark.parametrize("url", ["http://models.example", "ftp://x", "https://a b", "localhost"])
def test_an_endpoint_to_which_no_key_may_go_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="ANTHROPIC_BASE_URL cannot be used"):
        agents.claude_key({"ANTHROPIC_BASE_URL": url, **KEY})


def test_a_model_is_a_name_and_no_option(tmp_path: Path) -> None:
    _node(tmp_path)
    _package(tmp_path)
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", **KEY}
    with pytest.raises(Refused, match="agentModel is '--evil'"):
        agents.choose("claude", (), environment=environment, model="--evil")


def test_options_of_one_agent_are_refused_with_another() -> None:
    with pytest.raises(Refused, match="belong to --agent claude"):
        agents.choose("command", ("sh",), environment={}, max_usd=1)
    with pytest.raises(Refused, match="takes no PROGRAM"):
        agents.choose("claude", ("sh",), environment=KEY)


def test_a_command_gets_its_agent_as_one_argument() -> None:
    found: list[AgentChoice] = []

    @click.command()
    @agents.options
    @click.pass_context
    def command(_ctx: click.Context, *, agent: AgentChoice) -> None:
        found.append(agent)

    done = CliRunner().invoke(command, ["--agent", "command", "--", "sh", "-c", "true"])
    assert done.exit_code == 0, done.output
    assert json.loads(found[0].files["command.json"])[1:] == ["-c", "true"]
    assert CliRunner().invoke(command, ["--max-usd", "0"]).exit_code == 2
