"""`pressplay run`: the main job on a repository of the user's."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import click

from pressplay import app
from pressplay.base.errors import Refused
from pressplay.cli import local_server, pipelines, reporting, workspaces
from pressplay.cli.pipelines import AgentChoice, IssueText
from pressplay.cli.workspaces import Workspace


@click.command(epilog="Example: pressplay run --repo . --issue issue.md --agent command -- ./agent")
@click.option(
    "--repo",
    required=True,
    type=click.Path(path_type=Path),
    help="A git repository on this machine; it keeps everything as it was, save the run's branch.",
)
@click.option(
    "--issue",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the issue: the first line is the title.",
)
@click.option(
    "--agent",
    type=click.Choice(["command", "scripted"]),
    default="command",
    show_default=True,
    help="command: your PROGRAM works in the checkout. scripted: a script of edits (a double).",
)
@click.option("--timeout", type=float, default=3600.0, help="Seconds to watch.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text")
@click.argument("program", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(
    ctx: click.Context,
    *,
    repo: Path,
    issue: Path,
    agent: str,
    timeout: float,
    output: str,
    program: tuple[str, ...],
) -> None:
    """Take an issue to an approved pull request, with its proof. A person merges.

    PROGRAM is the agent: it starts in a fresh checkout, without network or secrets, finds the
    task in the file that $PRESSPLAY_TASK_FILE names and its part (rex or qa) in $PRESSPLAY_ROLE,
    and edits files. Exit code 0: approved. 1: a gate said no. 2: refused. 3: unavailable.
    """
    choice = choose_agent(agent, program)
    workspace = workspaces.read_workspace(repo)
    if output == "text" and workspaces.has_uncommitted_changes(workspace):
        click.echo("Note: uncommitted changes are not part of the run; it starts from HEAD.")
    text = pipelines.read_issue(issue)
    ctx.exit(play(ctx.obj, workspace, text, agent=choice, timeout_s=timeout, output=output))


def play(
    state: Path | None,
    workspace: Workspace,
    issue: IssueText,
    *,
    agent: AgentChoice,
    timeout_s: float,
    output: str,
    fresh: bool = False,
) -> int:
    """Start or find the run, watch it, say how it ended; returns the exit code."""
    begun = time.monotonic()
    folder = state or app.default_state(os.environ)  # noqa: TID251 - the command line reads it
    address = local_server.ensure(folder)
    if address.warning:
        click.echo(f"Warning: {address.warning}", err=True)
    session = pipelines.press_play(
        address=address, state=folder, workspace=workspace, issue=issue, agent=agent, fresh=fresh
    )
    lines = reporting.Lines(quiet=output == "json")
    if output == "text":
        reporting.begin(session)
    try:
        workflow = pipelines.follow(session, tell=lines.tell, timeout_s=timeout_s)
    except KeyboardInterrupt:
        click.echo(f"\nNo longer watching. Run {session.run} goes on.", err=True)
        return 130
    summary = pipelines.conclude(session, workflow, seconds=time.monotonic() - begun)
    reporting.conclude(summary, output=output)
    return summary.exit_code


def choose_agent(kind: str, program: tuple[str, ...]) -> AgentChoice:
    """The agent that the command line names. Raises Refused for a program that is not there."""
    if not program:
        raise Refused(f"--agent {kind} needs a program: put it after `--`")
    if kind == "scripted":
        script = Path(program[0])
        if not script.is_file():
            raise Refused(f"--agent scripted: no script at {script}")
        return AgentChoice(kind, files={"scenario.yaml": script.read_text()})
    found = shutil.which(program[0])
    if found is None:
        raise Refused(f"--agent command: {program[0]} is no program on PATH and no executable file")
    path = Path(found).absolute()
    argv = [str(path), *program[1:]]
    named = tuple(Path(each).absolute() for each in program[1:] if Path(each).is_file())
    # Relative file arguments would mean something else in the sandbox's checkout.
    argv = [str(Path(each).absolute()) if Path(each).is_file() else each for each in argv]
    return AgentChoice(kind, files={"command.json": json.dumps(argv)}, programs=(path, *named))
