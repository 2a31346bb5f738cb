"""What the verbs of `pressplay preview` do: list, find, wait, extend, destroy."""

from __future__ import annotations

import http.client
import json
import time
import webbrowser
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import click

from pressplay.api import policy
from pressplay.base import clocks
from pressplay.base.clocks import SystemClock
from pressplay.base.errors import PressplayError, Refused, Unavailable
from pressplay.cli import listing, pipelines, standing_previews
from pressplay.cli.standing_previews import Preview
from pressplay.cluster.port import NotFound
from pressplay.stages.previews import objects

_COLUMNS = ("PR", "REPOSITORY", "URL", "READY", "AGE", "EXPIRES", "RUN", "SHA")
_POLL_S = 0.2
_GONE_S = 30.0


def numbers(state: Path) -> list[str]:
    """The pull requests that have a preview; none where no server runs or answers."""
    try:
        return sorted({str(each.pr) for each in standing_previews.read(state, repo="")})
    except PressplayError:
        return []


def print_list(state: Path, *, repo: str, output: str) -> None:
    """Everything that stands, as a table or as JSON."""
    found, now = standing_previews.read(state, repo=repo), SystemClock().now()
    if output == "json":
        click.echo(json.dumps([each.to_json(now=now) for each in found]))
    elif found:
        rows = [list(_COLUMNS), *(_row(each, now) for each in found)]
        click.echo("\n".join(listing.table(rows)))
    else:
        click.echo("No preview stands; an approved run leaves one.")


def find(state: Path, pr: int, *, repo: str) -> Preview:
    """The preview of one pull request. Raises Refused, saying which there are."""
    standing = standing_previews.read(state, repo=repo)
    found = [each for each in standing if each.pr == pr]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(each.repository for each in found)
        raise Refused(
            f"Pull request {pr} has a preview in each of {several}; say which with --repo"
        )
    none = f"Pull request {pr}{f' of {repo}' if repo else ''} has no preview"
    if not standing:
        raise Refused(f"{none}, and no other has; an approved run leaves one")
    there = ", ".join(f"{each.pr} ({each.repository})" for each in standing)
    raise Refused(f"{none}. There are: {there}")


def wait(preview: Preview, *, timeout_s: float) -> None:
    """Return once it answers, whatever it says. Raises Unavailable when time has run out."""
    until = time.monotonic() + timeout_s
    while not _answers(preview):
        if time.monotonic() >= until:
            raise Unavailable(
                f"{preview.title} did not answer at {preview.url or 'any address'} within "
                f"{timeout_s:g} s; `pressplay workflow get {preview.run}` shows its run"
            )
        time.sleep(_POLL_S)
        preview = standing_previews.read_again(preview)


def browse(url: str) -> bool:
    """Start the user's browser; False where there is none."""
    return webbrowser.open(url)


def extend(preview: Preview, duration: str) -> Preview:
    """Move the end of a preview's life by `duration`. Raises Refused beyond the longest life."""
    seconds = clocks.read_duration(duration, field="DURATION")
    now = SystemClock().now()
    begin = max(now, preview.end(now))
    latest = now + timedelta(seconds=policy.LONGEST_TTL_S)
    if begin + timedelta(seconds=seconds) > latest:
        more = listing.span((latest - begin).total_seconds())
        raise Refused(
            f"DURATION is {duration}; a preview stands at most "
            f"{clocks.duration_text(policy.LONGEST_TTL_S)} from now on, so {more} more is possible"
        )
    longer = replace(preview, expires=clocks.to_text(begin + timedelta(seconds=seconds)))
    patch = {"metadata": {"annotations": {objects.EXPIRES: longer.expires}}}
    with pipelines.open_kube(preview.server) as kube:
        try:
            kube.patch("Namespace", "", preview.namespace, patch)
        except NotFound as error:
            raise Refused(f"{preview.title} was removed meanwhile") from error
    return longer


def destroy(preview: Preview) -> None:
    """Remove it with all that is in it. Raises Unavailable where it does not go."""
    with pipelines.open_kube(preview.server) as kube:
        kube.delete("Namespace", "", preview.namespace)
        until = time.monotonic() + _GONE_S
        while kube.get("Namespace", "", preview.namespace) is not None:
            if time.monotonic() >= until:
                raise Unavailable(f"{preview.title} is still being removed; look again")
            time.sleep(_POLL_S)


def say(preview: Preview, sentence: str, *, output: str) -> None:
    """The answer of a command about one preview."""
    now = SystemClock().now()
    click.echo(json.dumps(preview.to_json(now=now)) if output == "json" else sentence)


def _answers(preview: Preview) -> bool:
    """Whether anything of HTTP comes back from where it should be."""
    if not preview.connect:
        return False
    asking = http.client.HTTPConnection(preview.connect, timeout=2)
    try:
        asking.request("GET", "/", headers={"Host": preview.host})
        asking.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()
    return True


def _row(preview: Preview, now: datetime) -> list[str]:
    age = (now - clocks.from_text(preview.created)).total_seconds()
    return [
        str(preview.pr),
        preview.repository,
        preview.url or "-",
        "yes" if preview.is_ready else "no",
        listing.span(age),
        f"in {listing.span(preview.left_s(now))}",
        preview.run,
        preview.sha[:10],
    ]
