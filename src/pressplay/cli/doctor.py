"""`pressplay doctor`: what a run needs, what of it is there, and how to get the rest."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import click

from pressplay.base.errors import PressplayError
from pressplay.cli import checking, local_server, terminal_text
from pressplay.cli.checking import Finding, State, Surroundings
from pressplay.server import standing

_MARKS = {State.OK: "ok  ", State.WARN: "warn", State.MISSING: "MISS"}
_COLOURS = {State.OK: "green", State.WARN: "yellow", State.MISSING: "red"}
_READING = {"contents": "read", "metadata": "read"}
_NOTHING = ("",) * 9
"""Of a repository, nothing in particular is asked."""


@click.command(epilog="Example: pressplay doctor --repo https://github.com/OWNER/NAME")
@click.option("--repo", metavar="URL", help="Also look at this repository on its forge.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def command(ctx: click.Context, *, repo: str | None, output: str) -> None:
    """Say what this machine has of what a run needs. Changes nothing.

    Exit code 2 where something is missing without which no run works, else 0: a warning only
    concerns what it names.
    """
    state = local_server.folder(ctx.obj)
    environment = dict(os.environ)  # noqa: TID251 - the command line reads it
    found = list(examine(Surroundings(environment, state)))
    if repo:
        found += [_protection(state, repo)]
    if output == "json":
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
    else:
        for line in _lines(found):
            click.echo(line)
    ctx.exit(2 if any(each.state is State.MISSING for each in found) else 0)


def examine(around: Surroundings) -> Iterator[Finding]:
    """Everything about this machine and the server on it."""
    for check in checking.MACHINE:
        yield from check(around)
    yield from _server(around.state)


def judge_naming(settings: Mapping[str, str]) -> Finding:
    """Whether two repositories can have a preview for the same pull request's number."""
    naming = settings.get("PRESSPLAY_NAMING") or "pr"
    listed = settings.get("PRESSPLAY_ALLOWED_REPOSITORIES", "").split(",")
    allowed = [each.strip() for each in listed if each.strip()]
    if naming != "pr" or len(allowed) == 1:
        return Finding("naming", State.OK, naming)
    several = f"{len(allowed)} repositories" if allowed else "any repository"
    return Finding(
        "naming",
        State.WARN,
        f"pr, and {several} may run: their previews would have the same names",
        "set PRESSPLAY_NAMING to repo-pr in pressplay-settings",
    )


def _server(state: Path) -> Iterator[Finding]:
    address = standing.read_address(state)
    if address is None:
        yield Finding("server", State.OK, "not running; the first run starts it")
        return
    yield Finding("server", State.OK, f"running, process {address.pid} at {address.kube_url}")
    # Imported here: a client of the server is slow to load, and mostly there is none to ask.
    from pressplay.cli import pipelines  # noqa: PLC0415

    try:
        with pipelines.open_kube(address) as kube:
            settings = kube.get("ConfigMap", standing.NAMESPACE, "pressplay-settings") or {}
    except PressplayError as error:
        yield Finding("naming", State.WARN, f"not known: {error}", "look again later")
        return
    yield judge_naming(settings.get("data", {}))


def _protection(state: Path, repo: str) -> Finding:
    """Whether the default branch is kept from our own Apps' hands."""
    # Imported here: the client of a forge is slow to load, and mostly not asked for.
    from pressplay.base.clocks import SystemClock  # noqa: PLC0415
    from pressplay.cli import forges  # noqa: PLC0415
    from pressplay.forge import app_keys, tokens  # noqa: PLC0415
    from pressplay.forge.client import Forge  # noqa: PLC0415
    from pressplay.stages.admission import targets  # noqa: PLC0415
    from pressplay.stages.asking import Asked  # noqa: PLC0415

    place = forges.read_place(repo)
    name = f"{place.owner}/{place.name}"
    settings = standing.read_forge(forges.state_folder(state, place.server_url))
    if settings is None:
        remedy = f"make the first run with --apps DIR: {app_keys.LAYOUT}"
        return Finding("protection", State.WARN, f"no Apps known for {place.host}", remedy)
    try:
        key = app_keys.read_folders(Path(settings.apps), clock=SystemClock())["rex"]
        token = tokens.mint(
            api_url=settings.api_url,
            app=key,
            owner=place.owner,
            repo=place.name,
            permissions=_READING,
            clock=SystemClock(),
        )
        with Forge(api_url=settings.api_url, token=token.value) as forge:
            target = targets.find(forge, Asked(place.owner, place.name, *_NOTHING))
    except PressplayError as error:
        return Finding("protection", State.WARN, f"{name}: {error}", "mend it and look again")
    if target.is_protected:
        return Finding("protection", State.OK, f"{name}: {target.base} is protected")
    remedy = "give it a ruleset that binds the Apps; runs are refused without one"
    return Finding("protection", State.WARN, f"{name}: {target.base} is not protected", remedy)


def _lines(found: list[Finding]) -> Iterator[str]:
    width = max(len(each.check) for each in found)
    for each in found:
        mark = click.style(_MARKS[each.state], fg=_COLOURS[each.state])
        yield f"{mark}  {each.check:<{width}}  {terminal_text.all_in_one(each.found)}"
        if each.remedy:
            yield f"{'':<{width + 8}}→ {terminal_text.all_in_one(each.remedy)}"
    missing = [each.check for each in found if each.state is State.MISSING]
    yield ""
    if missing:
        yield f"Missing: {', '.join(missing)}. No run works without."
    else:
        warned = sum(each.state is State.WARN for each in found)
        yield "Ready." if not warned else f"Ready, with {warned} warnings."
