"""Mutants of Python: small, valid, different, and always the same ones."""

import ast

from hypothesis import given
from hypothesis import strategies as st

from pressplay.stages.toolchains import python_mutants

SOURCE = '''\
"""Module."""
import os
LIMIT = 3


def price(n: int = 1, *, rate: "float" = 0.5) -> int:
    """Docstring."""
    if n > LIMIT and rate:
        raise ValueError("too many")
    total = n + 1
    total += 2
    print(total)
    return total * 2 if n == 1 else None
'''
EVERY = frozenset(range(1, 100))


def whats(source: str, lines: frozenset[int] = EVERY) -> list[tuple[int, str]]:
    found = python_mutants.mutants("a.py", source, lines=lines)
    return [(mutant.line, mutant.what) for mutant in found]


def test_every_operator_is_at_work() -> None:
    found = whats(SOURCE)
    for expected in [
        (3, "alter the constant"),
        (8, "negate the comparison"),
        (8, "swap and with or"),
        (8, "negate the condition"),
        (9, "drop the statement"),
        (9, "alter the constant"),
        (10, "swap the operator"),
        (10, "drop the statement"),
        (11, "drop the statement"),
        (12, "drop the statement"),
        (13, "swap the operator"),
        (13, "return None"),
    ]:
        assert expected in found


def test_only_the_given_lines_are_touched() -> None:
    assert {line for line, _ in whats(SOURCE, frozenset({10}))} == {10}


def test_documentation_annotations_and_imports_are_left_alone() -> None:
    found = whats(SOURCE)
    assert not any(line in (1, 2, 7) for line, _ in found)
    assert whats('def f(x: "int") -> "str": ...\n') == []


def test_what_is_no_python_has_no_mutant() -> None:
    assert whats("def (:\n") == []
    assert whats("\0") == []


_SNIPPETS = st.lists(
    st.sampled_from(
        [
            "x = a + b",
            "x += 1",
            "return x < 3",
            "raise ValueError('no')",
            "assert x in (1, 2)",
            "while not done: done = True",
            "f(x, key='v')",
            "return [i for i in range(3) if i != 1]",
            "return lambda q: q * 2",
            "x: int = 3",
            "del x",
            "with open('f') as g: pass",
            "match x:\n        case 1: return 2",
            "try:\n        f()\n    except E: x = b'1'",
            "return f'{x}!'",
        ]
    ),
    min_size=1,
    max_size=6,
)


@given(_SNIPPETS)
def test_mutants_are_valid_different_and_always_the_same(snippets: list[str]) -> None:
    source = "def f(x, a, b):\n" + "".join(f"    {each}\n" for each in snippets)
    found = list(python_mutants.mutants("a.py", source, lines=EVERY))
    plain = ast.unparse(ast.parse(source))
    for mutant in found:
        compile(mutant.text, "a.py", "exec")
        assert mutant.text != plain
    assert found == list(python_mutants.mutants("a.py", source, lines=EVERY))
