"""`.pressplay.yaml`: read as written, refused in words, never anything in between."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.api import policy
from pressplay.api.policy import Absent, Acceptance, BodyCheck, Endpoint, Policy, Record
from pressplay.base import schemas
from pressplay.base.errors import Refused

FULL = """
version: 1
language: rust
agent: {kind: claude, max_usd: 5, max_turns: 60, timeout: 1h}
qa: {paths: ["tests/**"], must_fail_on_base: true}
comments: addressed
preview:
  deployer: process
  process: {build: [cargo, build, --release], command: [target/release/app], ready: /healthz}
  helm: {chart: charts/app, values: values-preview.yaml, image: {repository: registry.example/app, tag: "{sha}"}}
  ttl: 24h
acceptance:
  load: {rate: 20, samples: 200, timeout_s: 5}
  thresholds: {min_success_pct: 0.95, max_p95_ms: 1200, confidence: 0.95}
  endpoints:
    - {path: /, expect: 200}
    - {path: /api/items, method: POST, json: {name: a}, expect: 201, body: {jsonpath: "$.id"}}
"""  # noqa: E501 - as people write it

PATHS = st.text("abc/?=&-._~%", max_size=20).map(lambda text: f"/{text}")
NAMES = st.text("abcxyz-_", min_size=1, max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
BODIES = st.builds(
    BodyCheck,
    jsonpath=st.sampled_from(["$", "$.id", "$.items[0]['a b'].c", "$[3]"]),
    equals=JSON | st.just(Absent.ABSENT),
    contains=st.just("") | NAMES,
)
ENDPOINTS = st.builds(
    Endpoint,
    path=PATHS,
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    expect=st.lists(st.integers(100, 599), min_size=1, max_size=3, unique=True).map(tuple),
    json=JSON,
    headers=st.dictionaries(st.sampled_from(["X-A", "Accept", "Content-Type"]), NAMES),
    body=st.none() | BODIES,
)
POLICIES = st.builds(
    Policy,
    language=st.sampled_from(["", "rust", "python"]),
    agent=st.builds(
        policy.Agent,
        kind=st.sampled_from(["", "claude", "command", "scripted"]),
        max_usd=st.floats(0.01, 1000),
        max_turns=st.integers(1, 10_000),
        timeout_s=st.integers(10, 3600),
    ),
    qa=st.builds(
        policy.Qa,
        paths=st.lists(NAMES, min_size=1, max_size=3).map(tuple),
        must_fail_on_base=st.booleans(),
    ),
    comments=st.sampled_from(["addressed", "all"]),
    preview=st.builds(
        policy.Preview,
        deployer=st.sampled_from(["process", "helm"]),
        process=st.builds(
            policy.ProcessPreview,
            build=st.lists(st.text("ab -é𐀀\"'\\#:,}\n")).map(tuple),
            command=st.lists(NAMES).map(tuple),
            ready=PATHS,
        ),
        helm=st.builds(policy.HelmPreview, chart=NAMES, image_repository=st.just("r/a")),
        ttl_s=st.integers(300, 30 * 86400),
    ),
    acceptance=st.builds(
        Acceptance,
        load=st.builds(
            policy.Load,
            rate=st.floats(0.1, 1000),
            samples=st.integers(1, 20_000),
            timeout_s=st.floats(1, 60),
        ),
        thresholds=st.builds(
            policy.Thresholds,
            min_success_pct=st.floats(0.01, 0.999),
            max_p95_ms=st.integers(1, 999),
            confidence=st.floats(0.5, 0.9999),
        ),
        endpoints=st.lists(
            ENDPOINTS, min_size=1, max_size=32, unique_by=lambda e: e.name
        ).map(tuple),
        looks=st.sets(st.floats(0.01, 0.99), max_size=4).map(lambda looks: (*sorted(looks), 1.0)),
    ),
    source=st.just("policy"),
)  # fmt: skip


def refusal(text: str) -> str:
    with pytest.raises(Refused) as refused:
        policy.parse(text, source=".pressplay.yaml")
    return str(refused.value)


def test_the_documented_file_is_read_as_written() -> None:
    read = policy.parse(FULL, source=".pressplay.yaml@abc")
    assert read.source == ".pressplay.yaml@abc"
    assert read.language == "rust"
    assert read.preview.process.command == ("target/release/app",)
    assert read.preview.helm.image_tag == "{sha}"
    assert read.preview.ttl_s == 86400
    first, second = read.acceptance.endpoints
    assert first == Endpoint("/")
    assert second.name == "POST /api/items"
    assert second.json == {"name": "a"}
    assert second.expect == (201,)
    assert second.body == BodyCheck("$.id")


def test_a_file_with_only_a_version_means_the_defaults() -> None:
    read = policy.parse("version: 1\n", source="default")
    assert read == policy.DEFAULT
    assert read.agent == policy.Agent(kind="", max_usd=5, max_turns=60)
    assert read.qa == policy.Qa(paths=("tests/**",), must_fail_on_base=True)
    assert read.acceptance == Acceptance(
        load=policy.Load(rate=20, samples=200, timeout_s=5),
        thresholds=policy.Thresholds(min_success_pct=0.95, max_p95_ms=1200, confidence=0.95),
        endpoints=(Endpoint("/", expect=(200,)),),
        looks=(0.25, 0.5, 1.0),
    )


def test_the_schema_documents_the_defaults_that_hold() -> None:
    written = policy.DEFAULT.to_json()

    def compare(schema: dict[str, Any], value: Any, path: str) -> None:
        assert "description" in schema, path
        if "default" in schema and path != ".acceptance.endpoints":
            assert schema["default"] == value, path
        if isinstance(value, dict):
            for key, inner in schema.get("properties", {}).items():
                compare(inner, value[key], f"{path}.{key}")

    compare(schemas.Schema.from_file(policy.SCHEMA_FILE).document, written, "")


@given(POLICIES)
def test_a_policy_is_read_back_as_it_was_written(given_policy: Policy) -> None:
    written = json.loads(json.dumps(given_policy.to_json()))
    assert Policy.from_json(written) == given_policy
    assert policy.parse(json.dumps(written, ensure_ascii=False), source="policy") == given_policy
    record = Record(given_policy, "a" * 40)
    assert Record.from_json(json.loads(json.dumps(record.to_json()))) == record


@given(st.text(max_size=200) | st.text("version: 1\n{}[],acepthresoldin*&!'\"", max_size=150))
def test_text_from_anywhere_is_a_policy_or_refused(text: str) -> None:
    said = "file"
    try:
        policy.parse(text, source="file")
    except Refused as error:
        said = str(error)
    assert "file" in said


@given(
    st.dictionaries(
        st.sampled_from(["version", "language", "agent", "qa", "preview", "acceptance", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
            | st.binary(max_size=2),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["load", "rate", "samples", "endpoints", "path", "kind", "ttl"])
                | st.integers(),
                inner,
                max_size=3,
            ),
            max_leaves=8,
        ),
    )
)  # fmt: skip
def test_values_from_anywhere_are_a_policy_or_refused(value: object) -> None:
    said = "policy"
    try:
        Policy.from_json(value)
    except Refused as error:
        said = str(error)
    assert "policy" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("languge: rust", "unknown key 'languge'; did you mean 'language'?"),
        ("acceptance: {load: {rte: 3}}", "acceptance.load: unknown key 'rte'; did you mean 'rate'"),
        ("agent: {max_usd: free}", 'agent.max_usd: "free" does not fit; expected: the most that'),
        ("acceptance: {load: {rate: 1001}}", "acceptance.load.rate: 1001 does not fit"),
        ("acceptance: {load: {samples: 0}}", "acceptance.load.samples: 0 does not fit"),
        ("acceptance: {load: {samples: 1.5}}", "acceptance.load.samples: 1.5 does not fit"),
        ("acceptance: {thresholds: {confidence: 1}}", "acceptance.thresholds.confidence"),
        ("acceptance: {thresholds: {min_success_pct: 1.0}}", "between 0 and 1"),
        ("acceptance: {endpoints: []}", "a list of 1 to 32 endpoints"),
        ("acceptance: {endpoints: [{path: x}]}", 'endpoints[0].path: "x" does not fit'),
        ('acceptance: {endpoints: [{path: "/a b"}]}', "without blanks"),
        ("acceptance: {endpoints: [{method: GET}]}", "endpoints[0]: the key 'path' is missing"),
        ("acceptance: {endpoints: [{path: /, method: TRACE}]}", "GET (default), HEAD, POST"),
        ("acceptance: {endpoints: [{path: /, expect: ok}]}", "the status of a good answer"),
        ("acceptance: {endpoints: [{path: /, headers: {host: a}}]}", "a header's name, none of"),
        ('acceptance: {endpoints: [{path: /, headers: {A: "b\\nc"}}]}', "printable ASCII"),
        ("acceptance: {endpoints: [{path: /, body: {jsonpath: id}}]}", "a path to one value"),
        ("acceptance: {endpoints: [{path: /, body: {}}]}", "the key 'jsonpath' is missing"),
        ("acceptance: {endpoints: [{path: /}, {path: /}]}", "GET / is given twice"),
        ("acceptance: {endpoints: [{path: /, method: HEAD, body: {jsonpath: $}}]}", "HEAD has no"),
        ("acceptance: {looks: [0.5, 0.25, 1]}", "looks must rise and end with 1.0"),
        ("acceptance: {looks: [0.5]}", "looks must rise and end with 1.0"),
        ("acceptance: {load: {timeout_s: 1}}", "max_p95_ms must be below acceptance.load"),
        ("preview: {ttl: 3w}", "preview.ttl: \"3w\" does not fit"),
        ("preview: {ttl: 1m}", "preview.ttl must lie between 5m and 30d"),
        ("preview: {helm: {chart: ../x}}", "preview.helm.chart"),
        ("qa: {paths: [/etc/*]}", "qa.paths[0]"),
        ("qa: {paths: [a/../../b]}", "qa.paths[0]"),
        ("language: no", 'language: "no" does not fit'),
        ("preview: {process: {command: [echo, '{{workflow.name}}']}}", "holds a value with '{{'"),
        ("agent: {'{{x': 1}", "holds a value with '{{'"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_place_and_the_right_one(text: str, message: str) -> None:
    said = refusal(f"version: 1\n{text}\n")
    assert said.startswith((".pressplay.yaml: ", ".pressplay.yaml holds"))
    assert message in said


def test_another_version_and_no_version_are_refused() -> None:
    assert "version: 2 does not fit; expected: 1" in refusal("version: 2")
    assert "version" in refusal("version: '1'")
    assert "the key 'version' is missing" in refusal("language: rust")
    assert "the key 'version' is missing" in refusal("")
    assert "a mapping that begins with version: 1" in refusal("- version: 1")


def test_a_huge_file_is_refused_before_it_is_read() -> None:
    assert "longer than 64 KiB" in refusal("version: 1 #" + "x" * policy.SIZE_LIMIT)


def test_an_equals_of_null_is_not_the_same_as_none_at_all() -> None:
    text = "version: 1\nacceptance: {endpoints: [{path: /, body: {jsonpath: $.a, equals: null}}]}"
    body = policy.parse(text, source="policy").acceptance.endpoints[0].body
    assert body is not None
    assert body.equals is None
    assert body != BodyCheck("$.a")


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"policy": {"version": 1}, "baseSha": "", "source": "x", "extra": 1},
        {"policy": {"version": 1}, "baseSha": "abc", "source": "x"},
        {"policy": {"version": 1}, "baseSha": "", "source": ""},
        {"policy": {"version": 1}, "baseSha": "", "source": 3},
        {"policy": {"version": 3}, "baseSha": "", "source": "x"},
    ],
)
def test_a_record_of_another_shape_is_refused(value: object) -> None:
    with pytest.raises(Refused):
        Record.from_json(value)


def test_policies_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.DEFAULT.language = "rust"  # type: ignore[misc]  # that is the point
