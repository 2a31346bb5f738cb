"""CodeRun and DocsRun: requests for an agent's work, parsed once into frozen values.

The CRDs in `manifests/crds` say the same in a cluster's own terms; a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pressplay.api import fields, parameters
from pressplay.api.fields import Fields
from pressplay.base.errors import Refused

KINDS = ("CodeRun", "DocsRun")
REASONS = {"1": "GateSaysNo", "2": "Refused", "3": "Unavailable", "4": "Inconclusive", "70": "Bug"}
"""What the exit code of the stage that failed means, as `status.reason` says it."""

PROFILES = ("deploy",)
MODES = ("fresh", "continue")

LONGEST_TIMEOUT_S = 86400
LONGEST_TTL_S = 2_592_000
MOST_TURNS = 1000
MOST_USD = 1000.0
MOST_TOKENS = 1_000_000_000
MOST_WORDS = 64
LONGEST_WORD = 16384

_PATH = re.compile(r"(?!.*\.\.)[A-Za-z0-9._/-]{1,512}")
_PATH_RULE = "a path of letters, digits, '.', '_', '/' or '-', without '..'"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAME_RULE = "an object's name: lower case letters, digits, '-' or '.'"
_SHORT = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SHORT_RULE = "at most 63 lower case letters, digits or '-'"
_MODEL = re.compile(r"[A-Za-z0-9._:/@-]{1,128}")
_VARIABLE = re.compile(r"(?!PRESSPLAY_)[A-Za-z_][A-Za-z0-9_]{0,127}")
_VALUE = re.compile(r"[\s\S]{1,8192}")
_OUTPUT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
_OWN_SECRETS = re.compile(
    r"(?!github-app-|evidence-signing$|model-key$)[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
)


class RunPhase(StrEnum):
    """How far an agent run is."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"
    CANCELLED = "Cancelled"

    @property
    def is_done(self) -> bool:
        return self not in (RunPhase.PENDING, RunPhase.RUNNING)


@dataclass(frozen=True)
class Variable:
    """A plain environment variable."""

    name: str
    value: str


@dataclass(frozen=True)
class Source:
    """A ConfigMap or Secret whose keys become variables; `kind` says which."""

    kind: str
    name: str


@dataclass(frozen=True)
class Output:
    """A small file that is handed out under a name."""

    name: str
    path: str


@dataclass(frozen=True)
class Prompts:
    """Where the agent's prompts lie: the system's as an absolute path, the user's in the work."""

    system: str
    user: str


@dataclass(frozen=True)
class Docs:
    """Which documents, and what is to be done with them."""

    path: str
    action: str


@dataclass(frozen=True, kw_only=True)
class AgentRun:
    """What both kinds ask for; an empty text or None was not given. Times are in seconds."""

    repo: str
    ref: str
    sha: str
    base_sha: str
    pr: str
    issue: str
    comment_id: str
    task_ref: str
    task_id: str
    run: str
    task: str
    attempt: str
    app: str
    token_file: str
    workspace_path: str
    workspace_mode: str
    env: tuple[Variable, ...]
    env_from: tuple[Source, ...]
    timeout_s: int | None
    ttl_s: int | None
    cancel: bool
    prompts: Prompts | None


@dataclass(frozen=True, kw_only=True)
class CodeRun(AgentRun):
    """An agent is to change code; `app` says as whom."""

    mcp_requirements: str
    agent: str
    model: str
    max_turns: int | None
    max_usd: float | None
    max_tokens: int | None


@dataclass(frozen=True, kw_only=True)
class DocsRun(AgentRun):
    """Exactly one of a free command, an agent that writes documents, or a fixed profile."""

    command: tuple[str, ...]
    args: tuple[str, ...]
    docs: Docs | None
    profile: str
    outputs: tuple[Output, ...]


def parse_code_run(obj: Mapping[str, Any]) -> CodeRun:
    """The request in a CodeRun object. Raises Refused, naming the field."""
    spec = _spec(obj, "CodeRun")
    common = _common(spec)
    budget = spec.inner("budget") or Fields({}, where="spec.budget")
    parsed = CodeRun(
        **common,
        mcp_requirements=spec.text("mcpRequirementsFile", _PATH, wanted=_PATH_RULE),
        agent=spec.choice("agent", parameters.AGENT_KINDS),
        model=spec.text("model", _MODEL, wanted="a model's name of at most 128 signs"),
        max_turns=spec.whole("maxTurns", least=1, most=MOST_TURNS),
        max_usd=budget.amount("usd", most=MOST_USD),
        max_tokens=budget.whole("tokens", least=0, most=MOST_TOKENS),
    )
    budget.close()
    spec.close()
    if not parsed.app:
        apps = ", ".join(parameters.APPS)
        raise Refused(f"spec.github.appName is missing; it says who works, one of: {apps}")
    if not parsed.repo:
        raise Refused("spec.repo is missing; write owner/name")
    return parsed


def parse_docs_run(obj: Mapping[str, Any]) -> DocsRun:
    """The request in a DocsRun object. Raises Refused, naming the field."""
    spec = _spec(obj, "DocsRun")
    common = _common(spec)
    parsed = DocsRun(
        **common,
        command=spec.texts("command", most=MOST_WORDS, longest=LONGEST_WORD),
        args=spec.texts("args", most=MOST_WORDS, longest=LONGEST_WORD),
        docs=_docs(spec),
        profile=spec.choice("profile", PROFILES),
        outputs=_outputs(spec),
    )
    spec.close()
    _check_docs_run(parsed)
    return parsed


def _check_docs_run(parsed: DocsRun) -> None:
    ways = [bool(parsed.command), parsed.prompts is not None, bool(parsed.profile)]
    if sum(ways) != 1:
        raise Refused(
            "spec asks for "
            + ("several things" if any(ways) else "nothing")
            + "; give exactly one of command, prompts, profile"
        )
    if parsed.args and not parsed.command:
        raise Refused("spec.args needs spec.command")
    if parsed.docs is not None and parsed.prompts is None:
        raise Refused("spec.docs needs spec.prompts")
    if not parsed.command and not parsed.repo:
        raise Refused("spec.repo is missing; write owner/name")


def _spec(obj: Mapping[str, Any], kind: str) -> Fields:
    if obj.get("kind") != kind:
        raise Refused(f"The object is a {obj.get('kind')}, not a {kind}")
    fields.refuse_templates(obj.get("spec"), where="spec")
    return Fields(obj.get("spec"), where="spec")


def _common(spec: Fields) -> dict[str, Any]:
    """The arguments that both kinds share."""
    github = spec.inner("github") or Fields({}, where="spec.github")
    workspace = spec.inner("workspace") or Fields({}, where="spec.workspace")
    common = {
        "repo": _repo(spec),
        "ref": spec.parameter("ref"),
        "sha": spec.parameter("sha"),
        "base_sha": spec.parameter("baseSha", rule="sha"),
        "pr": spec.parameter("pr"),
        "issue": spec.parameter("issue"),
        "comment_id": spec.parameter("commentId"),
        "task_ref": spec.parameter("taskRef"),
        "task_id": spec.parameter("taskId"),
        "run": spec.text("run", _NAME, wanted=_NAME_RULE),
        "task": spec.text("task", _SHORT, wanted=_SHORT_RULE),
        "attempt": spec.parameter("attempt"),
        "app": github.choice("appName", parameters.APPS),
        "token_file": github.text("tokenFile", _PATH, wanted=_PATH_RULE),
        "workspace_path": workspace.text("path", _PATH, wanted=_PATH_RULE),
        "workspace_mode": workspace.choice("mode", MODES, default="fresh"),
        "env": _env(spec),
        "env_from": _env_from(spec),
        "timeout_s": spec.whole("timeoutSeconds", least=1, most=LONGEST_TIMEOUT_S),
        "ttl_s": spec.whole("ttlSecondsAfterFinished", least=0, most=LONGEST_TTL_S),
        "cancel": spec.flag("cancel"),
        "prompts": _prompts(spec),
    }
    github.close()
    workspace.close()
    return common


def _repo(spec: Fields) -> str:
    text = spec.text("repo", re.compile(r"[^/]{1,39}/[^/]{1,100}"), wanted="owner/name")
    return "/".join(parameters.repository(text)) if text else ""


def _prompts(spec: Fields) -> Prompts | None:
    inner = spec.inner("prompts")
    if inner is None:
        return None
    prompts = Prompts(
        system=inner.text("system", _PATH, wanted=_PATH_RULE),
        user=inner.text("user", _PATH, wanted=_PATH_RULE),
    )
    inner.close()
    return prompts


def _docs(spec: Fields) -> Docs | None:
    inner = spec.inner("docs")
    if inner is None:
        return None
    docs = Docs(
        path=inner.text("path", _PATH, wanted=_PATH_RULE),
        action=inner.text("action", _SHORT, wanted=_SHORT_RULE),
    )
    inner.close()
    return docs


def _env(spec: Fields) -> tuple[Variable, ...]:
    wanted = "a variable's name that does not begin with PRESSPLAY_"
    found = []
    for inner in spec.each("env", most=MOST_WORDS):
        name = inner.text("name", _VARIABLE, wanted=wanted)
        value = inner.text("value", _VALUE, wanted="at most 8192 signs")
        inner.close()
        if not name:
            raise Refused("spec.env has an entry without a name")
        found.append(Variable(name, value))
    return tuple(found)


def _env_from(spec: Fields) -> tuple[Source, ...]:
    wanted = "the name of one of your own: never a key of ours"
    found = []
    for inner in spec.each("envFrom", most=MOST_WORDS):
        kinds = [kind for kind in ("configMapRef", "secretRef") if inner.has(kind)]
        reference = inner.inner(kinds[0]) if kinds else None
        inner.close()
        if reference is None or len(kinds) != 1:
            raise Refused(
                "spec.envFrom has an entry without exactly one of configMapRef, secretRef"
            )
        name = reference.text("name", _OWN_SECRETS, wanted=wanted)
        reference.close()
        if not name:
            raise Refused("spec.envFrom has a reference without a name")
        found.append(Source(kinds[0].removesuffix("Ref"), name))
    return tuple(found)


def _outputs(spec: Fields) -> tuple[Output, ...]:
    wanted = "at most 63 letters, digits, '_', '.' or '-'"
    found = []
    for inner in spec.each("outputs", most=MOST_WORDS):
        name = inner.text("name", _OUTPUT, wanted=wanted)
        path = inner.text("path", _PATH, wanted=_PATH_RULE)
        inner.close()
        if not name or not path:
            raise Refused("spec.outputs has an entry without name and path")
        found.append(Output(name, path))
    return tuple(found)
