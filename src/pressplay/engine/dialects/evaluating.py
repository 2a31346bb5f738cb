"""Working out a tree: pure, bounded, with Go's ideas of numbers and text."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pressplay.engine.dialects.syntax import (
    Array,
    Binary,
    Call,
    Choice,
    ExpressionError,
    Index,
    Literal,
    Name,
    Node,
    Table,
    Unary,
)

_SIZE_LIMIT = 1_000_000
_NUMBERS: Mapping[str, Callable[[float, float], object]] = {
    "-": operator.sub,
    "*": operator.mul,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_TEXTS: Mapping[str, Callable[[str, str], object]] = {
    "+": operator.add,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "contains": lambda left, right: right in left,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
# RE2 has neither look-around nor back references: what Go would refuse is refused here too.
_NOT_RE2 = re.compile(r"\(\?(?:[=!]|<[=!]|P=|\()|(?<!\\)\\[1-9]")


@dataclass(frozen=True)
class Surroundings:
    """Variables and functions; `bare_words` makes an unknown name its own text (govaluate)."""

    variables: Mapping[str, object]
    functions: Mapping[str, Callable[..., object]]
    bare_words: bool = False


def evaluate(node: Node, around: Surroundings) -> object:  # noqa: C901, PLR0911 - a case a node
    """The value of a tree. Raises ExpressionError."""
    match node:
        case Literal(value):
            return value
        case Name(name):
            return _variable(name, around)
        case Index():
            return _index(node, around)
        case Call(of, arguments):
            return _call(of, arguments, around)
        case Unary(op, operand):
            return _unary(op, evaluate(operand, around))
        case Binary():
            return _binary(node, around)
        case Choice(condition, then, otherwise):
            chosen = then if is_true(evaluate(condition, around)) else otherwise
            return evaluate(chosen, around)
        case Array(items):
            return [evaluate(item, around) for item in items]
        case Table(entries):
            return {str(evaluate(k, around)): evaluate(v, around) for k, v in entries}


def is_true(value: object) -> bool:
    """A boolean as it is; anything else is an error, as in Go."""
    if not isinstance(value, bool):
        raise ExpressionError(f"{value!r} is no boolean; compare it with something")
    return value


def pattern(text: object) -> re.Pattern[str]:
    """A regular expression within what RE2 knows. Raises ExpressionError."""
    if not isinstance(text, str) or _NOT_RE2.search(text):
        raise ExpressionError(f"regular expression {text!r} is not one that RE2 accepts")
    try:
        return re.compile(text)
    except re.error as error:
        raise ExpressionError(f"regular expression {text!r}: {error}") from error


def _variable(name: str, around: Surroundings) -> object:
    if name in around.variables:
        return around.variables[name]
    if name in around.functions:
        return around.functions[name]
    if around.bare_words:
        return name
    raise ExpressionError(f"unknown name {name}")


def _index(node: Index, around: Surroundings) -> object:
    if around.bare_words:
        return f"{evaluate(node.of, around)}.{evaluate(node.key, around)}"
    found, key = evaluate(node.of, around), evaluate(node.key, around)
    if found is None and node.optional:
        return None
    if isinstance(found, Mapping):
        return found.get(key)
    if isinstance(found, (list, str)) and isinstance(key, int) and not isinstance(key, bool):
        if -len(found) <= key < len(found):
            return found[key]
        raise ExpressionError(f"index {key} is out of range (length {len(found)})")
    raise ExpressionError(f"cannot fetch {key!r} from {type(found).__name__}")


def _call(of: Node, arguments: tuple[Node, ...], around: Surroundings) -> object:
    function = evaluate(of, around)
    if not callable(function):
        raise ExpressionError(f"{function!r} is no function")
    values = [evaluate(each, around) for each in arguments]
    try:
        return _bounded(function(*values))
    except (TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
        raise ExpressionError(f"a function does not accept {values!r}: {error}") from error


def _unary(op: str, value: object) -> object:
    if op == "!":
        return not is_true(value)
    if not is_number(value):
        raise ExpressionError(f"{op} needs a number, not {value!r}")
    number: float = value  # type: ignore[assignment]  # is_number has looked
    return -number if op == "-" else ~int(number) if op == "~" else number


def _binary(node: Binary, around: Surroundings) -> object:
    op, left = node.op, evaluate(node.left, around)
    if op in ("&&", "and"):
        return is_true(left) and is_true(evaluate(node.right, around))
    if op in ("||", "or"):
        return is_true(left) or is_true(evaluate(node.right, around))
    if op == "??":
        return left if left is not None else evaluate(node.right, around)
    right = evaluate(node.right, around)
    if op in ("==", "!="):
        return _equal(left, right) == (op == "==")
    if op == "in":
        return _is_in(left, right)
    if op in ("matches", "=~", "!~"):
        return (pattern(right).search(str(left)) is not None) != (op == "!~")
    return _bounded(_combine(op, left, right, bare_words=around.bare_words))


def _combine(op: str, left: object, right: object, *, bare_words: bool) -> object:
    if is_number(left) and is_number(right):
        return _arithmetic(op, left, right)  # type: ignore[arg-type]  # is_number has looked
    if isinstance(left, str) and isinstance(right, str) and op in _TEXTS:
        return _TEXTS[op](left, right)
    if bare_words and op == "+":
        return f"{left}{right}"
    if op == "+" and isinstance(left, list) and isinstance(right, list):
        return left + right
    raise ExpressionError(f"{left!r} {op} {right!r}: the types do not fit")


def _arithmetic(op: str, left: float, right: float) -> object:
    if op in _NUMBERS:
        return _NUMBERS[op](left, right)
    if op == "+":
        return left + right
    if op == "/":
        return _divide(left, right)
    if op == "%":
        return _remainder(left, right)
    if op in ("**", "^") and abs(right) <= 1024 and abs(left) <= 1e6:
        return float(left) ** right
    raise ExpressionError(f"{left!r} {op} {right!r} is not something to work out")


def _divide(left: float, right: float) -> float:
    """Always a float: 7 / 2 is 3.5 in expr-lang."""
    if right == 0:
        raise ExpressionError("division by zero")
    return left / right


def _remainder(left: float, right: float) -> float:
    """With the sign of the left operand, as in Go."""
    if right == 0:
        raise ExpressionError("division by zero")
    result = abs(left) % abs(right)
    return -result if left < 0 else result


def _equal(left: object, right: object) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return left == right


def _is_in(left: object, right: object) -> bool:
    if isinstance(right, Mapping):
        return left in right
    if isinstance(right, list):
        return any(_equal(left, each) for each in right)
    # govaluate writes a list of one in parentheses, which the parser takes for the thing itself.
    return _equal(left, right)


def is_number(value: object) -> bool:
    """An int or a float; a boolean is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _bounded(value: object) -> object:
    if isinstance(value, (str, list, dict)) and len(value) > _SIZE_LIMIT:
        raise ExpressionError("the result is too large")
    return value
