"""The pod beside which no token stands: unpacks the workspace, lets the agent work, packs it up.

Whatever the agent did, the step ends well and says in `result.json` what became of it; judging is
for the pods that follow. Only a step that could not begin ends otherwise.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pressplay.base import clocks
from pressplay.base.clocks import SystemClock
from pressplay.base.errors import PressplayError, Refused
from pressplay.stages import asking, children, git, handover, limits, relaying, scratch
from pressplay.stages.agents import claude, command, furnishing, port, scripted, workspaces
from pressplay.stages.agents.furnishing import Furnished, Furnisher
from pressplay.stages.agents.port import Agent, Job, Worked
from pressplay.stages.agents.results import Result, WorkOutcome
from pressplay.stages.environment import Foreign, Outcome, StageEnvironment
from pressplay.stages.handover import Context
from pressplay.stages.toolchains import replaying
from pressplay.stages.transcripts import Transcript

AGENTS: Mapping[str, Agent] = {
    "claude": claude.work,
    "command": command.work,
    "scripted": scripted.work,
}

RUNNING = frozenset(AGENTS) - {"scripted"}
"""The kinds that can run the repository's code and so want what it depends on."""

TOOLCHAIN = "toolchain"
"""The kind that stands in the result of the mechanical role."""

MARGIN_S = 60.0
MARGIN_SHARE = 0.1
"""Of the agent's time, this much (the smaller of the two) is kept for packing up."""


@dataclass(frozen=True)
class Work:
    """What came out: the newest commit, and how the work went."""

    kind: str
    worked: Worked
    tip: str


def run(env: StageEnvironment) -> Outcome:
    """Do the work of the role; write `result.json`, the commits and the log."""
    clock = SystemClock()
    context = handover.read_context(env)
    started = clocks.to_text(clock.now())
    transcript = Transcript(redact=env.redact, write=_print)
    do: Callable[..., Work] = _mechanical if context.role == handover.MECHANICAL else _agents
    directory = scratch.folder() / "own.git"
    handover.take_source(env, directory, context)
    work = do(env, context, directory=directory, transcript=transcript)
    target = env.out / handover.CHANGES
    target.parent.mkdir(parents=True, exist_ok=True)
    commits = workspaces.bundle_work(directory, target, start=context.head_sha, tip=work.tip)
    result = Result(
        role=context.role,
        kind=work.kind,
        outcome=outcome_of(work.worked, changed=bool(commits)),
        exit_code=work.worked.exit_code,
        commits=commits,
        head=work.tip,
        message=env.redact(work.worked.said or transcript.last_line())[:2000],
        started_at=started,
        finished_at=clocks.to_text(clock.now()),
        cost=work.worked.cost,
    )
    handover.write(env, handover.RESULT, result.to_json())
    env.write_artifact(f"{context.role}/logs.txt", transcript.text())
    if result.cost:
        env.write_artifact(f"{context.role}/cost.json", dict(result.cost))
    if "usd" in result.cost:
        env.write_output("cost", f"{result.cost['usd']}")
    env.log("agent_ended", role=context.role, outcome=result.outcome, commits=len(commits))
    return Outcome()


def outcome_of(worked: Worked, *, changed: bool) -> WorkOutcome:
    """Time first, then the exit code, then the commits."""
    if worked.exit_code is None:
        return WorkOutcome.TIMEOUT
    if worked.exit_code != 0:
        return WorkOutcome.FAILED
    return WorkOutcome.CHANGED if changed else WorkOutcome.UNCHANGED


def choose_kind(context: Context, program: Path) -> str:
    """Which kind of agent works: the one asked for, else the one with a program, else the default.

    Raises Refused for a kind that is not available, and where nothing says which.
    """
    kind = context.kind or _mounted(program) or context.default_kind
    if not kind:
        raise Refused(
            "No agent: ask for one with spec.agent or the policy field agent.kind, and mount its "
            f"program in the ConfigMap agent-RUN: {command.FILE} (kind command) or "
            f"{scripted.FILES[0]} (kind scripted)"
        )
    if kind not in AGENTS:
        raise Refused(f"Agent kind {kind!r} is unknown; set agent to one of: {', '.join(AGENTS)}")
    return kind


def time_for(context: Context) -> float:
    """Seconds for the agent itself."""
    return context.timeout_s - min(MARGIN_S, context.timeout_s * MARGIN_SHARE)


def _mounted(program: Path) -> str:
    for kind, name in (("command", command.FILE), ("claude", claude.FILE)):
        if (program / name).is_file():
            return kind
    return "scripted" if any((program / name).is_file() for name in scripted.FILES) else ""


def _agents(
    env: StageEnvironment, context: Context, *, directory: Path, transcript: Transcript
) -> Work:
    """A model's or an operator's program works in the workspace."""
    kind = choose_kind(context, env.agent_dir)
    request = asking.read_request(env)
    workspaces.make(env.workspace, source=directory, context=context)
    furnisher = Furnisher(env=env, context=context, transcript=transcript)
    with tempfile.TemporaryDirectory() as home, relaying.carried(env) as carried:
        furnished = Furnished({})
        if kind in RUNNING:
            time_s = time_for(context) * furnishing.TIME_SHARE
            furnished = furnisher.furnish(carried, timeout_s=time_s)
        workspaces.ignore(env.workspace / ".git", furnished.litter)
        job = Job(
            context=context,
            workspace=env.workspace,
            program=env.agent_dir,
            task=env.inputs / handover.TASK,
            system=env.inputs / handover.SYSTEM,
            path=children.search_path(env),
            home=Path(home),
            timeout_s=time_for(context),
            variables=furnished.variables,
            model_url=carried.model_url,
            proxy=carried.proxy_url,
            model=str(request.get("model") or ""),
            limits=limits.of_request(request).tighter(limits.of_policy(context.policy.policy)),
        )
        env.log("agent_started", role=context.role, kind=kind, timeout_s=job.timeout_s)
        with env.timed(Foreign.AGENT):
            worked = AGENTS[kind](job, transcript)
        # The meter's word stands above the agent's own.
        worked = dataclasses.replace(worked, cost={**worked.cost, **relaying.read_cost(env)})
    workspaces.ignore(directory, furnished.litter)
    return _collect(env, context, directory=directory, kind=kind, worked=worked)


def _collect(
    env: StageEnvironment, context: Context, *, directory: Path, kind: str, worked: Worked
) -> Work:
    message = worked.message or port.commit_message(context, note="Left by the agent.")
    try:
        collected = workspaces.collect(directory, env.workspace, context=context, message=message)
    except PressplayError as error:
        env.log("work_not_collected", error=error)
        failed = Worked(exit_code=worked.exit_code or 1, said=str(error), cost=worked.cost)
        return Work(kind=kind, worked=failed, tip=context.head_sha)
    for note in collected.notes:
        env.log("work_collected", note=note)
    return Work(kind=kind, worked=worked, tip=collected.tip)


def _mechanical(
    env: StageEnvironment, context: Context, *, directory: Path, transcript: Transcript
) -> Work:
    """The toolchain's own tools work; no workspace, and so nothing of the repository's runs."""
    mended = replaying.mend(
        directory,
        context.head_sha,
        base=context.base_sha,
        preparer=Furnisher(env=env, context=context, transcript=transcript).preparer(),
    )
    name, tools = mended.toolchain.name, ", ".join(mended.findings.tools)
    for line in (f"{name}: {tools}", *mended.said, *mended.findings.lines):
        transcript.say(line)
    tip = context.head_sha
    if mended.tree != git.tree_of(directory, tip):
        tip = git.commit_tree(
            directory,
            mended.tree,
            parent=tip,
            message=port.commit_message(
                context, subject="Format and lint", note=f"Made by {tools}; no hand touched it."
            ),
            identity=context.identity,
        )
    said = "formatted and linted" if tip != context.head_sha else "nothing to format or lint"
    return Work(kind=TOOLCHAIN, worked=Worked(exit_code=0, said=said, cost={"usd": 0}), tip=tip)


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
