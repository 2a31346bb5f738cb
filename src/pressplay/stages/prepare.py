"""The first pod of an agent run: a fresh clone, the task, the rules; with a read token, no agent.

What it writes is all that the later pods get to know about the forge.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pressplay.api import names, parameters, policy
from pressplay.api.forge import Comment, Pull
from pressplay.base.errors import Refused
from pressplay.forge.client import Forge
from pressplay.stages import (
    asking,
    bundles,
    connections,
    git,
    handover,
    limits,
    scratch,
    tasks,
)
from pressplay.stages.admission.trust import Trust
from pressplay.stages.environment import Outcome, StageEnvironment
from pressplay.stages.handover import Context
from pressplay.stages.tasks import Note, Task

SHORTEST_S, LONGEST_S = 1, 3600
"""Seconds that an agent may be given; the step around it has a little more."""

TASK_FILES = ("{ref}", "{ref}/task.md", "{ref}/prompt.md")
"""Where in the base commit the text of a `taskRef` is looked for."""


@dataclass(frozen=True)
class Asked:
    """The fields of the object's spec that this stage reads, checked."""

    owner: str
    repo: str
    pr: str
    issue: str
    comment_id: str
    ref: str
    sha: str
    base_sha: str
    task_ref: str
    kind: str
    include_comments: bool
    timeout_s: int


@dataclass(frozen=True)
class Subject:
    """Where the work starts and goes: `branch` gets the commits, from `start` on."""

    branch: str
    base_ref: str
    base_sha: str
    start: str
    start_ref: str
    fork: bool
    pull: Pull | None


def run(env: StageEnvironment) -> Outcome:
    """Write the workspace for the agent, verify and publish."""
    request = asking.read_request(env)
    role = parameters.check("github-app", env.require("GITHUB_APP"))
    asked = read_asked(request, *asking.repository_of(env))
    directory = scratch.folder() / "clone.git"
    with connections.open_forge(env) as forge:
        subject = _subject(forge, asked)
        with ThreadPoolExecutor(1) as beside:
            talk = beside.submit(_talk, forge, asked, subject.pull)
            subject = _fetch(env, asked, subject, directory=directory)
            said, default = talk.result()
        rules = _policy(directory, subject.base_sha)
        notes = (*_task_notes(directory, subject, asked.task_ref), *said)
        context = _context(env, asked, subject, rules=rules, role=role)
        context = dataclasses.replace(
            context, title=_title(notes), base_is_default=subject.base_ref == default
        )
        _check_task(context, notes)
        tips = {handover.BASE: context.base_sha, handover.HEAD: context.head_sha}
        bundles.write(directory, env.out / handover.SOURCE, tips=tips)
    handover.write(env, handover.REQUEST, request)
    handover.write(env, handover.CONTEXT, context.to_json())
    handover.write(env, handover.POLICY, rules.to_json())
    env.write_output(handover.TASK, tasks.compose(_task(context, notes)))
    env.write_output(handover.SYSTEM, read_prompt(env, role, request))
    allowed = limits.of_request(request).tighter(limits.of_policy(rules.policy))
    env.write_output("limits", json.dumps(allowed.to_json()))
    env.log("workspace_prepared", role=role, branch=context.branch, head=context.head_sha)
    return Outcome()


def read_asked(request: Mapping[str, Any], owner: str, repo: str) -> Asked:
    """The spec's fields, each checked by its rule. Raises Refused, naming the field."""

    def field(name: str, rule: str = "") -> str:
        return parameters.check(rule or name, str(request.get(name) or ""))

    try:
        timeout_s = int(request.get("timeoutSeconds") or LONGEST_S)
    except (TypeError, ValueError) as error:
        raise Refused("spec.timeoutSeconds is not a number of seconds") from error
    return Asked(
        owner=owner,
        repo=repo,
        pr=field("pr"),
        issue=field("issue"),
        comment_id=field("commentId"),
        ref=field("ref"),
        sha=field("sha"),
        base_sha=field("baseSha", "sha"),
        task_ref=field("taskRef"),
        kind=field("agent", "agentKind"),
        include_comments=str(request.get("includeComments") or "").lower() == "true",
        timeout_s=min(max(timeout_s, SHORTEST_S), LONGEST_S),
    )


def read_prompt(env: StageEnvironment, role: str, request: Mapping[str, Any]) -> str:
    """The system prompt: the one that the object names, else the role's, else the default one."""
    prompts = request.get("prompts")
    named = str(prompts.get("system") or "") if isinstance(prompts, dict) else ""
    wanted = [Path(named).name] if named else []
    wanted += [f"{role}_system-prompt.md", "default_system-prompt.md"]
    for name in wanted:
        if (env.agents_dir / name).is_file():
            return (env.agents_dir / name).read_text()
    looked_at = " or ".join(f"/etc/agents/{name}" for name in dict.fromkeys(wanted))
    raise Refused(f"Error: System prompt not found at {looked_at}")


def _subject(forge: Forge, asked: Asked) -> Subject:
    if asked.pr:
        return _of_pull(forge, asked)
    if not asked.sha or not asked.ref:
        raise Refused("spec.ref and spec.sha are empty; without a pull request both are needed")
    base_sha = asked.base_sha or asked.sha
    branch = names.run_branch(names.subject_of(issue=asked.issue, sha=base_sha))
    # Work on an issue that an earlier run began goes on from there: only forward is allowed.
    found = forge.branch(asked.owner, asked.repo, branch)
    begun = found.sha if found else ""
    return Subject(
        branch=branch,
        base_ref=asked.ref,
        base_sha=base_sha,
        start=begun or asked.sha,
        start_ref=branch if begun else asked.ref,
        fork=False,
        pull=None,
    )


def _of_pull(forge: Forge, asked: Asked) -> Subject:
    pull = forge.pull(asked.owner, asked.repo, int(asked.pr))
    if pull.state != "open":
        raise Refused(
            f"Pull request #{pull.number} is {pull.state}; reopen it or start another run"
        )
    on_branch = asked.ref == pull.head_ref
    return Subject(
        branch=parameters.check("ref", pull.head_ref),
        base_ref=parameters.check("ref", pull.base_ref),
        base_sha=asked.base_sha or pull.base_sha,
        # A run that began on the base branch goes on where the pull request stands.
        start=(asked.sha if on_branch else "") or pull.head_sha,
        start_ref=pull.head_ref,
        fork=pull.head_repo.lower() != f"{asked.owner}/{asked.repo}".lower(),
        pull=pull,
    )


def _fetch(env: StageEnvironment, asked: Asked, subject: Subject, *, directory: Path) -> Subject:
    """Bring start and base; answers the subject, moved on where the base has its work by now."""
    url, token = connections.clone_url(env, asked.owner, asked.repo), connections.read_token(env)
    ref = "" if subject.fork else subject.start_ref
    git.fetch_commit(directory, url=url, sha=subject.start, ref=ref, auth=token)
    if subject.base_sha != subject.start and not git.has_commit(directory, subject.base_sha):
        git.fetch_commit(directory, url=url, sha=subject.base_sha, ref=subject.base_ref, auth=token)
    if subject.pull:
        return subject
    if subject.start == asked.sha or git.is_ancestor(directory, subject.start, asked.sha):
        return dataclasses.replace(subject, start=asked.sha, start_ref=asked.ref)
    return subject


def _policy(directory: Path, base_sha: str) -> policy.Record:
    """The policy in the base commit, so that a pull request cannot soften its own gate."""
    content = git.file_at(directory, base_sha, policy.FILE_NAME)
    if content is None:
        return policy.Record(policy=policy.DEFAULT, base_sha=base_sha)
    source = f"{policy.FILE_NAME}@{base_sha}"
    found = policy.parse(content.decode(errors="replace"), source=source)
    return policy.Record(policy=found, base_sha=base_sha)


def _context(
    env: StageEnvironment, asked: Asked, subject: Subject, *, rules: policy.Record, role: str
) -> Context:
    return Context(
        role=role,
        run=env.get("RUN"),
        owner=asked.owner,
        repo=asked.repo,
        pr=asked.pr,
        issue=asked.issue,
        title="",
        branch=subject.branch,
        base_ref=subject.base_ref,
        base_sha=subject.base_sha,
        head_sha=subject.start,
        fork=subject.fork,
        kind=asked.kind or parameters.check("agentKind", rules.policy.agent.kind),
        default_kind=parameters.check("agentKind", env.get("AGENT_KIND")),
        timeout_s=min(asked.timeout_s, rules.policy.agent.timeout_s),
        policy=rules,
    )


def _talk(forge: Forge, asked: Asked, pull: Pull | None) -> tuple[tuple[Note, ...], str]:
    """What the forge is asked while git fetches: what was said, and the default branch."""
    default = forge.repository(asked.owner, asked.repo).default_branch
    return tuple(_notes(forge, asked, pull)), default


def _notes(forge: Forge, asked: Asked, pull: Pull | None) -> Iterator[Note]:
    """What was said about the task on the forge, oldest first."""
    trust = Trust(forge, owner=asked.owner, repo=asked.repo)
    if asked.issue:
        issue = forge.issue(asked.owner, asked.repo, int(asked.issue))
        text = f"{tasks.one_line(issue.title)}\n\n{issue.body}"
        trusted = trust.is_trusted(issue.author)
        yield Note(f"Issue #{issue.number}", issue.author, text, trusted=trusted)
    if pull:
        text = f"{tasks.one_line(pull.title)}\n\n{pull.body}"
        trusted = trust.is_trusted(pull.author)
        yield Note(f"Pull request #{pull.number}", pull.author, text, trusted=trusted)
    for comment in sorted(_comments(forge, asked), key=lambda each: (each.created_at, each.id)):
        unedited = comment.created_at == comment.updated_at
        yield Note(
            "Comment" if unedited else "Comment (edited)",
            comment.author,
            comment.body,
            trusted=unedited and trust.is_trusted(comment.author),
            when=comment.created_at,
        )


def _comments(forge: Forge, asked: Asked) -> tuple[Comment, ...]:
    """The comment that started the run, and the whole thread where that was asked for."""
    found: dict[int, Comment] = {}
    number = asked.pr or asked.issue
    if asked.include_comments and number:
        thread = forge.issue_comments(asked.owner, asked.repo, int(number))
        found = {comment.id: comment for comment in thread}
    if asked.comment_id and int(asked.comment_id) not in found:
        comment = forge.comment(asked.owner, asked.repo, int(asked.comment_id))
        found[comment.id] = comment
    return tuple(found.values())


def _task_notes(directory: Path, subject: Subject, task_ref: str) -> tuple[Note, ...]:
    """The task that stands in the base commit, if any: whoever merged it there may instruct."""
    if not task_ref:
        return ()
    for pattern in TASK_FILES:
        path = pattern.format(ref=task_ref)
        content = git.file_at(directory, subject.base_sha, path)
        if content is not None:
            return (Note(f"Task {path}", "", content.decode(errors="replace"), trusted=True),)
    looked_at = ", ".join(pattern.format(ref=task_ref) for pattern in TASK_FILES)
    raise Refused(f"spec.taskRef: no task on the base branch; looked for {looked_at}")


def _title(notes: tuple[Note, ...]) -> str:
    """The first line of the first text, as one plain line."""
    for note in notes:
        for line in note.text.splitlines():
            if line.strip():
                return tasks.one_line(line.lstrip("# "))
    return ""


def _check_task(context: Context, notes: tuple[Note, ...]) -> None:
    if not notes and context.role not in (handover.MECHANICAL, handover.TESTING):
        raise Refused(f"There is no task for {context.role}: give issue, pr, commentId or taskRef")


def _task(context: Context, notes: tuple[Note, ...]) -> Task:
    return Task(
        role=context.role,
        repository=f"{context.owner}/{context.repo}",
        branch=context.branch,
        base_sha=context.base_sha,
        head_sha=context.head_sha,
        notes=notes,
        test_paths=context.policy.policy.qa.paths,
    )
