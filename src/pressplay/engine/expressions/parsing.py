"""The grammar of expr-lang: tokens to a tree, with every function looked up on the way.

Source: the language definition in expr-lang's documentation; what it leaves open (which operator
binds tighter, where a chain ends) was compared with expr 1.17.8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pressplay.engine.expressions import library, operators, regex, syntax
from pressplay.engine.expressions.errors import Fault
from pressplay.engine.expressions.functions import Function
from pressplay.engine.expressions.lexing import WORDS, Kind, Token
from pressplay.engine.expressions.loops import (
    LOOPS,
    POINTERS,
    WITH_EXTRA,
    WITHOUT_CLOSURE,
    Loop,
)
from pressplay.engine.expressions.operators import Matches, Range
from pressplay.engine.expressions.pratt import Parser, Power
from pressplay.engine.expressions.syntax import Literal, Member, Name, Node, Pointer

_CONSTANTS: Mapping[str, object] = {"true": True, "false": False, "nil": None}


class ExprParser(Parser):
    """One source's parser; used once."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        super().__init__(tokens, operators.POWERS)
        self._closures: tuple[str, ...] = ()
        self._names: tuple[str, ...] = ()
        self._fallback: Node | None = None

    def whole(self) -> Node:
        """Expressions with `;` between them, the last of which counts."""
        nodes = [self.expression(0)]
        while self.accept(";") and self.token.kind is not Kind.END:
            nodes.append(self.expression(0))
        return nodes[0] if len(nodes) == 1 else syntax.Sequence(tuple(nodes))

    def expression(self, least: int) -> Node:
        if least > 0:
            return super().expression(least)
        if self.token.is_operator("let"):
            return self._let()
        if self.token.is_operator("if"):
            return self._if()
        return self._ternary(super().expression(0))

    def power(self) -> Power | None:
        if self.token.is_operator("not"):
            follows = self.ahead()
            if not follows.is_operator(*operators.NEGATABLE):
                raise Fault(f"unexpected {follows}", position=follows.position)
            return operators.POWERS[follows.text]
        return super().power()

    def operation(self, left: Node, power: Power) -> Node:
        sign = self.take()
        if sign.text == "|":
            return self._piped(left)
        if left is self._fallback and sign.text != "??":
            raise Fault(
                f"'{sign.text}' after '??' is ambiguous; put one of them in parentheses",
                position=sign.position,
            )
        if sign.text == "not":
            positive = self._binary(self.take(), left, self.expression(power.right))
            return syntax.Unary(operators.invert, positive, sign.position)
        if sign.text in operators.COMPARISONS:
            return self._comparisons(sign, left, power)
        return self._binary(sign, left, self.expression(power.right))

    def _binary(self, sign: Token, left: Node, right: Node) -> Node:
        position = sign.position
        match sign.text:
            case "matches":
                if isinstance(right, Literal) and isinstance(right.value, str):
                    _check_pattern(right.value, position)
                return Matches(left, right, position)
            case "..":
                return Range(left, right, position)
            case "and" | "&&" | "or" | "||" | "??":
                lazy = operators.SHORTCUTS[sign.text]
                is_fallback = sign.text == "??"
                made = syntax.Shortcut(
                    lazy.settled, lazy.finish, left, right, is_fallback, position
                )
                self._fallback = made if is_fallback else None
                return made
            case other:
                return syntax.Binary(operators.EAGER[other], left, right, position)

    def _comparisons(self, sign: Token, left: Node, power: Power) -> Node:
        """`a < b < c` means `a < b and b < c`."""
        both = operators.SHORTCUTS["and"]
        whole: Node | None = None
        while True:
            right = self.expression(power.right)
            link = self._binary(sign, left, right)
            if whole is None:
                whole = link
            else:
                whole = syntax.Shortcut(
                    both.settled, both.finish, whole, link, position=sign.position
                )
            if not self.token.is_operator(*operators.COMPARISONS):
                return whole
            sign, left = self.take(), right

    def _let(self) -> Node:
        position = self.take().position
        name = self._name()
        if name in self._names or name in LOOPS or name in library.BUILTINS:
            raise Fault(f"cannot redeclare {name}", position=position)
        self.expect("=")
        value = self.expression(0)
        self.expect(";")
        outer = self._names
        self._names = (*outer, name)
        inside = self.whole()
        self._names = outer
        return syntax.Let(name, value, inside, position)

    def _if(self) -> Node:
        position = self.take().position
        condition = self.expression(0)
        then = self._block()
        self.expect("else")
        otherwise = self._if() if self.token.is_operator("if") else self._block()
        return syntax.Conditional(condition, then, otherwise, position)

    def _block(self) -> Node:
        self.expect("{")
        inside = self.whole()
        self.expect("}")
        return inside

    def _ternary(self, condition: Node) -> Node:
        while self.token.is_operator("?"):
            position = self.take().position
            then = condition
            if not self.accept(":"):
                then = self.expression(0)
                self.expect(":")
            condition = syntax.Conditional(condition, then, self.expression(0), position)
        return condition

    def operand(self) -> Node:
        token = self.token
        if token.kind is Kind.OPERATOR and token.text in operators.PREFIX_POWERS:
            self.take()
            inside = self.expression(operators.PREFIX_POWERS[token.text])
            apply = operators.PREFIXES[token.text]
            return self._postfix(syntax.Unary(apply, inside, token.position))
        if self.accept("("):
            inside = self.whole()
            self.expect(")")
            self._fallback = None
            return self._postfix(inside)
        if self._closures and token.is_operator("#", "."):
            return self._postfix(self._pointer())
        if self.accept("::"):
            return self._postfix(self._call(self.take()))
        return self._simple()

    def _simple(self) -> Node:
        token = self.token
        match token.kind:
            case Kind.NUMBER:
                self.take()
                return Literal(token.value)
            case Kind.TEXT:
                self.take()
                return self._postfix(Literal(token.value))
            case Kind.NAME:
                return self._named()
            case _ if token.is_operator("["):
                return self._postfix(self._array())
            case _ if token.is_operator("{"):
                return self._postfix(self._map())
            case _:
                raise self.unexpected()

    def _named(self) -> Node:
        token = self.take()
        if self.token.is_operator("(") and token.text not in _CONSTANTS:
            return self._postfix(self._call(token))
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text])
        if token.text == "sprig" and self.token.is_operator("."):
            self.take()
            name = self.take()
            function = library.SPRIG.get(name.text)
            if function is None or not self.token.is_operator("("):
                raise Fault(f"sprig has no function {name.text} here", position=name.position)
            return self._postfix(self._call_of(function, name, ()))
        return self._postfix(Name(token.text, token.position))

    def _pointer(self) -> Node:
        position = self.token.position
        name = ""
        if self.accept("#") and self.token.kind is Kind.NAME:
            name = self.take().text
        if name and name not in POINTERS.get(self._closures[-1], ()):
            raise Fault(f"unknown pointer #{name}", position=position)
        return Pointer(name, position)

    def _postfix(self, node: Node) -> Node:
        while self.token.is_operator(".", "?.", "["):
            sign = self.take()
            if sign.text == "[":
                node = self._index(node, sign, is_optional=False)
            elif sign.text == "?." and self.token.is_operator("["):
                node = syntax.Chain(self._index(node, self.take(), is_optional=True))
            else:
                node = self._member(node, sign)
        return node

    def _member(self, base: Node, sign: Token) -> Node:
        is_optional = sign.text == "?."
        in_chain = isinstance(base, syntax.Chain)
        inner = base.inside if isinstance(base, syntax.Chain) else base
        position = self.token.position
        name = self._name(is_member=True)
        made: Node
        if self.token.is_operator("("):
            arguments = self._arguments()
            made = syntax.Method(inner, name, arguments, library.METHODS, is_optional, position)
        else:
            made = Member(inner, Literal(name), is_optional, position)
        return syntax.Chain(made) if in_chain or is_optional else made

    def _index(self, base: Node, sign: Token, *, is_optional: bool) -> Node:
        start = None if self.token.is_operator(":") else self.expression(0)
        if self.accept(":"):
            stop = None if self.token.is_operator("]") else self.expression(0)
            self.expect("]")
            return syntax.Slice(base, start, stop, sign.position)
        self.expect("]")
        if start is None:
            raise self.unexpected()
        return Member(base, start, is_optional, sign.position)

    def _name(self, *, is_member: bool = False) -> str:
        token = self.take()
        if token.kind is Kind.NAME or (is_member and token.text in WORDS):
            return token.text
        raise Fault(f"expected a name, not {token}", position=token.position)

    def _piped(self, value: Node) -> Node:
        name = self.token
        self._name()
        return self._call(name, value)

    def _call(self, name: Token, *first: Node) -> Node:
        if name.text in LOOPS:
            return self._loop(name, first)
        function = library.BUILTINS.get(name.text) or library.ARGO.get(name.text)
        if function is None:
            raise Fault(f"unknown function {name.text}", position=name.position)
        return self._call_of(function, name, first)

    def _call_of(self, function: Function, name: Token, first: tuple[Node, ...]) -> Node:
        arguments = (*first, *self._arguments())
        try:
            function.check_count(len(arguments))
        except Fault as fault:
            raise fault.at(name.position) from None
        return syntax.Call(function, arguments, name.position)

    def _arguments(self) -> tuple[Node, ...]:
        self.expect("(")
        return self._list(")")

    def _array(self) -> Node:
        self.expect("[")
        return syntax.Array(self._list("]"))

    def _list(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self.accept(end):
            if items:
                self.expect(",")
                if self.accept(end):
                    break
            items.append(self.expression(0))
        return tuple(items)

    def _map(self) -> Node:
        position = self.expect("{").position
        pairs: list[tuple[Node, Node]] = []
        while not self.accept("}"):
            if pairs:
                self.expect(",")
                if self.accept("}"):
                    break
            key = self._key()
            self.expect(":")
            pairs.append((key, self.expression(0)))
        return syntax.Map(tuple(pairs), position)

    def _key(self) -> Node:
        token = self.token
        if token.is_operator("("):
            return self.expression(0)
        self.take()
        match token.kind:
            case Kind.TEXT:
                return Literal(token.value)
            case Kind.NAME | Kind.NUMBER:
                return Literal(token.text)
            case _:
                raise Fault(
                    f"a key must be a name, a string, or an expression in parentheses, not {token}",
                    position=token.position,
                )

    def _loop(self, name: Token, first: tuple[Node, ...]) -> Node:
        self.expect("(")
        source = first[0] if first else self.expression(0)
        start = self.index
        body: Node = Pointer("")
        if name.text not in WITHOUT_CLOSURE or not self.token.is_operator(")"):
            if not first:
                self.expect(",")
            body = self._closure(name.text)
        size = 1 + self.index - start
        extra = None
        if name.text in WITH_EXTRA and self.accept(",") and not self.token.is_operator(")"):
            extra = self.expression(0)
        self.accept(",")
        self.expect(")")
        return Loop(name.text, source, body, size, extra, name.position)

    def _closure(self, loop: str) -> Node:
        outer = self._closures
        self._closures = (*outer, loop)
        inside = self._block() if self.token.is_operator("{") else self.expression(0)
        self._closures = outer
        return inside


def _check_pattern(pattern: str, position: int) -> None:
    try:
        regex.compile_pattern(pattern)
    except Fault as fault:
        raise fault.at(position) from None
