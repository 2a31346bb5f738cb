"""Every entry of the troubleshooting page is a message that some test asserts."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guides" / "troubleshooting.md"
SOURCES = ROOT / "src" / "pressplay"
_VALUES = re.compile(r"[0-9]+|'[^']*'|/\w+|\$")


def _entries() -> list[str]:
    headings = re.findall(r"^### (`+)(.+)\1$", PAGE.read_text(), re.MULTILINE)
    return [text.strip() for _, text in headings]


@cache
def _asserted() -> tuple[str, ...]:
    """What the tests hold against what they read: the texts of `in`, of `==`, and of `match=`."""
    sources = (path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
    nodes = (node for path in sources for node in ast.walk(ast.parse(path.read_text())))
    return tuple(
        # A pattern's backslashes are no part of what it looks for.
        re.sub(r"\\(.)", r"\1", node.value)
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@cache
def _said() -> tuple[str, ...]:
    """Every text of the product, f-strings with a space for each value."""
    found = []
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (
                    each.value if isinstance(each, ast.Constant) else " " for each in node.values
                )
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return tuple(found)


def test_the_page_has_entries() -> None:
    assert len(_entries()) > 25
    assert len(_entries()) == PAGE.read_text().count("\n### ")
    assert len(_entries()) == len(set(_entries()))


@pytest.mark.parametrize("entry", _entries())
def test_an_entry_is_asserted_by_a_test(entry: str) -> None:
    assert any(entry in each for each in _asserted()), entry


@pytest.mark.parametrize("entry", _entries())
def test_an_entry_is_something_that_the_product_says(entry: str) -> None:
    words = [each for each in _VALUES.sub("\0", entry).split("\0") if len(each) > 7]
    assert words or entry == "", entry
    assert any(all(word in each for word in words) for each in _said()), words
