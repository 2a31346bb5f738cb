"""Tags, filled in by one pass as the controller does it.

The scope is a flat map of texts. What our engine does differently on purpose stands in
`_APART`.
"""

from __future__ import annotations

from hypothesis import strategies as st
from tests.contract.oracle.conftest import Oracle, Question, Told

from pressplay.engine import resolving

_SCOPE = {
    "inputs.parameters.x": 'a "b" \\c\n<&>',
    "inputs.parameters.n": "12",
    "inputs.parameters.json": '{"a": [1, 2.5, null]}',
    "inputs.parameters.a-b": "dash",
    "steps.one.outputs.result": "été→",
    "workflow.name": "wf",
    "item": "i",
    "item.key": "k",
}
_LATER = {"retries": "2", "lastRetry.exitCode": "1", "workflow.status": "Failed"}
_NAMES = (*_SCOPE, *_LATER, "lastRetry.message", "workflow.failures", "inputs.parameters.zz")
_BARE = ("custom.variable", "item", "", " ", "=", "{", "x}")
_EXPRESSIONS = (
    *("1 + 1", "1.5 * 2", "nil", "true", "inputs.parameters.x", "inputs.parameters['a-b']"),
    *("asInt(inputs.parameters.n) + 1", "toJson(inputs.parameters.x)", "[1, 'a\"b', nil]"),
    *("{a: inputs.parameters.n}", "fromJSON(inputs.parameters.json).a", "sprig.int(retries) + 1"),
    *("lastRetry.exitCode", "lastRetry . exitCode", "lastRetry.exitCode == '1'", "item"),
    *("item.key", "[item.key, retries]"),
    *("workflow.status == 'Failed'", "workflow.failures", "inputs.parameters.zz ?? 'd'", "1 +"),
    *("inputs.parameters.zz", "steps['one'].outputs.result", "unknown", "unknown ?? 1"),
    "'retries'",
    *("inputs.parameters.n == '12' ? 'yes' : 'no'", "1/0", "'<&>'", "`a\"b`", "len('é')"),
    "'}' + '{'",
    *("sprig.trim(' x ')", "date('2024-01-02')", "duration('90s')", "inputs", "workflow.name + zz"),
    *("inputs.parameters?.zz?.y", "string(retries)", "groupBy([1], #)", "1; 2", "let q = 1; q"),
)  # fmt: skip
_PIECES = st.one_of(
    st.sampled_from(_NAMES).map("{{{{{}}}}}".format),
    st.sampled_from(_NAMES).map("{{{{ {} }}}}".format),
    st.sampled_from(_BARE).map("{{{{{}}}}}".format),
    st.sampled_from(_EXPRESSIONS).map("{{{{={}}}}}".format),
    st.sampled_from(_EXPRESSIONS).map("{{{{= {} }}}}".format),
    st.sampled_from(("text", " ", "\n", '"', "\\", "<", "é", "{{", "}}", "{", "$", "{{ x")),
)
_TEXTS = st.lists(_PIECES, min_size=1, max_size=4).map("".join)


@st.composite
def _questions(draw: st.DrawFn) -> Question:
    later = draw(st.sets(st.sampled_from(sorted(_LATER))))
    scope = {**_SCOPE, **{name: _LATER[name] for name in later}}
    if draw(st.booleans()):
        del scope["item"], scope["item.key"]
    return Question("tags", draw(_TEXTS), scope)


_APART = {
    # In Argo the next end may stand in another field: the template is one text there.
    "braces that are never closed": r"GO REFUSES \(parse\): Cannot find end tag",
}


def _ours(question: Question) -> object:
    return resolving.substitute_text(question.expression, question.input)


def test_tags_are_filled_in_as_one_pass_of_argo_does(oracle: Oracle, told: Told) -> None:
    told(oracle.compare(_questions(), _ours, examples=1500, apart=_APART))
