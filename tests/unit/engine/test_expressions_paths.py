"""JSONPath, as both of its users read it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.engine.expressions import paths

_DOCUMENT: dict[str, Any] = {
    "a": {"b": [{"c": 1}, {"c": 2}, {"d": 3}]},
    "with.dot": {"x/y": "z"},
    "with-dash": [10, 20, 30],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [_DOCUMENT]),
        ("$.a.b[0].c", [1]),
        (".a.b[-1].d", [3]),
        ("a.b[*].c", [1, 2]),
        ("$['with.dot']['x/y']", ["z"]),
        (r".with\.dot.x/y", ["z"]),
        ("$.with-dash[1:]", [20, 30]),
        ('$["with-dash"][:2]', [10, 20]),
        ("$..c", [1, 2]),
        ("$.a.*[0]", [{"c": 1}]),
        ("$.a.gone", []),
        ("$.a.b[9]", []),
        ("$.a[0]", []),
    ],
)
def test_a_path_names_values_in_the_order_of_the_document(path: str, found: list[object]) -> None:
    assert paths.find(_DOCUMENT, paths.parse(path)) == found


@pytest.mark.parametrize("path", ["$.a[", "$.a[?(@.b)]", "$.a[(1)]", "a b", "$.a[1", "$$"])
def test_a_path_that_is_not_understood_is_refused(path: str) -> None:
    with pytest.raises(Refused, match="not understood"):
        paths.parse(path)


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(path: str) -> None:
    try:
        assert isinstance(paths.find(_DOCUMENT, paths.parse(path)), list)
    except Refused as error:
        assert "not understood" in str(error)
