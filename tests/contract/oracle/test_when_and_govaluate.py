"""The language of `when`: govaluate, with bare words as strings."""

from __future__ import annotations

from hypothesis import strategies as st
from tests.contract.oracle.conftest import Oracle, Question, Told

from pressplay.engine.expressions import govaluate

_WORDS = ("foo", "Succeeded", "a_b", "true", "false", "x1", "in", "été", "a-b", "v1.2", "TRUE")
_TEXTS = ("'foo'", '"a b"', "''", "'2'", "'it\\'s'", "'a.c'", "'^f'", "'['", "[a-b c]", "'true'")
_NUMBERS = ("0", "1", "2.5", "10", "0x1F", ".5", "1.2.3", "1e3", "100", "9007199254740993")
_SIGNS = (
    *("==", "!=", ">", ">=", "<", "<=", "=~", "!~", "in", "&&", "||", "+", "-", "*", "/", "%"),
    *("**", "&", "|", "^", "<<", ">>", "?", ":", "??", ",", "and", "not"),
)
_OPERANDS = st.one_of(st.sampled_from(_WORDS), st.sampled_from(_TEXTS), st.sampled_from(_NUMBERS))
_GAPS = st.sampled_from((" ", " ", " ", "", "  ", "\t"))


def _larger(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inside, _GAPS, st.sampled_from(_SIGNS), _GAPS, inside).map("".join),
        st.tuples(st.sampled_from(("!", "-", "~", "! ", "!!")), inside).map("".join),
        inside.map("({})".format),
        st.tuples(inside, inside, inside).map(lambda each: "{} in ({}, {})".format(*each)),
        st.tuples(inside, inside, inside).map(lambda each: "{} ? {} : {}".format(*each)),
    )


def _between(operands: st.SearchStrategy[str], *signs: str) -> st.SearchStrategy[str]:
    return st.tuples(operands, _GAPS, st.sampled_from(signs), _GAPS, operands).map("".join)


_TEXT = st.one_of(st.sampled_from(_WORDS[:4]), st.sampled_from(_TEXTS))
_NUMBER = st.recursive(
    st.sampled_from(_NUMBERS[:6]), lambda inside: _between(inside, *"+-*/%"), max_leaves=3
)
_TRUTH = st.one_of(
    st.sampled_from(("true", "false", "!true", "! false")),
    _between(_TEXT, "==", "!=", "<", ">=", "=~", "!~"),
    _between(_NUMBER, "==", "!=", "<", "<=", ">", ">="),
    st.tuples(_TEXT, _TEXT, _TEXT).map(lambda each: "{} in ({}, {})".format(*each)),
)
_CONDITIONS = st.recursive(
    _TRUTH,
    lambda inside: st.one_of(
        _between(inside, "&&", "||", "==", "!="),
        inside.map("({})".format),
        inside.map("!({})".format),
    ),
    max_leaves=4,
)
_SENTENCES = st.recursive(_OPERANDS, _larger, max_leaves=6)
_NOISE = st.lists(
    st.one_of(_OPERANDS, st.sampled_from(_SIGNS), st.sampled_from(("(", ")", "!", "-", "~"))),
    max_size=7,
).map(" ".join)

_APART = {
    "a word with a dot that is never reached": r"WE REFUSE: .*has a dot in it",
    "a ternary after a pattern": r"GO REFUSES \(parse\): Cannot transition .* from PATTERN",
    "anything after a parenthesis": r"\) *[\w'\"\[(].*\n WE REFUSE",
    "a parenthesis that closes before it opens": r"\A[^(]*\).*\n WE REFUSE",
    "empty parentheses": r"\( *\).*\n WE REFUSE",
}


def _ours(question: Question) -> object:
    return govaluate.evaluate(question.expression)


def test_a_condition_holds_where_it_holds_in_argo(oracle: Oracle, told: Told) -> None:
    asked = st.one_of(_CONDITIONS, _CONDITIONS, _SENTENCES)
    questions = asked.map(lambda text: Question("govaluate", text))
    told(oracle.compare(questions, _ours, examples=1500, apart=_APART))


def test_a_row_of_tokens_is_read_as_argo_reads_it(oracle: Oracle, told: Told) -> None:
    questions = _NOISE.map(lambda text: Question("govaluate", text))
    told(oracle.compare(questions, _ours, examples=1000, apart=_APART))
