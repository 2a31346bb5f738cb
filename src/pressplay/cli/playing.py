"""The main job from the command line: start or find a run, watch it, say how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import click

from pressplay.cli import (
    endings,
    forges,
    local_server,
    pipelines,
    reporting,
    watching,
)
from pressplay.cli.agents import AgentChoice
from pressplay.cli.origins import Asked, ForgeOrigin, LocalOrigin, Origin
from pressplay.cli.workspaces import Workspace
from pressplay.server.standing import Address


@dataclass(frozen=True)
class Manner:
    """How a command shows what it does."""

    timeout_s: float
    output: str


def play_here(
    state: Path, workspace: Workspace, asked: Asked, *, agent: AgentChoice, manner: Manner
) -> int:
    """A run on a repository of this machine; returns the exit code."""
    begun = time.monotonic()
    address = _server(state)
    origin = LocalOrigin(address, workspace)
    return _play(state, address, origin, asked=asked, agent=agent, manner=manner, begun=begun)


def play_there(
    state: Path,
    place: forges.Place,
    asked: Asked,
    *,
    apps: Path | None,
    agent: AgentChoice,
    manner: Manner,
) -> int:
    """A run on a repository of a forge elsewhere; returns the exit code."""
    begun = time.monotonic()
    own = forges.state_folder(state, place.server_url)
    installation = forges.settle(own, place, apps=apps)
    origin = ForgeOrigin(
        installation.settings, owner=place.owner, repo=place.name, key=installation.keys["rex"]
    )
    # What cannot be played is refused before a server is started for it.
    origin.find(asked)
    address = _server(own)
    forges.install(address, installation)
    return _play(own, address, origin, asked=asked, agent=agent, manner=manner, begun=begun)


def _server(state: Path) -> Address:
    address = local_server.ensure(state)
    if address.warning:
        click.echo(f"Warning: {address.warning}", err=True)
    return address


def _play(
    state: Path,
    address: Address,
    origin: Origin,
    *,
    asked: Asked,
    agent: AgentChoice,
    manner: Manner,
    begun: float,
) -> int:
    session = pipelines.press_play(
        address=address, state=state, origin=origin, asked=asked, agent=agent
    )
    # Imported here: while this loads, the run is under way.
    from pressplay.cli import concluding  # noqa: PLC0415

    try:
        if manner.output == "text":
            about = f"{session.subject.full_name} {session.subject.title}"
            reporting.begin(session.run, is_new=session.is_new, about=about)
        with reporting.view(state, session.run, output=manner.output) as view:
            workflow = watching.follow(
                state, session.run, tell=view.tell, timeout_s=manner.timeout_s
            )
    except KeyboardInterrupt:
        raise endings.Interrupted(reporting.left(state, session.run)) from None
    summary = concluding.conclude(session, workflow, seconds=time.monotonic() - begun)
    reporting.conclude(summary, output=manner.output)
    return summary.exit_code
