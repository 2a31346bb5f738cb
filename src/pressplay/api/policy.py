"""The repository's policy, `.pressplay.yaml`: what the gates demand, as frozen values.

Read from the base branch only (whoever reads it sees to that), so that a pull request cannot
soften its own gate. Every key, its bounds and its default stand in `policy.schema.json`.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final, cast

from pressplay.base import clocks, documents, schemas
from pressplay.base.errors import Refused

FILE_NAME = ".pressplay.yaml"

SIZE_LIMIT = 64 * 1024
"""Largest policy file in bytes."""

SCHEMA_FILE = Path(__file__).with_name("policy.schema.json")

_AGENT_LIMITS = (10, 3600)
_START_LIMITS = (1, 240)
SHORTEST_TTL_S, LONGEST_TTL_S = 300, 30 * 86400
"""How long a preview may live, counted from now, whoever asks for it."""

_COMMIT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})?")


class Absent(Enum):
    """Stands for a JSON value that was not given, where null means something."""

    ABSENT = "absent"


@dataclass(frozen=True)
class Agent:
    """Which agent works, and how much it may use; an empty kind is the installation's own."""

    kind: str = ""
    max_usd: float = 5
    max_turns: int = 60
    timeout_s: int = 3600


@dataclass(frozen=True)
class Qa:
    """What QA may write (glob patterns), and whether its tests must fail on the base."""

    paths: tuple[str, ...] = ("tests/**",)
    must_fail_on_base: bool = True


@dataclass(frozen=True)
class ProcessPreview:
    """How to build and start the app as a process; PORT is in its environment."""

    build: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    ready: str = "/"
    timeout_s: int = 240


@dataclass(frozen=True)
class HelmPreview:
    """The chart and the image of a preview; `{sha}` and `{pr}` in the tag are filled in."""

    chart: str = ""
    values: str = ""
    image_repository: str = ""
    image_tag: str = "{sha}"


@dataclass(frozen=True)
class Preview:
    """How a preview is deployed, and how many seconds it lives."""

    deployer: str = "process"
    process: ProcessPreview = field(default_factory=ProcessPreview)
    helm: HelmPreview = field(default_factory=HelmPreview)
    ttl_s: int = 86400


@dataclass(frozen=True)
class Load:
    """Open-loop load: `rate` requests a second in all, at most `samples` to each endpoint."""

    rate: float = 20
    samples: int = 200
    timeout_s: float = 5


@dataclass(frozen=True)
class Thresholds:
    """What must hold: a share (0 to 1), milliseconds, and the confidence of either verdict."""

    min_success_pct: float = 0.95
    max_p95_ms: int = 1200
    confidence: float = 0.95


@dataclass(frozen=True)
class BodyCheck:
    """A value that the answer's JSON must hold; without `equals` and `contains`, that it is there.

    `contains` is "" where it was not asked.
    """

    jsonpath: str
    equals: object = Absent.ABSENT
    contains: str = ""


@dataclass(frozen=True)
class Endpoint:
    """One gated request; `expect` lists the good statuses, `json` None sends no body."""

    path: str
    method: str = "GET"
    expect: tuple[int, ...] = (200,)
    json: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: BodyCheck | None = None

    @property
    def name(self) -> str:
        """What samples and reports call it: `GET /path`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Acceptance:
    """What acceptance asks, how often, and what it demands; `looks` are shares of the samples."""

    load: Load = field(default_factory=Load)
    thresholds: Thresholds = field(default_factory=Thresholds)
    endpoints: tuple[Endpoint, ...] = (Endpoint("/"),)
    looks: tuple[float, ...] = (0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Policy:
    """One repository's policy; `source` is `.pressplay.yaml@SHA`, or `default` where none is."""

    language: str = ""
    agent: Agent = field(default_factory=Agent)
    qa: Qa = field(default_factory=Qa)
    comments: str = "addressed"
    preview: Preview = field(default_factory=Preview)
    acceptance: Acceptance = field(default_factory=Acceptance)
    source: str = "default"

    def to_json(self) -> dict[str, Any]:
        """Every key, written as the file would; `from_json` reads it back."""
        helm = self.preview.helm
        return {
            "version": 1,
            "language": self.language,
            "agent": {
                "kind": self.agent.kind,
                "max_usd": self.agent.max_usd,
                "max_turns": self.agent.max_turns,
                "timeout": clocks.duration_text(self.agent.timeout_s),
            },
            "qa": {"paths": list(self.qa.paths), "must_fail_on_base": self.qa.must_fail_on_base},
            "comments": self.comments,
            "preview": {
                "deployer": self.preview.deployer,
                "process": {
                    "build": list(self.preview.process.build),
                    "command": list(self.preview.process.command),
                    "ready": self.preview.process.ready,
                    "timeout": clocks.duration_text(self.preview.process.timeout_s),
                },
                "helm": {
                    "chart": helm.chart,
                    "values": helm.values,
                    "image": {"repository": helm.image_repository, "tag": helm.image_tag},
                },
                "ttl": clocks.duration_text(self.preview.ttl_s),
            },
            "acceptance": {
                "load": dict(vars(self.acceptance.load)),
                "thresholds": dict(vars(self.acceptance.thresholds)),
                "endpoints": [_endpoint_json(each) for each in self.acceptance.endpoints],
                "looks": list(self.acceptance.looks),
            },
        }

    @classmethod
    def from_json(cls, value: object, *, source: str = "policy") -> Policy:
        """The policy in a JSON value; absent keys get their defaults.

        Raises Refused, naming the key and the nearest known or the right value.
        """
        documents.check_plain(value, source=source)
        _refuse_templates(value, source)
        schema().check(value, source=source)
        policy = _policy(cast("dict[str, Any]", value), source)
        _check_together(policy, source)
        return policy


@functools.cache
def schema() -> schemas.Schema:
    """The published schema of the policy file, compiled."""
    return schemas.Schema.from_file(SCHEMA_FILE)


DEFAULT: Final = Policy()
"""What holds for a repository without a policy file."""


def parse(text: str, *, source: str) -> Policy:
    """The policy in the text of a `.pressplay.yaml`. Raises Refused (see `Policy.from_json`)."""
    if len(text) > SIZE_LIMIT:
        raise Refused(f"{source} is longer than {SIZE_LIMIT // 1024} KiB; make it shorter")
    # Imported here: it costs 20 ms, and of all stages only preflight reads YAML.
    from pressplay.base import yaml_documents  # noqa: PLC0415 - see above

    value = yaml_documents.read_yaml(text, source=source)
    return Policy.from_json({} if value is None else value, source=source)


@dataclass(frozen=True)
class Record:
    """The content of a run's `policy.json`: the policy, and the base commit it was read at."""

    policy: Policy
    base_sha: str

    def to_json(self) -> dict[str, Any]:
        """What is written to `policy.json`."""
        policy = self.policy
        return {"policy": policy.to_json(), "baseSha": self.base_sha, "source": policy.source}

    @classmethod
    def from_json(cls, value: object, *, source: str = "policy.json") -> Record:
        """The inverse of `to_json`. Raises Refused."""
        if not isinstance(value, dict) or set(value) != {"policy", "baseSha", "source"}:
            raise Refused(f"{source} must hold exactly policy, baseSha and source")
        base_sha, origin = value["baseSha"], value["source"]
        if not isinstance(base_sha, str) or not _COMMIT.fullmatch(base_sha):
            raise Refused(f"{source}: baseSha must be a full commit id, or empty")
        if not isinstance(origin, str) or not 0 < len(origin) <= 300:
            raise Refused(f"{source}: source must be a text of 1 to 300 characters")
        return cls(policy=Policy.from_json(value["policy"], source=origin), base_sha=base_sha)


def _policy(value: dict[str, Any], source: str) -> Policy:
    agent = dict(value.get("agent", {}))
    qa = dict(value.get("qa", {}))
    _whole(agent, "max_turns")
    longest_s = _seconds(agent, "timeout", DEFAULT.agent.timeout_s, where=f"{source}: agent")
    agent.pop("timeout", None)
    return Policy(
        language=value.get("language", DEFAULT.language),
        agent=Agent(**agent, timeout_s=longest_s),
        qa=Qa(**(qa | ({"paths": tuple(qa["paths"])} if "paths" in qa else {}))),
        comments=value.get("comments", DEFAULT.comments),
        preview=_preview(value.get("preview", {}), source),
        acceptance=_acceptance(value.get("acceptance", {})),
        source=source,
    )


def _seconds(value: dict[str, Any], key: str, default: int, *, where: str) -> int:
    """A duration as whole seconds."""
    if key not in value:
        return default
    return clocks.read_duration(value[key], field=f"{where}.{key}")


def _preview(value: dict[str, Any], source: str) -> Preview:
    process, helm = value.get("process", {}), value.get("helm", {})
    image = helm.get("image", {})
    default = Preview()
    where = f"{source}: preview.process"
    return Preview(
        deployer=value.get("deployer", default.deployer),
        process=ProcessPreview(
            build=tuple(process.get("build", ())),
            command=tuple(process.get("command", ())),
            ready=process.get("ready", default.process.ready),
            timeout_s=_seconds(process, "timeout", default.process.timeout_s, where=where),
        ),
        helm=HelmPreview(
            chart=helm.get("chart", default.helm.chart),
            values=helm.get("values", default.helm.values),
            image_repository=image.get("repository", default.helm.image_repository),
            image_tag=image.get("tag", default.helm.image_tag),
        ),
        ttl_s=_seconds(value, "ttl", default.ttl_s, where=f"{source}: preview"),
    )


def _acceptance(value: dict[str, Any]) -> Acceptance:
    load, thresholds = dict(value.get("load", {})), dict(value.get("thresholds", {}))
    _whole(load, "samples")
    _whole(thresholds, "max_p95_ms")
    default = Acceptance()
    endpoints = tuple(_endpoint(each) for each in value.get("endpoints", ()))
    return Acceptance(
        load=Load(**load),
        thresholds=Thresholds(**thresholds),
        endpoints=endpoints or default.endpoints,
        looks=tuple(value.get("looks", default.looks)),
    )


def _endpoint(value: dict[str, Any]) -> Endpoint:
    given = dict(value)
    if "expect" in given:
        wanted = given["expect"]
        given["expect"] = tuple(int(s) for s in (wanted if isinstance(wanted, list) else [wanted]))
    if "body" in given:
        given["body"] = BodyCheck(**given["body"])
    return Endpoint(**given)


def _endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {
        "path": endpoint.path,
        "method": endpoint.method,
        "expect": list(endpoint.expect),
        "json": endpoint.json,
        "headers": dict(endpoint.headers),
    }
    body = endpoint.body
    if body is not None:
        found["body"] = {"jsonpath": body.jsonpath}
        if body.equals is not Absent.ABSENT:
            found["body"]["equals"] = body.equals
        if body.contains:
            found["body"]["contains"] = body.contains
    return found


def _whole(section: dict[str, Any], key: str) -> None:
    """JSON Schema takes 60.0 for an integer; from here on it is one."""
    if key in section:
        section[key] = int(section[key])


def _refuse_templates(value: object, source: str) -> None:
    """Refuse `{{` anywhere: what the policy holds must never become part of a template."""
    if isinstance(value, str) and "{{" in value:
        raise Refused(f"{source} holds a value with '{{{{'; leave the braces out")
    if isinstance(value, dict):
        for key, each in value.items():
            _refuse_templates(key, source)
            _refuse_templates(each, source)
    if isinstance(value, list):
        for each in value:
            _refuse_templates(each, source)


def _check_together(policy: Policy, source: str) -> None:
    """What no schema can say: how values must fit each other."""
    for key, seconds, (shortest, longest) in (
        ("preview.ttl", policy.preview.ttl_s, (SHORTEST_TTL_S, LONGEST_TTL_S)),
        ("preview.process.timeout", policy.preview.process.timeout_s, _START_LIMITS),
        ("agent.timeout", policy.agent.timeout_s, _AGENT_LIMITS),
    ):
        if not shortest <= seconds <= longest:
            ends = " and ".join(clocks.duration_text(each) for each in (shortest, longest))
            raise Refused(f"{source}: {key} must lie between {ends}")
    acceptance = policy.acceptance
    looks = acceptance.looks
    if looks[-1] != 1 or any(a >= b for a, b in itertools.pairwise(looks)):
        raise Refused(f"{source}: acceptance.looks must rise and end with 1.0")
    if acceptance.thresholds.max_p95_ms >= acceptance.load.timeout_s * 1000:
        raise Refused(
            f"{source}: acceptance.thresholds.max_p95_ms must be below "
            "acceptance.load.timeout_s: no request can be seen to be slower than its timeout"
        )
    _check_endpoints(acceptance.endpoints, source)


def _check_endpoints(endpoints: tuple[Endpoint, ...], source: str) -> None:
    names = [endpoint.name for endpoint in endpoints]
    for index, endpoint in enumerate(endpoints):
        where = f"{source}: acceptance.endpoints[{index}]"
        if endpoint.name in names[:index]:
            raise Refused(f"{where}: {endpoint.name} is given twice; tell them apart by a query")
        if endpoint.method == "HEAD" and endpoint.body is not None:
            raise Refused(f"{where}: an answer to HEAD has no body; leave body out or use GET")
