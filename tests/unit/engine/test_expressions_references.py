"""Which variables an expression names."""

from __future__ import annotations

import pytest

from pressplay.engine.expressions import expr


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("inputs.parameters.x + workflow.name", ["inputs.parameters.x", "workflow.name"]),
        ("inputs.parameters['a-b']", ["inputs.parameters.a-b"]),
        ("tasks['x-y'].outputs.result == 'a'", ["tasks.x-y.outputs.result"]),
        ("a[b.c].d", ["a", "b.c"]),
        ("let x = a.b; x + c", ["a.b", "c"]),
        ("map(items, #.a + .b + other)", ["items", "other"]),
        ("sprig.trim(a) | upper()", ["a"]),
        ("'workflow.status'", []),
        ("a ? b : [c, {d: e}]", ["a", "b", "c", "e"]),
        ("x[1:y]", ["x", "y"]),
        ("now().Format(f)", ["f"]),
    ],
)
def test_every_variable_is_named_with_its_members(source: str, names: list[str]) -> None:
    assert [each.name for each in expr.parse(source).references] == names


@pytest.mark.parametrize(
    ("source", "guarded"),
    [
        ("a.b ?? 'x'", [("a.b", True)]),
        ("a?.b.c", [("a.b.c", True)]),
        ("a.b ?? c.d", [("a.b", True), ("c.d", False)]),
        ("a.b + 'x'", [("a.b", False)]),
    ],
)
def test_a_fallback_is_noticed(source: str, guarded: list[tuple[str, bool]]) -> None:
    found = expr.parse(source).references
    assert [(each.name, each.is_guarded) for each in found] == guarded
