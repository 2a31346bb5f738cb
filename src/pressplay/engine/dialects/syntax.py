"""One lexer and one Pratt parser for both dialects; what they differ in is data.

Sources: expr-lang's "Language Definition" page; govaluate's README ("What operators and types
does this support?"). The tree is frozen, so that compiled expressions can be shared.
"""

from __future__ import annotations

import ast as python_literals
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pressplay.base.errors import Refused

DEPTH_LIMIT = 64
LENGTH_LIMIT = 16_384


class ExpressionError(Refused):
    """An expression that cannot be read or worked out; the message shows it."""


@dataclass(frozen=True)
class Literal:
    """A number, a text, true, false or nil."""

    value: object


@dataclass(frozen=True)
class Name:
    """A variable."""

    name: str


@dataclass(frozen=True)
class Index:
    """`of[key]` or `of.key`; `optional` for `?.`."""

    of: Node
    key: Node
    optional: bool = False


@dataclass(frozen=True)
class Call:
    """A function with its arguments."""

    of: Node
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Unary:
    """An operator before its operand."""

    op: str
    operand: Node


@dataclass(frozen=True)
class Binary:
    """An operator between two operands."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Choice:
    """`condition ? then : otherwise`."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True)
class Array:
    """A list; in govaluate also what stands in parentheses with commas."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Table:
    """A map with literal or computed keys."""

    entries: tuple[tuple[Node, Node], ...]


Node = Literal | Name | Index | Call | Unary | Binary | Choice | Array | Table


@dataclass(frozen=True)
class Dialect:
    """What the parser has to know of a dialect; `bare_words` makes a list of `(a, b)` too."""

    binary: Mapping[str, tuple[int, bool]]
    unary: frozenset[str]
    words: frozenset[str]
    symbols: re.Pattern[str]
    nothing: str
    bare_words: bool = False


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    | (?P<name>[A-Za-z_$][A-Za-z0-9_]*)
    )""",
    re.VERBOSE,
)


def _ops(*levels: str) -> dict[str, tuple[int, bool]]:
    """Binding powers from the loosest level to the tightest; `R:` marks right to left."""
    made = {}
    for power, level in enumerate(levels, start=2):
        right = level.startswith("R:")
        for op in level.removeprefix("R:").split():
            made[op] = (power * 10, right)
    return made


EXPR = Dialect(
    binary=_ops(
        "|| or",
        "&& and",
        "== != < > <= >= in contains startsWith endsWith matches",
        "+ -",
        "* / %",
        "R:** ^",
        "??",
    ),
    unary=frozenset({"!", "not", "-", "+"}),
    words=frozenset({"or", "and", "in", "not", "contains", "startsWith", "endsWith", "matches"}),
    symbols=re.compile(r"\s*(\?\.|\?\?|\|\||&&|\*\*|[=!<>]=|[-+*/%^<>!?:.,()\[\]{}])"),
    nothing="nil",
)
GOVALUATE = Dialect(
    binary=_ops("?? ", "||", "&&", "== != > < >= <= =~ !~ in", "& | ^ << >>", "+ -", "* / %", "**"),
    unary=frozenset({"!", "-", "~"}),
    words=frozenset({"in"}),
    symbols=re.compile(r"\s*(\?\?|\|\||&&|\*\*|[=!]~|<<|>>|[=!<>]=|[-+*/%^&|<>!~?:,().])"),
    nothing="",
    bare_words=True,
)


@lru_cache(maxsize=4096)
def parse(source: str, dialect_name: str) -> Node:
    """The tree of an expression; `dialect_name` is expr or govaluate. Raises ExpressionError."""
    parser = _Parser(source, EXPR if dialect_name == "expr" else GOVALUATE)
    tree = parser.expression(0)
    parser.expect_end()
    return tree


class _Parser:
    def __init__(self, source: str, dialect: Dialect) -> None:
        self._source = source
        self._dialect = dialect
        if len(source) > LENGTH_LIMIT:
            raise ExpressionError(f"expression of {len(source)} characters is too long")
        self._tokens = self._read()
        self._at = 0
        self._depth = 0

    def expression(self, power: int) -> Node:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise self._wrong("is nested too deeply")
        left = self._operand()
        while (found := self._infix(power)) is not None:
            left = self._continue(left, found)
        self._depth -= 1
        return left

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise self._wrong(f"unexpected {self._tokens[self._at][1]!r}")

    def _infix(self, power: int) -> str | None:
        kind, text = self._peek()
        if kind != "op":
            return None
        if text == "?":
            return text if power < 15 else None
        if text == "not" and self._peek(1) == ("op", "in"):
            text = "in"
        binding = self._dialect.binary.get(text)
        return self._peek()[1] if binding is not None and binding[0] > power else None

    def _continue(self, left: Node, op: str) -> Node:
        self._at += 1
        if op == "?":
            then = self.expression(0)
            self._expect(":")
            return Choice(left, then, self.expression(10))
        if op == "not":
            self._at += 1
            return Unary("!", Binary("in", left, self.expression(self._dialect.binary["in"][0])))
        power, right = self._dialect.binary[op]
        return Binary(op, left, self.expression(power - 1 if right else power))

    def _operand(self) -> Node:
        kind, text = self._peek()
        if kind == "op" and text in self._dialect.unary:
            self._at += 1
            return Unary("!" if text == "not" else text, self.expression(75))
        return self._postfix(self._primary())

    def _postfix(self, node: Node) -> Node:
        while self._peek()[0] == "op":
            text = self._peek()[1]
            if text in (".", "?."):
                self._at += 1
                node = Index(node, Literal(self._word()), optional=text == "?.")
            elif text == "[" and not self._dialect.bare_words:
                self._at += 1
                node = Index(node, self.expression(0))
                self._expect("]")
            elif text == "(" and not self._dialect.bare_words:
                self._at += 1
                node = Call(node, self._list(")"))
            else:
                break
        return node

    def _primary(self) -> Node:
        kind, text = self._peek()
        self._at += 1
        if kind == "number":
            return Literal(_number(text))
        if kind == "text":
            return Literal(_text(text))
        if kind == "name":
            return self._named(text)
        if text == "(":
            items = self._list(")")
            return items[0] if len(items) == 1 else Array(items)
        if text == "[" and not self._dialect.bare_words:
            return Array(self._list("]"))
        if text == "{":
            return self._table()
        raise self._wrong(f"unexpected {text!r}" if text else "it ends too early")

    def _named(self, text: str) -> Node:
        if text in ("true", "false"):
            return Literal(text == "true")
        return Literal(None) if text == self._dialect.nothing else Name(text)

    def _list(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._take(end):
            if items:
                self._expect(",")
                if self._take(end):
                    break
            items.append(self.expression(0))
        return tuple(items)

    def _table(self) -> Node:
        entries: list[tuple[Node, Node]] = []
        while not self._take("}"):
            if entries:
                self._expect(",")
                if self._take("}"):
                    break
            key = Literal(self._word()) if self._peek()[0] == "name" else self._primary()
            self._expect(":")
            entries.append((key, self.expression(0)))
        return Table(tuple(entries))

    def _word(self) -> str:
        kind, text = self._peek()
        if kind != "name" and text not in self._dialect.words:
            raise self._wrong(f"a name was expected, not {text!r}")
        self._at += 1
        return text

    def _peek(self, ahead: int = 0) -> tuple[str, str]:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ("end", "")

    def _take(self, symbol: str) -> bool:
        if self._peek() == ("op", symbol):
            self._at += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._take(symbol):
            raise self._wrong(f"{symbol!r} was expected, not {self._peek()[1]!r}")

    def _read(self) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        at, source = 0, self._source
        while source[at:].strip():
            found = _TOKEN.match(source, at)
            if found is not None and found.lastgroup is not None:
                text = found[found.lastgroup]
                is_word = found.lastgroup == "name" and text in self._dialect.words
                tokens.append(("op" if is_word else found.lastgroup, text))
            else:
                found = self._dialect.symbols.match(source, at)
                if found is None:
                    raise self._wrong(f"unexpected {source[at:].strip()[0]!r}")
                tokens.append(("op", found[1]))
            at = found.end()
        return tokens

    def _wrong(self, what: str) -> ExpressionError:
        return ExpressionError(f"expression {self._source[:200]!r}: {what}")


def _number(text: str) -> int | float:
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    return float(text) if any(mark in text for mark in ".eE") else int(text)


def _text(text: str) -> str:
    if text[0] == "`":
        return text[1:-1]
    try:
        return str(python_literals.literal_eval(text.replace("\n", "\\n")))
    except (ValueError, SyntaxError) as error:
        raise ExpressionError(f"text {text[:80]}: a bad escape; double the backslash") from error
