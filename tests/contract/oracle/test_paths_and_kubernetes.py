"""What looks into documents: conditions and outputs of resources, jsonpath(), regular expressions.

kubectl prints nothing where a path leads nowhere; pressplay refuses, on purpose.
"""

from __future__ import annotations

import json

from hypothesis import strategies as st
from tests.contract.oracle.conftest import Oracle, Question, Told

from pressplay.engine import conditions
from pressplay.engine.expressions import expr, regex
from pressplay.engine.expressions.limits import Budget

_OBJECT = {
    "apiVersion": "v1",
    "metadata": {"name": "app", "labels": {"a.b/c": "x", "n-1": "1"}, "generation": 3},
    "spec": {"replicas": 2, "ratio": 0.5, "big": 1000000, "on": True, "off": None, "e": ""},
    "status": {
        "phase": "Succeeded",
        "conditions": [{"type": "Ready", "n": 1}, {"type": "Done"}, {"n": 3}],
        "list": ["a", "b", "c", "d"],
        "nested": [[1, 2], [3]],
        "empty": [],
        "none": {},
    },
}
_KEYS = (
    *("metadata", "name", "labels", "spec", "replicas", "ratio", "big", "on", "off", "e", "zz"),
    *("status", "phase", "conditions", "type", "n", "list", "nested", "empty", "none", "0", "1"),
)
_PLACES = (
    *(".status.phase", ".status.conditions", ".status.list", ".spec", ".spec.ratio", ".spec.big"),
    *(".status.conditions[0].type", ".status.nested", ".metadata.labels", ".spec.on", ".spec.off"),
    *(".metadata.labels.a\\.b/c", ".status.empty", ".status.none", ".metadata.labels.n-1"),
)
_STEPS = st.one_of(
    st.sampled_from(_KEYS).map(".{}".format),
    st.sampled_from(_KEYS).map("['{}']".format),
    st.integers(-5, 5).map("[{}]".format),
    st.tuples(st.integers(-4, 5), st.integers(-4, 5)).map(lambda ends: "[{}:{}]".format(*ends)),
    st.sampled_from(("[*]", ".*", "[1:]", "[:2]", "[:]", "[-1:]", "..n", "..type", "[0,1]")),
)
_PATHS = st.tuples(
    st.sampled_from(("", "$", "", "@")), st.sampled_from(_PLACES), st.lists(_STEPS, max_size=2)
).map(lambda parts: f"{parts[0]}{parts[1]}{''.join(parts[2])}")
# What Argo's library makes of a second step that names several values is left out.
_SINGLE = st.one_of(
    st.sampled_from(_KEYS).map(".{}".format),
    st.sampled_from(_KEYS).map("['{}']".format),
    st.integers(-5, 5).map("[{}]".format),
)
_QUERIES = st.tuples(
    st.sampled_from(("$", "$", "$", "@", "")),
    st.sampled_from([each for each in _PLACES if "\\" not in each]),
    st.lists(_SINGLE, max_size=1).map("".join),
    st.sampled_from(("", "", "[*]", ".*", "[1:]", "[:2]", "[-1:]", "[0:9]", "..n", "..type")),
).map("".join)
_TEMPLATES = st.lists(
    st.one_of(_PATHS.map("{{{}}}".format), st.sampled_from((" ", "x=", "é", ".status", "$"))),
    min_size=1,
    max_size=3,
).map("".join)
_VALUES = ("Succeeded", "2", "3", "1", "true", "x", "0.5", "", "a", "1000000", "-1", "a b")
_LABELS = (
    *(
        "status.phase",
        "spec.replicas",
        "spec.on",
        "spec.off",
        "spec.zz",
        "status.conditions.0.type",
    ),
    *("status.list.1", "spec.ratio", "metadata.generation", "spec.e", "spec", "status.list", "zz"),
    *("status.conditions.#", "spec.big", "status/phase", "-x", "status.phase."),
)
_REQUIREMENTS = st.one_of(
    st.tuples(
        st.sampled_from(_LABELS),
        st.sampled_from(("==", "=", "!=", " == ", ">", "<", " > ", ">=", "=~")),
        st.sampled_from(_VALUES),
    ).map("".join),
    st.tuples(
        st.sampled_from(_LABELS),
        st.sampled_from((" in ", " notin ", " in", "notin ")),
        st.lists(st.sampled_from(_VALUES), max_size=3).map(",".join).map("({})".format),
    ).map("".join),
    st.sampled_from(_LABELS),
    st.sampled_from(_LABELS).map("!{}".format),
    st.sampled_from(_LABELS).map("! {}".format),
)
_CONDITIONS = st.lists(_REQUIREMENTS, max_size=3).flatmap(
    lambda all_of: st.sampled_from((",", ", ", " , ", " ")).map(lambda sign: sign.join(all_of))
)
_PATTERNS = st.recursive(
    st.one_of(
        st.sampled_from(("a", "b", "é", ".", "^", "$", "\\d", "\\w", "\\b", "\\s", "\\.", "x", "")),
        st.sampled_from(("[ab]", "[^a]", "[a-c]", "[[:alpha:]]", "\\pL", "(?i)A", "(?s).", "\\z")),
        st.sampled_from(("[", "(", "*", "a**", "\\1", "(?=a)", "a{2,1}", "\\Qa.\\E", "[b-a]", "{")),
    ),
    lambda inside: st.one_of(
        st.tuples(inside, inside).map("".join),
        st.tuples(inside, inside).map("|".join),
        inside.map("({})".format),
        inside.map("(?:{})".format),
        inside.map("(?P<n>{})".format),
        st.tuples(
            inside, st.sampled_from(("*", "+", "?", "*?", "+?", "??", "{2}", "{0,1}", "{1,}"))
        ).map("".join),
    ),
    max_leaves=6,
)
_TEXTS = st.text(alphabet="abcAé1 .\n", max_size=8)

_APART = {
    "a path that leads nowhere": r"WE REFUSE: jsonPath .* is not found",
    "a text without a path": r"WE REFUSE: jsonPath .* into braces",
    "unions": r"WE REFUSE: .* is not understood at ['\"]\[0,1",
    "all of a map": r"GO REFUSES \(run\): .* is not array or slice",
    "the values of a map, which kubectl prints in any order": r"\.\*|\.\.",
    "a slice beyond the ends": r"GO REFUSES \(run\): array index out of bounds",
}


def _ours(question: Question) -> object:
    return conditions.json_path(question.input, question.expression)


def _found(question: Question) -> object:
    return expr.evaluate(question.expression, question.input)


def _holds(question: Question) -> object:
    condition = conditions.Condition.parse(question.expression)
    all_of = all(each.holds(question.input) for each in condition.requirements)
    return [all_of, condition.holds(question.input, any_of=True)]


def _places(question: Question) -> object:
    found = regex.compile_pattern(question.expression).find_groups(question.input, budget=Budget())
    return [list(places) for places in found]


def test_a_json_path_prints_what_kubectl_prints(oracle: Oracle, told: Told) -> None:
    questions = _TEMPLATES.map(lambda text: Question("jsonpath", text, _OBJECT))
    told(oracle.compare(questions, _ours, examples=1000, apart=_APART))


def test_jsonpath_in_an_expression_finds_what_it_finds_in_argo(oracle: Oracle, told: Told) -> None:
    document = {"d": json.dumps(_OBJECT)}
    questions = _QUERIES.map(
        lambda path: Question("expr", f"jsonpath(d, {json.dumps(path)})", document)
    )
    told(oracle.compare(questions, _found, examples=700))


def test_a_condition_of_a_resource_holds_where_it_holds_in_argo(oracle: Oracle, told: Told) -> None:
    questions = _CONDITIONS.map(lambda text: Question("condition", text, _OBJECT))
    told(oracle.compare(questions, _holds, examples=1000))


def test_a_regular_expression_matches_where_go_matches(oracle: Oracle, told: Told) -> None:
    questions = st.builds(lambda *asked: Question("regexp", *asked), _PATTERNS, _TEXTS)
    told(oracle.compare(questions, _places, examples=1500))
