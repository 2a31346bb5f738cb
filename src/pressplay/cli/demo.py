"""`pressplay demo`: the main job on the sample app, with the scripted agent."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

from pressplay import app
from pressplay.base import ids, processes
from pressplay.base.errors import Refused
from pressplay.cli import pipelines, reporting, run, workspaces
from pressplay.cli.pipelines import AgentChoice, IssueText
from pressplay.cli.workspaces import Workspace

_SAMPLE = "python"


@click.command(epilog="Example: pressplay demo --output json")
@click.option("--output", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def command(ctx: click.Context, *, output: str) -> None:
    """Run the whole pipeline on a sample app: no account, no key, no network.

    The agent is scripted, a double that says so in everything that it writes; the git, the gates,
    the preview, the load and the signatures are real.
    """
    folder = ctx.obj or app.default_state(os.environ)  # noqa: TID251 - the command line reads it
    found = sample(folder / "demo")
    if output == "text":
        click.echo(f"Sample app ({_SAMPLE}): {reporting.short(str(found.workspace.path))}")
        click.echo(f"Issue: {found.issue.title}")
        click.echo("Agent: scripted (a double, not a model)")
    code = run.play(
        folder,
        found.workspace,
        found.issue,
        agent=found.agent,
        timeout_s=600,
        output=output,
        fresh=True,
    )
    ctx.exit(code)


@dataclass(frozen=True)
class Sample:
    """The sample app in a repository of its own, an issue, and who works on it."""

    workspace: Workspace
    issue: IssueText
    agent: AgentChoice


def sample(parent: Path) -> Sample:
    """The sample, its repository below `parent`."""
    source = resources.files("pressplay.samples") / _SAMPLE
    script = (source / "scenario.yaml").read_text()
    return Sample(
        workspace=_sample_repository(parent),
        issue=_read(source / "issue.md"),
        agent=AgentChoice("scripted", files={"scenario.yaml": script}),
    )


def _read(source: resources.abc.Traversable) -> IssueText:
    with tempfile.NamedTemporaryFile("w", suffix=".md") as copy:
        copy.write(source.read_text())
        copy.flush()
        return pipelines.read_issue(Path(copy.name))


def _sample_repository(parent: Path) -> Workspace:
    """The sample app as a git repository of its own, made once for each version of the sample."""
    with resources.as_file(resources.files("pressplay.samples") / _SAMPLE) as sample:
        path = parent / _digest(sample) / f"sample-{_SAMPLE}"
    if not (path / ".git").is_dir():
        shutil.rmtree(path, ignore_errors=True)
        with resources.as_file(
            resources.files("pressplay.samples") / _SAMPLE / "repository"
        ) as source:
            shutil.copytree(source, path, ignore=shutil.ignore_patterns("__pycache__"))
        for arguments in (
            ("init", "--quiet", "--initial-branch=main"),
            ("add", "--all"),
            ("commit", "--quiet", "--message", "A small service that keeps items"),
        ):
            _git(path, *arguments)
    return workspaces.read_workspace(path)


def _digest(folder: Path) -> str:
    plain = (each for each in sorted(folder.rglob("*")) if each.is_file())
    kept = [each for each in plain if "__pycache__" not in each.parts]
    text = "".join(f"{each.relative_to(folder)}\n{each.read_text()}" for each in kept)
    return ids.short_hash(text)


def _git(path: Path, *arguments: str) -> None:
    identity = {
        "GIT_AUTHOR_NAME": "pressplay demo",
        "GIT_AUTHOR_EMAIL": "demo@localhost",
        "GIT_COMMITTER_NAME": "pressplay demo",
        "GIT_COMMITTER_EMAIL": "demo@localhost",
    }
    env = {**os.environ, **identity}  # noqa: TID251 - the user's own git
    done = processes.run(["git", "-C", path, *arguments], env=env)
    if not done.ok:
        raise Refused(f"git {arguments[0]} failed in {path}: {done.complaint()}")
