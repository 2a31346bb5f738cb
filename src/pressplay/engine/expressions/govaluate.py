"""The language of `when`: govaluate, with bare words turned into strings, as Argo does it.

There are no variables: every tag has been replaced before, so `foo == foo` compares two strings.
What govaluate refuses is refused here too (a sign that touches the next one, a bare word with a
dot), or a condition would hold on this machine and fail on a cluster. One difference is meant: a
string in quotes that looks like a date stays a string. Source: govaluate's README, and its
behaviour as pinned by Argo.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from pressplay.base.clocks import SystemClock
from pressplay.engine.expressions import regex, values
from pressplay.engine.expressions.errors import ExpressionError, Fault
from pressplay.engine.expressions.functions import Run
from pressplay.engine.expressions.lexing import Kind, Token
from pressplay.engine.expressions.limits import MAX_SOURCE, Budget
from pressplay.engine.expressions.pratt import Parser, Power
from pressplay.engine.expressions.printing import to_text
from pressplay.engine.expressions.syntax import Array, Binary, Frame, Literal, Node, Shortcut, Unary

_HINT = "put it in quotes"
_CLOCK = SystemClock()
_CACHED_LENGTH = 4096

_NUMBER = re.compile(r"0x([0-9a-fA-F]*)|[0-9.]+")
_WORD = re.compile(r"[^\W\d_](?:[\w.]|\\.)*", re.DOTALL)
_QUOTED = re.compile(r"['\"]((?:[^'\"\\]|\\.)*)['\"]", re.DOTALL)
_BRACKETED = re.compile(r"\[((?:[^\]\\]|\\.)*)\]", re.DOTALL)
# A sign is everything up to a letter, a digit, a parenthesis, a quote, a bracket or a space.
_SIGN = re.compile(r"(?:[^\s\w()'\"\[\]]|_)+")
_SIMPLE = frozenset("(),")

_POWERS: Mapping[str, Power] = {
    ",": Power(0),
    **dict.fromkeys(("?", ":", "??"), Power(1)),
    "||": Power(2),
    "&&": Power(3),
    **dict.fromkeys(("==", "!=", ">", ">=", "<", "<=", "=~", "!~", "in"), Power(4)),
    **dict.fromkeys(("&", "|", "^"), Power(5)),
    **dict.fromkeys(("<<", ">>"), Power(6)),
    **dict.fromkeys(("+", "-"), Power(7)),
    **dict.fromkeys(("*", "/", "%"), Power(8)),
    "**": Power(9),
}


def evaluate(source: str) -> object:
    """The value: a bool, a float, a string, a list, or None. Raises ExpressionError."""
    try:
        frame = Frame({}, Run(Budget(), _CLOCK))
        return _parse(source).evaluate(frame)
    except Fault as fault:
        raise fault.bind(source) from fault
    except RecursionError as error:
        raise ExpressionError(source, position=0, problem="nested too deeply") from error


def evaluate_bool(source: str) -> bool:
    """Whether the condition holds. Raises ExpressionError if it is neither true nor false."""
    value = evaluate(source)
    if value is True or value is False:
        return value
    raise ExpressionError(
        source, position=0, problem=f"must be true or false, not {values.kind_of(value)}"
    )


def _parse(source: str) -> Node:
    if len(source) > _CACHED_LENGTH:
        return _Parser(_tokens_of(source), _POWERS).parse()
    return _parse_cached(source)


@lru_cache(maxsize=256)
def _parse_cached(source: str) -> Node:
    return _Parser(_tokens_of(source), _POWERS).parse()


def _tokens_of(source: str) -> list[Token]:
    if len(source) > MAX_SOURCE:
        raise Fault(f"is longer than {MAX_SOURCE} characters", position=0)
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        if source[position].isspace():
            position += 1
            continue
        token, position = _token(source, position)
        tokens.append(token)
    tokens.append(Token(Kind.END, "", position))
    return tokens


def _token(source: str, start: int) -> tuple[Token, int]:
    """The token that begins at `start`, and where the next one may begin."""
    character = source[start]
    if character in _SIMPLE:
        return Token(Kind.OPERATOR, character, start), start + 1
    if character.isdigit() or character == ".":
        return _number(source, start)
    if character.isalpha():
        return _word(source, start)
    if character in "'\"[":
        match = (_BRACKETED if character == "[" else _QUOTED).match(source, start)
        if match is None:
            raise Fault("the string is not closed", position=start)
        # A bracket holds a variable's name, and so a string that may follow `!` or `-` no more
        # than a bare word may.
        return Token(Kind.TEXT, match.group(), start, _plain(match[1])), match.end()
    return _sign(source, start)


def _number(source: str, start: int) -> tuple[Token, int]:
    match = _NUMBER.match(source, start)
    text = match.group() if match else ""
    try:
        hexadecimal = match[1] if match else None
        value = float(text) if hexadecimal is None else float(int(hexadecimal, 16))
    except (ValueError, OverflowError) as error:
        raise Fault(f"{text} is no number; {_HINT}", position=start) from error
    return Token(Kind.NUMBER, text, start, value), start + len(text)


def _word(source: str, start: int) -> tuple[Token, int]:
    match = _WORD.match(source, start)
    text = match.group() if match else source[start]
    end = start + len(text)
    if text in ("in", "IN"):
        return Token(Kind.OPERATOR, "in", start), end
    if text in ("true", "false"):
        return Token(Kind.NAME, text, start, text == "true"), end
    if "." in text:
        raise Fault(f"'{text}' has a dot in it; {_HINT}", position=start)
    return Token(Kind.TEXT, text, start, _plain(text)), end


def _sign(source: str, start: int) -> tuple[Token, int]:
    match = _SIGN.match(source, start)
    text = match.group() if match else source[start]
    if text not in _POWERS and text not in _PREFIXES:
        raise Fault(
            f"invalid token '{text}'; leave a space between signs, or {_HINT}", position=start
        )
    return Token(Kind.OPERATOR, text, start), start + len(text)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


class _Parser(Parser):
    """Operands are literals; a prefix belongs to the one operand behind it."""

    def operand(self) -> Node:
        token = self.take()
        match token.kind:
            case Kind.NUMBER | Kind.TEXT | Kind.NAME:
                return Literal(token.value)
            case Kind.OPERATOR if token.text in _PREFIXES:
                if self.token.kind is Kind.TEXT or self.token.text in _PREFIXES:
                    raise self.unexpected()
                return Unary(_PREFIXES[token.text], self.operand(), token.position)
            case Kind.OPERATOR if token.text == "(":
                inside = self.expression(0)
                self.expect(")")
                return inside
        raise Fault(f"unexpected {token}", position=token.position)

    def operation(self, left: Node, power: Power) -> Node:
        sign = self.take()
        right = self.expression(power.right)
        if sign.text == ",":
            return _listed(left, right)
        if sign.text == "?":
            return _Then(_neither, left, right, sign.position)
        lazy = _LAZY.get(sign.text)
        if lazy is not None:
            return Shortcut(*lazy, left, right, position=sign.position)
        if sign.text in ("=~", "!~"):
            return _Search(
                partial(_negated, is_negated=sign.text == "!~"), left, right, sign.position
            )
        return Binary(_EAGER[sign.text], left, right, sign.position)


class _Search(Binary):
    """`=~` and `!~`: Binary, with the budget that a search needs."""

    __slots__ = ()

    def evaluate(self, frame: Frame) -> object:
        text, pattern = self.left.evaluate(frame), self.right.evaluate(frame)
        if not (isinstance(text, str) and isinstance(pattern, str)):
            raise Fault("a regular expression compares two strings", position=self.position)
        try:
            found = regex.compile_pattern(pattern).is_match(text, budget=frame.run.budget)
        except Fault as fault:
            raise fault.at(self.position) from None
        return self.apply(found, None)


class _Then(Binary):
    """`a ? b`: b if a is true, else nothing, for the `:` behind it to replace."""

    __slots__ = ()

    def evaluate(self, frame: Frame) -> object:
        condition = self.left.evaluate(frame)
        try:
            is_true = values.to_bool(condition)
        except Fault as fault:
            raise fault.at(self.position) from None
        return self.right.evaluate(frame) if is_true else None


def _neither(left: object, right: object) -> object:
    return None


def _negated(found: object, _: object, *, is_negated: bool) -> object:
    return found is not is_negated


def _listed(left: Node, right: Node) -> Node:
    items = left.items if isinstance(left, Array) else (left,)
    return Array((*items, right))


def _whole(value: float) -> int:
    return int(value) if math.isfinite(value) and abs(value) < 2**63 else -(2**63)


def _numbers(
    operation: Callable[[float, float], float], left: object, right: object, *, sign: str
) -> float:
    if isinstance(left, float) and isinstance(right, float):
        return operation(left, right)
    raise Fault(f"'{sign}' takes numbers; put a word with a sign in it in quotes")


def _add(left: object, right: object) -> object:
    if isinstance(left, str) or isinstance(right, str):
        return to_text(left) + to_text(right)
    return _numbers(float.__add__, left, right, sign="+")


def _modulo(left: float, right: float) -> float:
    return math.fmod(left, right) if right and math.isfinite(left) else math.nan


def _shifted(left: float, right: float, *, is_left: bool) -> float:
    number, count = _whole(left) % 2**64, min(_whole(right) % 2**64, 64)
    return float((number << count) % 2**64 if is_left else number >> count)


def _is_in(item: object, items: object) -> bool:
    if not isinstance(items, list):
        raise Fault("'in' takes a list of at least two values in parentheses")
    return any(each.__class__ is item.__class__ and each == item for each in items)


def _is_less(left: object, right: object) -> bool:
    comparable = isinstance(left, float | str) and left.__class__ is right.__class__
    if not comparable:
        raise Fault(f"cannot compare {values.kind_of(left)} with {values.kind_of(right)}")
    return values.less(left, right)


def _is_equal(left: object, right: object) -> bool:
    return left.__class__ is right.__class__ and left == right


def _prefix_number(operation: Callable[[float], float], value: object) -> float:
    if isinstance(value, float):
        return operation(value)
    raise Fault(f"a sign stands before a number, not before {values.kind_of(value)}")


def _both(left: object, right: object) -> object:
    values.to_bool(left)
    return values.to_bool(right)


def _arithmetic(
    sign: str, operation: Callable[[float, float], float]
) -> Callable[[object, object], object]:
    return partial(_numbers, operation, sign=sign)


_PREFIXES: Mapping[str, Callable[[object], object]] = {
    "!": lambda value: not values.to_bool(value),
    "-": partial(_prefix_number, float.__neg__),
    "~": partial(_prefix_number, lambda value: float(~_whole(value))),
}
_EAGER: Mapping[str, Callable[[object, object], object]] = {
    "==": _is_equal,
    "!=": lambda left, right: not _is_equal(left, right),
    "<": _is_less,
    ">": lambda left, right: _is_less(right, left),
    "<=": lambda left, right: _is_less(left, right) or left == right,
    ">=": lambda left, right: _is_less(right, left) or left == right,
    "in": _is_in,
    "+": _add,
    "-": _arithmetic("-", float.__sub__),
    "*": _arithmetic("*", float.__mul__),
    "/": _arithmetic("/", values.divide),
    "%": _arithmetic("%", _modulo),
    "**": _arithmetic("**", values.power),
    "&": _arithmetic("&", lambda left, right: float(_whole(left) & _whole(right))),
    "|": _arithmetic("|", lambda left, right: float(_whole(left) | _whole(right))),
    "^": _arithmetic("^", lambda left, right: float(_whole(left) ^ _whole(right))),
    "<<": _arithmetic("<<", partial(_shifted, is_left=True)),
    ">>": _arithmetic(">>", partial(_shifted, is_left=False)),
}
# The value of `x : y` is x unless that is nothing.
_Lazy = tuple[Callable[[object], bool], Callable[[object, object], object]]
_OR_ELSE: _Lazy = (lambda value: value is not None, lambda left, right: right)
_LAZY: Mapping[str, _Lazy] = {
    "&&": (lambda value: value is False, _both),
    "||": (lambda value: value is True, _both),
    ":": _OR_ELSE,
    "??": _OR_ELSE,
}
