from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.cluster import merging

_SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"])
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)
_OBJECTS = st.dictionaries(st.sampled_from("abc"), _VALUES, max_size=3)


def _rfc_7386(target: Any, patch: Any) -> Any:
    """The algorithm of section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _rfc_7386(result.get(name), value)
    return result


# The rows of the RFC's appendix A whose target and patch are objects.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_does_as_the_rfc_shows(
    target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]
) -> None:
    merging.merge(target, patch)
    assert target == result


@given(target=_OBJECTS, patch=_OBJECTS)
def test_merge_is_the_algorithm_of_the_rfc(target: dict[str, Any], patch: dict[str, Any]) -> None:
    expected = _rfc_7386(target, patch)
    before = copy.deepcopy(target)
    changed = merging.merge(target, patch)
    assert merging.same(target, expected)
    assert changed == {
        name
        for name in before.keys() | target.keys()
        if (name in before) != (name in target)
        or not merging.same(before.get(name), target.get(name))
    }


@given(target=_OBJECTS, patch=_OBJECTS)
def test_merging_twice_changes_nothing_more(target: dict[str, Any], patch: dict[str, Any]) -> None:
    merging.merge(target, patch)
    assert merging.merge(target, patch) == set()


@given(old=_OBJECTS, new=_OBJECTS)
def test_diff_makes_the_new_from_the_old(old: dict[str, Any], new: dict[str, Any]) -> None:
    wanted = merging.without_nulls(new)
    merging.merge(old, merging.diff(old, new))
    assert merging.same(old, wanted)


@given(_OBJECTS)
def test_diff_of_an_object_with_itself_is_empty(obj: dict[str, Any]) -> None:
    plain = merging.without_nulls(obj)
    assert merging.diff(plain, copy.deepcopy(plain)) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [(True, 1), (0, False), (1, 1.0), ([True], [1]), ({"a": 1}, {"a": True}), ("1", 1)],
)
def test_values_of_different_kinds_are_different(one: Any, other: Any) -> None:
    assert not merging.same(one, other)
