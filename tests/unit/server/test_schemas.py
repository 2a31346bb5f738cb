"""The CRDs and the parser say the same of the same object."""

from __future__ import annotations

import copy
from importlib import resources
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pressplay.api import agent_runs, kinds
from pressplay.api.agent_runs import RunPhase
from pressplay.base.errors import Refused
from pressplay.server import schemas

SCHEMAS = schemas.load()


def _crd(name: str) -> dict[str, Any]:
    text = (resources.files("pressplay.manifests") / "crds" / name).read_text()
    document: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return document


def _object(kind: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": "taskmaster.io/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def _schema_takes(obj: dict[str, Any]) -> bool:
    return not SCHEMAS[obj["kind"]].problems(obj)


def _parser_takes(obj: dict[str, Any]) -> bool:
    parse = agent_runs.parse_code_run if obj["kind"] == "CodeRun" else agent_runs.parse_docs_run
    try:
        parse(obj)
    except Refused:
        return False
    return True


def _texts(*values: str) -> st.SearchStrategy[Any]:
    """Some texts, one of another type, and none at all."""
    return st.sampled_from([*values, "", "{{x}}", 7])


_NUMBERS = st.sampled_from([-1, 0, 1, 60, 10**6, 10**10, 1.5, "1", True])
_PATHS = _texts("/work/src", "docs/", "a/../b", "..", "a b", "x" * 512, "x" * 513)
_NUMERALS = _texts("1", "07", "0", "123456789012345678", "1234567890123456789")
_SHAS = _texts("a" * 40, "A" * 40, "g" * 40, "a" * 39)
_TASKS = _texts("task/format", "/etc", "a..b", "x" * 128, "x" * 129)
_ENTRIES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "name": _texts("A", "PRESSPLAY_X", "1A", "x" * 128, "x" * 129),
            "value": _texts("v", "x" * 8192, "x" * 8193),
        },
    ),
    max_size=2,
)
_SOURCES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            kind: st.fixed_dictionaries(
                {}, optional={"name": _texts("ok", "github-app-rex", "evidence-signing", "A")}
            )
            for kind in ("configMapRef", "secretRef")
        },
    ),
    max_size=2,
)
_REFS = _texts(
    *("main", "refs/heads/main", "feature/x-1", "-x", "refs/heads/-x", "a..b", "a//b", "a.lock"),
    *("a/.b", ".a", "a/", "a.", "a.lock/b", "x" * 200, "x" * 201, "a b", "refs/heads/" + "x" * 200),
)
_COMMON: dict[str, st.SearchStrategy[Any]] = {
    "repo": _texts("acme/shop", "acme", "acme/..", "a/b/c", "acme/sho p", "x" * 40 + "/a"),
    "ref": _REFS,
    "sha": _SHAS,
    "baseSha": _SHAS,
    "pr": _NUMERALS,
    "issue": _NUMERALS,
    "commentId": _NUMERALS,
    "taskRef": _TASKS,
    "taskId": _TASKS,
    "run": _texts("implement-r1-i3", "Run", "a.b", "-a", "x" * 253, "x" * 254),
    "task": _texts("implement", "a.b", "x" * 63, "x" * 64),
    "attempt": _texts("0", "3", "4"),
    "github": st.fixed_dictionaries(
        {},
        optional={"appName": _texts("rex", "qa", "approver"), "tokenFile": _PATHS, "x": st.just(1)},
    ),
    "workspace": st.fixed_dictionaries(
        {}, optional={"path": _PATHS, "mode": _texts("fresh", "continue", "stale")}
    ),
    "env": _ENTRIES,
    "envFrom": _SOURCES,
    "timeoutSeconds": _NUMBERS,
    "ttlSecondsAfterFinished": _NUMBERS,
    "cancel": st.sampled_from([True, False, "true", 1]),
    "prompts": st.fixed_dictionaries({}, optional={"system": _PATHS, "user": _PATHS}),
    "unknown": st.just("x"),
}
_CODE: dict[str, st.SearchStrategy[Any]] = _COMMON | {
    "mcpRequirementsFile": _PATHS,
    "agent": _texts("claude", "command", "scripted", "other"),
    "model": _texts("some-model:1", "a b", "x" * 128, "x" * 129),
    "maxTurns": _NUMBERS,
    "budget": st.fixed_dictionaries({}, optional={"usd": _NUMBERS, "tokens": _NUMBERS}),
}
_WORDS = st.lists(_texts("true", "a b\n", "x" * 16384, "x" * 16385), max_size=2)
_DOCS: dict[str, st.SearchStrategy[Any]] = _COMMON | {
    "command": _WORDS,
    "args": _WORDS,
    "docs": st.fixed_dictionaries(
        {}, optional={"path": _PATHS, "action": _texts("build-preview", "Build")}
    ),
    "profile": _texts("deploy", "destroy"),
    "outputs": st.lists(
        st.fixed_dictionaries({}, optional={"name": _texts("urls", "a b"), "path": _PATHS}),
        max_size=2,
    ),
}


def _specs(fields: dict[str, st.SearchStrategy[Any]], base: dict[str, Any]) -> Any:
    """A valid spec with a few fields drawn anew: where several are wrong, one hides another."""
    names = st.lists(st.sampled_from(sorted(fields)), max_size=2, unique=True)
    drawn = names.flatmap(lambda some: st.fixed_dictionaries({name: fields[name] for name in some}))
    return drawn.map(lambda spec: base | spec)


@given(_specs(_CODE, {"repo": "acme/shop", "github": {"appName": "rex"}}))
def test_schema_and_parser_take_the_same_code_runs(spec: dict[str, Any]) -> None:
    obj = _object("CodeRun", spec)
    assert _schema_takes(obj) == _parser_takes(obj)


_ONE_WAY: list[dict[str, Any]] = [
    {"command": ["true"]},
    {"profile": "deploy", "repo": "a/b"},
    {"prompts": {}, "repo": "a/b"},
]


@given(st.sampled_from(_ONE_WAY).flatmap(lambda base: _specs(_DOCS, base)))
def test_schema_and_parser_take_the_same_docs_runs(spec: dict[str, Any]) -> None:
    obj = _object("DocsRun", spec)
    if _parser_takes(obj):
        assert _schema_takes(obj)
    elif _schema_takes(obj):
        assert not _keeps_the_rules(spec)


def _keeps_the_rules(spec: dict[str, Any]) -> bool:
    """The CEL rules of the CRD, by hand."""
    command, profile = bool(spec.get("command")), bool(spec.get("profile"))
    return (
        [command, "prompts" in spec, profile].count(True) == 1
        and (not spec.get("args") or command)
        and ("docs" not in spec or "prompts" in spec)
        and (command or bool(spec.get("repo")))
    )


@pytest.mark.parametrize("name", schemas.FILES)
def test_crd_names_its_kind_as_this_server_does(name: str) -> None:
    crd = _crd(name)["spec"]
    kind = kinds.by_name(crd["names"]["kind"])
    (version,) = crd["versions"]
    assert (crd["group"], version["name"]) == (kind.group, kind.version)
    assert (crd["names"]["plural"], tuple(crd["names"]["shortNames"])) == (
        kind.plural,
        kind.short_names,
    )
    assert "status" in version["subresources"]
    columns = [column["name"] for column in version["additionalPrinterColumns"]]
    assert [columns[0], *columns[-3:]] == ["Phase", "Repo", "PR", "Age"]


@pytest.mark.parametrize("name", schemas.FILES)
def test_crd_knows_every_phase(name: str) -> None:
    schema = _crd(name)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["status"]["properties"]["phase"]["enum"] == list(RunPhase)


@pytest.mark.parametrize("name", schemas.FILES)
def test_crd_lets_nothing_unknown_through(name: str) -> None:
    assert "x-kubernetes-preserve-unknown-fields" not in str(_crd(name))


def test_closing_a_schema_leaves_the_original_as_it_was() -> None:
    original = _crd("coderuns.yaml")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    before = copy.deepcopy(original)
    assert schemas.closed(original)["additionalProperties"] is False
    assert original == before
