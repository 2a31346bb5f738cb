"""Template tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.engine import resolving
from pressplay.engine.expressions.errors import ExpressionError
from pressplay.engine.resolving import Scope, Unresolved

_SCOPE = Scope(
    {
        "inputs.parameters.a-b": "x",
        "workflow.name": "wf",
        "tasks.t-1.outputs.parameters.head-sha": "abc",
    }
)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{inputs.parameters.a-b}}/{{ workflow.name }}", "x/wf"),
        ("{{=inputs.parameters['a-b'] + '-' + workflow.name}}", "x-wf"),
        ("{{=toJson(workflow.name)}}", '"wf"'),
        ("{{=tasks['t-1'].outputs.parameters['head-sha']}}", "abc"),
        ("{{custom.variable}}", "{{custom.variable}}"),
        ("{{=item.name}}", "{{=item.name}}"),
        ("{{inputs.parameters.gone}}", "{{inputs.parameters.gone}}"),
        ("{{=item.name ?? nil}}", "{{=item.name ?? nil}}"),
        ("{{ x{{workflow.name}}", "{{ xwf"),
        ("{{ x{{=1 + 1}}", "{{ x{{=1 + 1}}"),
    ],
)
def test_tags_are_filled_in_as_argo_does(text: str, filled: str) -> None:
    assert resolving.substitute_text(text, _SCOPE) == filled


@pytest.mark.parametrize("text", ["{{=nil}}", "{{=1 + 'a'}}"])
def test_an_expression_that_fails_or_yields_nothing_stays_unless_it_must_be_there(
    text: str,
) -> None:
    assert resolving.substitute_text(text, _SCOPE) == text
    with pytest.raises((Unresolved, ExpressionError)):
        resolving.substitute_text(text, _SCOPE, strict=True)


def test_a_known_tag_without_a_value_is_refused_where_it_must_be_there() -> None:
    with pytest.raises(Unresolved, match=r"unable to substitute \{\{inputs.parameters.gone\}\}"):
        resolving.substitute({"a": ["{{inputs.parameters.gone}}"]}, _SCOPE, strict=True)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{=inputs.parameters.gone}}", "{{=inputs.parameters.gone}}"),
        ("{{=gone.for_good + 'x'}}", "{{=gone.for_good + 'x'}}"),
        ("{{=inputs.parameters.gone ?? 'x'}}", "x"),
        ("{{=workflow.status == 'Failed'}}", "{{=workflow.status == 'Failed'}}"),
        ("{{=asInt(lastRetry.exitCode)}}", "{{=asInt(lastRetry.exitCode)}}"),
        ("{{=sprig.int(retries)}}", "{{=sprig.int(retries)}}"),
        ("{{='workflow.status'}}", "workflow.status"),
        ("{{=[1, 'a', true]}} {{=7 / 2}}", '[1,"a",true] 3.5'),
        ("{{ {{workflow.name}} }} {{", "{{ wf }} {{"),
        ("{{=\n  workflow.name\n}}", "wf"),
        ("{{}} {{ }} }}{{", "{{}} {{ }} }}{{"),
    ],
)
def test_what_cannot_be_filled_in_yet_stays_as_it_is(text: str, filled: str) -> None:
    assert resolving.substitute_text(text, _SCOPE) == filled


@pytest.mark.parametrize(
    "text",
    [
        "{{inputs.parameters.gone}}",
        "{{ item }}",
        "{{=inputs.parameters.gone}}",
        "{{=tasks['t-1'].outputs.parameters.gone + 'x'}}",
        "{{=nil}}",
    ],
)
def test_a_strict_text_refuses_what_is_missing(text: str) -> None:
    with pytest.raises(Unresolved):
        resolving.substitute_text(text, _SCOPE, strict=True)


@pytest.mark.parametrize(
    "text", ["{{custom.variable}}", "{{=workflow.status}}", "{{=item.a}}", "{{=custom.variable}}"]
)
def test_a_strict_text_leaves_alone_what_is_late_or_unknown(text: str) -> None:
    assert resolving.substitute_text(text, _SCOPE, strict=True) == text


def test_the_last_pass_can_refuse_what_is_late() -> None:
    with pytest.raises(Unresolved):
        resolving.substitute_text("{{=workflow.status}}", _SCOPE, strict=True, late=())


def test_a_late_name_that_is_known_is_filled_in() -> None:
    scope = _SCOPE.with_({"item.a": "1", "item": '{"a":"1"}', "workflow.status": "Failed"})
    text = "{{item}} {{item.a}} {{=item.a}} {{=workflow.status}} {{=item.b == nil}}"
    assert resolving.substitute_text(text, scope) == '{"a":"1"} 1 1 Failed true'


@pytest.mark.parametrize("text", ["{{=1 +}}", "{{=shout('x')}}", "{{=}}"])
def test_an_expression_that_cannot_be_read_is_refused_in_any_case(text: str) -> None:
    with pytest.raises(ExpressionError):
        resolving.substitute_text(text, _SCOPE)


def test_a_whole_template_is_walked_keys_too() -> None:
    template = {"{{workflow.name}}": [{"a": "{{workflow.name}}-x"}, 1, None, True, ("b",)]}
    assert resolving.substitute(template, {"workflow.name": "wf"}) == {
        "wf": [{"a": "wf-x"}, 1, None, True, ["b"]]
    }


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{{a.b}} {{ c-d }} {{a.b}}", ("a.b", "c-d")),
        ("{{=a.b + c['d-e']}}", ("a.b", "c.d-e")),
        ("none", ()),
    ],
)
def test_tags_are_listed_by_what_they_refer_to(text: str, names: tuple[str, ...]) -> None:
    assert resolving.tags_in(text) == names


def test_a_scope_is_a_mapping_that_never_changes() -> None:
    inner = _SCOPE.with_({"workflow.name": "other", "item": "x"})
    assert (inner["workflow.name"], _SCOPE["workflow.name"]) == ("other", "wf")
    assert set(inner) == {*_SCOPE, "item"}
    assert len(inner) == len(_SCOPE) + 1
    assert inner.get("gone") is None
    assert _SCOPE.nested() == {
        "inputs": {"parameters": {"a-b": "x"}},
        "workflow": {"name": "wf"},
        "tasks": {"t-1": {"outputs": {"parameters": {"head-sha": "abc"}}}},
    }


_NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)
_LAYERS = st.lists(st.dictionaries(_NAMES, st.text(max_size=3), max_size=5), max_size=40)


@given(_LAYERS)
def test_layers_of_a_scope_read_like_one_map(layers: list[dict[str, str]]) -> None:
    scope, together = Scope({}), dict[str, str]()
    for number, layer in enumerate(layers):
        scope = scope.with_(layer)
        together.update(layer)
        if number % 3 == 0:
            scope.nested()
    assert dict(scope) == together
    assert scope.nested() == Scope(together).nested()
    for name, value in together.items():
        if not any(other.startswith(f"{name}.") for other in together):
            assert scope.has(tuple(name.split(".")))
            assert resolving.substitute_text(f"{{{{={name}}}}}", scope) == value


@given(st.text())
def test_what_was_filled_in_is_never_read_again(value: str) -> None:
    hostile = "{{workflow.name}}{{=1+1}}" + value
    scope = Scope({"inputs.parameters.p": hostile, "workflow.name": "wf"})
    assert resolving.substitute_text("<{{inputs.parameters.p}}>", scope) == f"<{hostile}>"


_BITS = ("{{", "}}", "=", "workflow.name", "item", " ", "'a'", "+", "{", "}", "inputs.x", "nil")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="ab{} "),
    lambda each: st.lists(each) | st.dictionaries(st.text(max_size=3), each),
    max_leaves=10,
)


@given(_JSON)
def test_without_tags_nothing_changes(value: object) -> None:
    if "{{" not in str(value):
        assert resolving.substitute(value, _SCOPE, strict=True) == value


@given(st.text(max_size=60) | st.lists(st.sampled_from(_BITS), max_size=8).map("".join))
def test_no_text_breaks_the_substitution(text: str) -> None:
    for strict in (False, True):
        try:
            assert isinstance(resolving.substitute_text(text, _SCOPE, strict=strict), str)
        except Refused as error:
            assert str(error)
