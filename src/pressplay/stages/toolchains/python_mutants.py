"""Mutants of Python source: small changes that a test of the changed lines should notice.

The operators are the common ones of mutation testing: negate a comparison, swap an operator, alter
a constant, return nothing, drop a statement. Always the same ones in the same order.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from pressplay.stages.toolchains.port import Mutant

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}

_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
}

# An annotation is no behaviour, and its mutant could not be killed.
_UNTOUCHED = ("annotation", "returns", "type_comment", "type_params", "decorator_list")

_DROPPED = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Assert, ast.Delete)


@dataclass(frozen=True)
class _Edit:
    """Put `new` at `key` of `holder`: an attribute of a node, or an element of a list."""

    line: int
    what: str
    holder: ast.AST | list[ast.stmt]
    key: str | int
    new: object

    def swap(self, value: object) -> object:
        """Put `value` in place; answers what was there."""
        if isinstance(self.holder, list):
            index = int(self.key)
            old: object = self.holder[index]
            self.holder[index] = cast("ast.stmt", value)
            return old
        old = getattr(self.holder, str(self.key))
        setattr(self.holder, str(self.key), value)
        return old


def mutants(path: str, text: str, *, lines: frozenset[int]) -> Iterator[Mutant]:
    """Mutants of what begins on one of `lines`, in the order of the file; none if it is no Python.

    Their text has no comments: a mutant is run, never read.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    edits = [edit for edit in _edits(tree) if edit.line in lines]
    for edit in sorted(edits, key=lambda each: each.line):
        old = edit.swap(edit.new)
        try:
            mutated = ast.unparse(ast.fix_missing_locations(tree))
        except (ValueError, RecursionError):
            continue
        finally:
            edit.swap(old)
        yield Mutant(path=path, line=edit.line, what=edit.what, text=mutated)


def _edits(node: ast.AST) -> Iterator[_Edit]:
    """Every edit below `node`."""
    yield from _of_expression(node)
    for field, value in ast.iter_fields(node):
        if field in _UNTOUCHED:
            continue
        if isinstance(value, list):
            yield from _of_body(node, value)
            for child in value:
                if isinstance(child, ast.AST) and not _is_dead(child):
                    yield from _edits(child)
        elif isinstance(value, ast.AST):
            yield from _edits(value)


def _of_body(node: ast.AST, body: list[ast.stmt]) -> Iterator[_Edit]:
    """Drop a statement; at module level only imports and definitions stand, which tests need."""
    if isinstance(node, ast.Module):
        return
    for index, statement in enumerate(body):
        if isinstance(statement, _DROPPED) and not _is_dead(statement):
            yield _Edit(statement.lineno, "drop the statement", body, index, ast.Pass())


def _of_expression(node: ast.AST) -> Iterator[_Edit]:
    match node:
        case ast.Compare(ops=[op, *rest]) if type(op) in _COMPARISONS:
            negated = [_COMPARISONS[type(op)](), *rest]
            yield _Edit(node.lineno, "negate the comparison", node, "ops", negated)
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            yield _Edit(node.lineno, "swap the operator", node, "op", _OPERATORS[type(op)]())
        case ast.BoolOp(op=op):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield _Edit(node.lineno, "swap and with or", node, "op", other)
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            negated_test = ast.UnaryOp(op=ast.Not(), operand=test)
            yield _Edit(node.lineno, "negate the condition", node, "test", negated_test)
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield _Edit(node.lineno, "return None", node, "value", ast.Constant(value=None))
        case ast.Constant(value=value):
            yield from _of_constant(node, value)
        case _:
            return


def _of_constant(node: ast.Constant, value: object) -> Iterator[_Edit]:
    new: object
    match value:
        case bool():
            new = not value
        case int() | float():
            new = value + 1
        case str() if value:
            new = value + "!"
        case bytes() if value:
            new = value + b"!"
        case _:
            return
    yield _Edit(node.lineno, "alter the constant", node, "value", new)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_dead(node: ast.AST) -> bool:
    """A value that stands alone (documentation, an ellipsis): no test can notice it."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
