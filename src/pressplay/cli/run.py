"""`pressplay run`: the main job on a repository of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pressplay.base.errors import Refused
from pressplay.cli import agents
from pressplay.cli.agents import AgentChoice

if TYPE_CHECKING:
    from pressplay.cli.origins import Asked, IssueText
    from pressplay.cli.workspaces import Workspace


@click.command(epilog="Example: pressplay run --repo . --issue issue.md --agent command -- ./agent")
@click.option(
    "--repo",
    required=True,
    metavar="PATH|URL",
    help=(
        "A git repository on this machine, which keeps everything as it was save the run's branch; "
        "or the address of one: https://HOST/OWNER/NAME."
    ),
)
@click.option(
    "--issue",
    metavar="FILE|NUMBER",
    help="File with the issue, its first line the title; or the number of an issue on the forge.",
)
@click.option(
    "--pr",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Validate this pull request instead.",
)
@click.option(
    "--apps",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with the keys of the GitHub Apps, for an address; remembered after the first run.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=3600.0,
    show_default=True,
    help="Seconds to watch.",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text")
@agents.options
@click.pass_context
def command(  # noqa: PLR0913 - one argument for each option
    ctx: click.Context,
    *,
    repo: str,
    issue: str | None,
    pr: int | None,
    apps: Path | None,
    agent: AgentChoice,
    timeout: float,
    output: str,
) -> None:
    """Take an issue to an approved pull request, with its proof. A person merges.

    PROGRAM is the agent: it starts in a fresh checkout, without network or secrets, finds the
    task in the file that $PRESSPLAY_TASK_FILE names and its part (rex or qa) in $PRESSPLAY_ROLE,
    and edits files. Ctrl-C ends the watching, not the run.
    """
    # Imported here: `--help` must not wait for the clients of servers and forges.
    from pressplay.cli import forges, local_server, playing, workspaces  # noqa: PLC0415

    asked = read_subject(issue, pr)
    state = local_server.folder(ctx.obj)
    manner = playing.Manner(timeout_s=timeout, output=output)
    if forges.is_address(repo):
        place = forges.read_place(repo)
        ctx.exit(playing.play_there(state, place, asked, apps=apps, agent=agent, manner=manner))
    if apps is not None:
        raise Refused("--apps belongs to an address; a repository on this machine needs none")
    workspace = workspaces.read_workspace(Path(repo))
    if output == "text" and workspaces.has_uncommitted_changes(workspace):
        click.echo("Note: uncommitted changes are not part of the run; it starts from HEAD.")
    ctx.exit(playing.play_here(state, workspace, asked, agent=agent, manner=manner))


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
    """A run for an issue's text on a repository of this machine; returns the exit code."""
    # Imported here, as above.
    from pressplay.cli import local_server, playing  # noqa: PLC0415
    from pressplay.cli.origins import Asked  # noqa: PLC0415

    return playing.play_here(
        local_server.folder(state),
        workspace,
        Asked(text=issue, fresh=fresh),
        agent=agent,
        manner=playing.Manner(timeout_s=timeout_s, output=output),
    )


def read_subject(issue: str | None, pr: int | None) -> Asked:
    """What the run is about. Raises Refused unless it is exactly one thing."""
    from pressplay.cli import pipelines  # noqa: PLC0415 - as above
    from pressplay.cli.origins import Asked  # noqa: PLC0415

    if (issue is None) is (pr is None):
        raise Refused("Give one of --issue FILE, --issue NUMBER and --pr NUMBER")
    if pr is not None:
        return Asked(pr=pr)
    text = (issue or "").removeprefix("#")
    path = Path(issue or "")
    if path.is_file():
        return Asked(text=pipelines.read_issue(path))
    if text.isascii() and text.isdecimal() and 0 < int(text) < 10**9:
        return Asked(issue=int(text))
    raise Refused(f"--issue {issue}: there is no such file; give a file or an issue's number")
