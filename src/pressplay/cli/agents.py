"""Which agent works on a run, as the command line names it, and what its pods are given."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from pressplay.api import parameters
from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret

KINDS = ("command", "scripted", "claude")


@dataclass(frozen=True)
class AgentChoice:
    """Which agent works: `kind` and the files that its pod finds in /etc/pressplay/agent.

    `programs` are host files and folders that the agent's sandbox may read. `key` goes into the
    Secret `model-key`. An empty model and no amount leave both to the repository's policy.
    """

    kind: str
    files: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[Path, ...] = ()
    key: Mapping[str, Secret] = field(default_factory=dict)
    model: str = ""
    max_usd: float | None = None


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options and the PROGRAM that say who works, as its argument `agent`."""

    @click.option(
        "--agent",
        type=click.Choice(KINDS),
        default="command",
        show_default=True,
        help=(
            "command: your PROGRAM works in the checkout. claude: the Claude Code CLI installed "
            "here. scripted: a script of edits (a double)."
        ),
    )
    @click.option("--model", default="", help="The model that --agent claude uses.")
    @click.option(
        "--max-usd",
        type=click.FloatRange(min=0, max=1000, min_open=True),
        help="What each agent may cost, where the policy's agent.max_usd is not even less.",
    )
    @click.argument("program", nargs=-1, type=click.UNPROCESSED)
    @functools.wraps(command)
    def wrapped(
        *context: click.Context,
        agent: str,
        model: str,
        max_usd: float | None,
        program: tuple[str, ...],
        **others: object,
    ) -> None:
        environment = os.environ  # noqa: TID251 - the command line reads it
        chosen = choose(agent, program, environment=environment, model=model, max_usd=max_usd)
        command(*context, agent=chosen, **others)

    return wrapped


def choose(
    kind: str,
    program: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    model: str = "",
    max_usd: float | None = None,
) -> AgentChoice:
    """The agent that the command line names, in the user's `environment`. Raises Refused."""
    if kind == "claude":
        if program:
            raise Refused("--agent claude takes no PROGRAM; $PRESSPLAY_CLAUDE says which CLI")
        return claude(environment, model=model, max_usd=max_usd)
    if model or max_usd is not None:
        raise Refused("--model and --max-usd belong to --agent claude")
    if not program:
        raise Refused(f"--agent {kind} needs a program: put it after `--`")
    return _scripted(program) if kind == "scripted" else _command(program)


def claude(
    environment: Mapping[str, str], *, model: str = "", max_usd: float | None = None
) -> AgentChoice:
    """The Claude Code CLI installed here, with the user's key. Raises Refused with the remedy."""
    # Imported here: no other agent needs it, and `--help` needs none.
    from pressplay.cli import claude_program  # noqa: PLC0415

    key = claude_key(environment)
    if not key:
        raise Refused("--agent claude: no way to a model; set ANTHROPIC_API_KEY to your key")
    path = claude_program.find(environment)
    if path is None:
        raise Refused(
            f"--agent claude: no program claude on PATH; {claude_program.HOW_TO_GET} or set "
            f"${claude_program.VARIABLE}"
        )
    found = claude_program.read(path, environment)
    return AgentChoice(
        "claude",
        files={"claude.json": json.dumps(list(found.words))},
        programs=found.shown,
        key=key,
        model=parameters.check("agentModel", model),
        max_usd=max_usd,
    )


def claude_key(environment: Mapping[str, str]) -> dict[str, Secret]:
    """The user's key and endpoint as the Secret `model-key` holds them; empty where none is set.

    Raises Refused for an endpoint to which no key would be sent.
    """
    key = environment.get("ANTHROPIC_API_KEY", "").strip()
    url = environment.get("ANTHROPIC_BASE_URL", "").strip()
    if not key and not url:
        return {}
    if url:
        # Imported here: it brings an HTTP client, which is slow to load.
        from pressplay.stages.relays import upstream  # noqa: PLC0415

        try:
            upstream.check_url(url)
        except Refused as error:
            raise Refused(f"ANTHROPIC_BASE_URL cannot be used: {error}") from error
    # Both, always: what an earlier run left would be joined with what is new.
    return {"api-key": Secret(key), "base-url": Secret(url)}


def _scripted(program: tuple[str, ...]) -> AgentChoice:
    script = Path(program[0])
    if not script.is_file():
        raise Refused(f"--agent scripted: no script at {script}")
    return AgentChoice("scripted", files={"scenario.yaml": script.read_text()})


def _command(program: tuple[str, ...]) -> AgentChoice:
    found = shutil.which(program[0])
    if found is None:
        raise Refused(f"--agent command: {program[0]} is no program on PATH and no executable file")
    path = Path(found).absolute()
    argv = [str(path), *program[1:]]
    named = tuple(Path(each).absolute() for each in program[1:] if Path(each).is_file())
    # Relative file arguments would mean something else in the sandbox's checkout.
    argv = [str(Path(each).absolute()) if Path(each).is_file() else each for each in argv]
    return AgentChoice("command", files={"command.json": json.dumps(argv)}, programs=(path, *named))
