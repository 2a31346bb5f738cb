"""The last pod: has the write token, and therefore runs nothing of the repository's.

It believes nobody: the commits are examined again, as data, in a clone of its own. Then exactly
one branch moves forward: the run's own, or the head branch of its pull request.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pressplay.api import names
from pressplay.api.forge import Branch, Pull
from pressplay.base import files
from pressplay.base.errors import Refused
from pressplay.forge.client import Forge
from pressplay.stages import connections, git, handover, scratch, tasks
from pressplay.stages.agents.results import Result
from pressplay.stages.environment import Ending, Outcome, StageEnvironment
from pressplay.stages.gates import examining
from pressplay.stages.handover import Context, Verification

QUOTE_LIMIT = 6000
"""Characters of the task that the pull request's description repeats."""

MARKER = "<!-- pressplay run={run} -->"
"""By this line a description of ours is known."""


class GateSaysNo(Exception):
    """Publishing is not allowed; the message is the reason."""


@dataclass(frozen=True)
class Publication:
    """What is to be published where; `tip` is the head itself where there is nothing new."""

    env: StageEnvironment
    context: Context
    result: Result
    directory: Path
    tip: str
    forge: Forge

    @property
    def url(self) -> str:
        """Where the commits go."""
        return connections.clone_url(self.env, self.context.owner, self.context.repo)


@dataclass(frozen=True)
class Place:
    """Where the commits are to go, as the forge has it; `branch` is None while there is none."""

    pull: Pull | None
    default_branch: str
    branch: Branch | None


def run(env: StageEnvironment) -> Outcome:
    """Push, open the pull request, and write which one it is and where it stands."""
    context = handover.read_context(env)
    result = Result.from_json(handover.read(env, handover.RESULT))
    verification = Verification.from_json(handover.read(env, handover.VERIFICATION))
    try:
        with connections.open_forge(env) as forge:
            publication = Publication(
                env=env,
                context=context,
                result=result,
                directory=scratch.folder() / "clean.git",
                tip=result.head if result.commits else context.head_sha,
                forge=forge,
            )
            _check_answer(publication, verification)
            pull = _publish(publication)
    except GateSaysNo as no:
        env.log("not_published", role=context.role, reason=no)
        return Outcome(Ending.FAIL, f"{context.role}: {no}")
    env.write_output("pr", str(pull.number) if pull else "")
    env.write_output("pr-url", pull.html_url if pull else "")
    env.write_output("ref", context.branch)
    env.write_output("head-sha", publication.tip)
    return Outcome()


def _check_answer(publication: Publication, verification: Verification) -> None:
    context = publication.context
    if (verification.role, verification.head) != (context.role, publication.tip):
        raise GateSaysNo("verify judged another commit or another role than these")
    if not verification.passed:
        raise GateSaysNo(f"verify said no: {'; '.join(verification.reasons) or 'no reason given'}")


def _publish(publication: Publication) -> Pull | None:
    """Do what is to be done; the pull request, None where the run has none."""
    if publication.tip == publication.context.head_sha:
        publication.env.log("nothing_to_publish", role=publication.context.role)
        return _pull(publication)
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(_ask, publication)
        _take_in(publication)
        place = asked.result()
    described = _describe(publication)
    _check_place(publication, place, described)
    _push(publication, standing=place.branch.sha if place.branch else "")
    publication.env.write_artifact(f"{publication.context.role}/commit.txt", described)
    return place.pull or _pull(publication)


def _take_in(publication: Publication) -> None:
    """Both bundles into a clean clone, and every rule once more."""
    env, context, directory = publication.env, publication.context, publication.directory
    handover.take_source(env, directory, context)
    try:
        handover.take_changes(env, directory, publication.tip)
    except Refused as error:
        raise GateSaysNo(f"the agent's commits cannot be taken in: {error}") from error
    reasons = examining.examine(directory, context=context, tip=publication.tip)
    if reasons:
        raise GateSaysNo("; ".join(reasons))


def _ask(publication: Publication) -> Place:
    """What the forge is asked while the commits are examined."""
    context, forge = publication.context, publication.forge
    pull = forge.pull(context.owner, context.repo, int(context.pr)) if context.pr else None
    return Place(
        pull=pull,
        default_branch=forge.repository(context.owner, context.repo).default_branch,
        branch=forge.branch(context.owner, context.repo, context.branch),
    )


def _check_place(publication: Publication, place: Place, described: str) -> None:
    """The one allowed branch: never a default or protected one, never in a fork."""
    env, context = publication.env, publication.context
    if context.fork:
        env.write_artifact(
            f"{context.role}/commit.txt", f"Not pushed, head in a fork:\n{described}"
        )
        raise GateSaysNo(
            "the head is in a fork, where nothing of ours is pushed; commit.txt in the evidence "
            "lists the commits that its author would need"
        )
    if place.pull:
        _check_pull(context, place.pull)
    elif context.branch != names.run_branch(_own_subject(context)):
        raise GateSaysNo(f"branch {context.branch} is not this run's own branch")
    if context.branch == place.default_branch:
        raise GateSaysNo(f"{context.branch} is the default branch; nothing of ours is pushed there")
    if place.branch and place.branch.protected:
        raise GateSaysNo(f"branch {context.branch} is protected; nothing of ours is pushed there")


def _check_pull(context: Context, pull: Pull) -> None:
    if pull.state != "open":
        raise GateSaysNo(f"pull request #{pull.number} was {pull.state} while the agent worked")
    if pull.head_ref != context.branch:
        raise GateSaysNo(f"pull request #{pull.number} has another head branch by now")


def _own_subject(context: Context) -> str:
    return names.subject_of(issue=context.issue, sha=context.base_sha)


def _push(publication: Publication, *, standing: str) -> None:
    """Fast-forward only. A repetition finds its own commit there and does nothing."""
    env, context, tip = publication.env, publication.context, publication.tip
    directory, branch = publication.directory, context.branch
    if standing == tip:
        env.log("already_pushed", branch=branch, sha=tip)
        return
    if standing and not git.is_ancestor(directory, standing, tip):
        raise GateSaysNo(_moved(context, standing))
    token = connections.read_token(env)
    if not git.push(directory, url=publication.url, sha=tip, branch=branch, auth=token):
        raise GateSaysNo(_moved(context, "meanwhile"))
    env.log("pushed", branch=context.branch, sha=tip, commits=len(publication.result.commits))


def _moved(context: Context, where: str) -> str:
    return (
        f"branch {context.branch} moved ({where[:10]}) while the agent worked on "
        f"{context.head_sha[:10]}; its newer head gets a run of its own"
    )


def _pull(publication: Publication) -> Pull | None:
    """The run's pull request: the given one, the open one of the branch, or a new one."""
    context, forge = publication.context, publication.forge
    if context.pr:
        return forge.pull(context.owner, context.repo, int(context.pr))
    for pull in forge.pulls(context.owner, context.repo, head_branch=context.branch):
        if pull.head_ref == context.branch:
            return pull
    if publication.tip == context.head_sha:
        return None
    pull = forge.open_pull(
        context.owner,
        context.repo,
        head=context.branch,
        base=context.base_ref,
        title=tasks.one_line(context.title) or f"Work on {context.subject}",
        body=describe_pull(context, task=_task(publication.env)),
    )
    publication.env.log("pull_request_opened", pr=pull.number)
    return pull


def describe_pull(context: Context, *, task: str) -> str:
    """The description of a pull request.

    The task stands in a code block: in there a stranger's text mentions nobody, closes no issue
    and cannot pass for our marker.
    """
    closes = f"Closes #{context.issue}\n\n" if context.issue else ""
    cut = "\n[cut]" if len(task) > QUOTE_LIMIT else ""
    quoted = task[:QUOTE_LIMIT].replace("<!--", "<! --").rstrip() + cut
    longest = max((len(run) for run in re.findall(r"`+", quoted)), default=0)
    fence = "`" * max(3, longest + 1)
    return (
        f"{closes}Made by {context.identity.name} for {context.subject}. "
        f"A person reviews and merges it.\n\n{fence}text\n{quoted}\n{fence}\n\n"
        f"{MARKER.format(run=context.run)}\n"
    )


def _task(env: StageEnvironment) -> str:
    path = files.beneath(env.inputs, handover.TASK)
    return path.read_text(errors="replace") if path.is_file() else ""


def _describe(publication: Publication) -> str:
    """One line a commit, newest last, for `commit.txt`."""
    directory, start = publication.directory, publication.context.head_sha
    lines = []
    for record in git.line(directory, start=start, tip=publication.tip) or ():
        subject = tasks.one_line(record.message.partition("\n")[0], limit=200)
        lines.append(f"{record.sha} {record.author.name} <{record.author.email}> {subject}\n")
    return "".join(lines)
