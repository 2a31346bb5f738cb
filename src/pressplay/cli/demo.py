"""`pressplay demo`: the main job on the sample app, with the scripted agent."""

from __future__ import annotations

import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

from pressplay.base import ids, processes, rust_programs
from pressplay.base.errors import Refused
from pressplay.cli import local_server, pipelines, reporting, run, workspaces
from pressplay.cli.agents import AgentChoice
from pressplay.cli.origins import IssueText
from pressplay.cli.workspaces import Workspace

SAMPLES = ("rust", "python")


@click.command(epilog="Example: pressplay demo --output json")
@click.option(
    "--sample",
    "wanted",
    type=click.Choice(SAMPLES),
    help="Which sample app; without it, Rust where cargo with rustfmt and clippy is, else Python.",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text")
@click.pass_context
def command(ctx: click.Context, *, wanted: str | None, output: str) -> None:
    """Run the whole pipeline on a sample app: no account, no key, no network.

    The agent is scripted, a double that says so in everything that it writes; the git, the gates,
    the preview, the load and the signatures are real.
    """
    folder = local_server.folder(ctx.obj)
    language, why = choose(wanted, dict(os.environ))  # noqa: TID251 - the command line reads it
    found = sample(folder / "demo", language=language)
    if output == "text":
        click.echo(f"Sample app ({language}): {reporting.short(str(found.workspace.path))}")
        click.echo(f"Language: {why}")
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


def choose(wanted: str | None, variables: Mapping[str, str]) -> tuple[str, str]:
    """The sample to take, and why: the one asked for, else Rust's where its tools are."""
    if wanted:
        return wanted, f"{wanted.title()}, as asked"
    missing = missing_for_rust(variables)
    if missing:
        return "python", f"Python, because {missing}"
    return "rust", "Rust, because cargo, rustfmt, clippy and a linker are here"


def missing_for_rust(variables: Mapping[str, str]) -> str:
    """What the Rust sample would need and this machine lacks; empty where it lacks nothing."""
    path = variables.get("PATH", "")
    found = rust_programs.find(path=path, variables=variables)
    if found is None:
        return "there is no working cargo on PATH (https://rustup.rs)"
    if found.missing():
        return (
            f"cargo is here without {', '.join(found.missing())} "
            "(rustup component add rustfmt clippy)"
        )
    needed, version = _rust_version(), found.version()
    if version and version < needed:
        return (
            f"cargo is here, but {_dotted(version)} is older than {_dotted(needed)} (rustup update)"
        )
    if not rust_programs.has_linker(path=path):
        return f"cargo is here, but no linker {rust_programs.LINKER} (apt install gcc)"
    return ""


def _rust_version() -> tuple[int, ...]:
    """The oldest compiler that the sample can be built with."""
    manifest = resources.files("pressplay.samples") / "rust" / "repository" / "Cargo.toml"
    text = tomllib.loads(manifest.read_text())["package"]["rust-version"]
    return tuple(int(each) for each in text.split("."))


def _dotted(version: tuple[int, ...]) -> str:
    return "Rust " + ".".join(str(each) for each in version)


@dataclass(frozen=True)
class Sample:
    """The sample app in a repository of its own, an issue, and who works on it."""

    workspace: Workspace
    issue: IssueText
    agent: AgentChoice


def sample(parent: Path, *, language: str) -> Sample:
    """The sample in `language`, its repository below `parent`."""
    source = resources.files("pressplay.samples") / language
    script = (source / "scenario.yaml").read_text()
    return Sample(
        workspace=_sample_repository(parent, language),
        issue=_read(source / "issue.md"),
        agent=AgentChoice("scripted", files={"scenario.yaml": script}),
    )


def _read(source: resources.abc.Traversable) -> IssueText:
    with tempfile.NamedTemporaryFile("w", suffix=".md") as copy:
        copy.write(source.read_text())
        copy.flush()
        return pipelines.read_issue(Path(copy.name))


def _sample_repository(parent: Path, language: str) -> Workspace:
    """The sample app as a git repository of its own, made once for each version of the sample."""
    with resources.as_file(resources.files("pressplay.samples") / language) as sample:
        path = parent / _digest(sample) / f"sample-{language}"
    if not (path / ".git").is_dir():
        shutil.rmtree(path, ignore_errors=True)
        with resources.as_file(
            resources.files("pressplay.samples") / language / "repository"
        ) as source:
            shutil.copytree(source, path, ignore=shutil.ignore_patterns("__pycache__", "target"))
        for arguments in (
            ("init", "--quiet", "--initial-branch=main"),
            ("add", "--all"),
            ("commit", "--quiet", "--message", "A small service that keeps items"),
        ):
            _git(path, *arguments)
    return workspaces.read_workspace(path)


def _digest(folder: Path) -> str:
    plain = (each for each in sorted(folder.rglob("*")) if each.is_file())
    kept = [each for each in plain if not {"__pycache__", "target"} & set(each.parts)]
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
