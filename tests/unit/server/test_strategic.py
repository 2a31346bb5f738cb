from __future__ import annotations

import copy
from typing import Any

import pytest

from pressplay.server import strategic

POD: dict[str, Any] = {
    "containers": [
        {"name": "app", "image": "a:1", "env": [{"name": "A", "value": "1"}], "args": ["x"]},
        {"name": "side", "image": "s:1", "ports": [{"containerPort": 80, "name": "http"}]},
    ],
    "finalizers": ["a", "b"],
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
}


@pytest.mark.parametrize(
    ("patch", "path", "expected"),
    [
        ({"containers": [{"name": "app", "image": "a:2"}]}, ["containers", 0, "image"], "a:2"),
        (
            {"containers": [{"name": "app", "image": "a:2"}]},
            ["containers", 1],
            POD["containers"][1],
        ),
        (
            {"containers": [{"name": "app", "env": [{"name": "B", "value": "2"}]}]},
            ["containers", 0, "env"],
            [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        ),
        ({"containers": [{"name": "app", "args": ["y"]}]}, ["containers", 0, "args"], ["y"]),
        ({"containers": [{"name": "app", "$patch": "delete"}]}, ["containers", 0, "name"], "side"),
        (
            {"containers": [{"$patch": "replace"}, {"name": "new"}]},
            ["containers"],
            [{"name": "new"}],
        ),
        (
            {
                "$setElementOrder/containers": [{"name": "side"}, {"name": "app"}],
                "containers": [{"name": "app", "image": "a:2"}],
            },
            ["containers", 0, "name"],
            "side",
        ),
        (
            {"containers": [{"name": "side", "ports": [{"containerPort": 81}]}]},
            ["containers", 1, "ports"],
            [{"containerPort": 80, "name": "http"}, {"containerPort": 81}],
        ),
        ({"$deleteFromPrimitiveList/finalizers": ["a"]}, ["finalizers"], ["b"]),
        (
            {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
            ["strategy"],
            {"type": "Recreate"},
        ),
        ({"strategy": {"$patch": "replace", "type": "X"}}, ["strategy"], {"type": "X"}),
        ({"strategy": {"rollingUpdate": None}}, ["strategy"], {"type": "RollingUpdate"}),
    ],
)
def test_patch_does_what_kubernetes_means_by_it(
    patch: dict[str, Any], path: list[Any], expected: Any
) -> None:
    before = copy.deepcopy(POD)
    result: Any = strategic.merge(before, patch)
    assert before == POD
    for step in path:
        result = result[step]
    assert result == expected


@pytest.mark.parametrize(
    "patch",
    [{"strategy": {"$patch": "delete"}}, {"strategy": None}, {"$retainKeys": ["finalizers"]}],
)
def test_field_can_be_taken_away(patch: dict[str, Any]) -> None:
    assert "strategy" not in strategic.merge(POD, patch)


def test_no_directive_is_ever_stored() -> None:
    patch = {
        "$setElementOrder/containers": [{"name": "app"}],
        "spec": {"$retainKeys": ["a"], "a": 1, "inner": {"$patch": "merge", "b": 2}},
    }
    assert "$" not in str(strategic.merge(POD, patch))
