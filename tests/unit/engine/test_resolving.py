"""Template tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.engine import resolving
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
        ("{{=nil}}", "{{=nil}}"),
    ],
)
def test_tags_are_filled_in_as_argo_does(text: str, filled: str) -> None:
    assert resolving.substitute_text(text, _SCOPE) == filled


def test_a_known_tag_without_a_value_is_refused_where_it_must_be_there() -> None:
    with pytest.raises(Unresolved, match=r"unable to substitute \{\{inputs.parameters.gone\}\}"):
        resolving.substitute({"a": ["{{inputs.parameters.gone}}"]}, _SCOPE, strict=True)


@given(st.text())
def test_what_was_filled_in_is_never_read_again(value: str) -> None:
    hostile = "{{workflow.name}}{{=1+1}}" + value
    scope = Scope({"inputs.parameters.p": hostile, "workflow.name": "wf"})
    assert resolving.substitute_text("<{{inputs.parameters.p}}>", scope) == f"<{hostile}>"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="ab{} "),
    lambda each: st.lists(each) | st.dictionaries(st.text(max_size=3), each),
    max_leaves=10,
)


@given(_JSON)
def test_without_tags_nothing_changes(value: object) -> None:
    if "{{" not in str(value):
        assert resolving.substitute(value, _SCOPE, strict=True) == value
