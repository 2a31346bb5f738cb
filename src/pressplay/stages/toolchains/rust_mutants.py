"""Mutants of Rust source: small changes that a test of the changed lines should notice.

Made of tokens and not of a syntax tree, so some do not compile; whoever runs them finds out. What
is no behaviour is left alone: comments, strings, attributes, types as far as their look tells them
apart, and everything that only exists for tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pressplay.stages.toolchains import rust_lexing
from pressplay.stages.toolchains.port import Mutant
from pressplay.stages.toolchains.rust_lexing import Kind, NotRust, Token

_COMPARISONS = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_ARITHMETIC = {
    sign + end: other + end for sign, other in ("+-", "-+", "*/", "/*", "%*") for end in ("", "=")
}
_CONNECTIVES = {"&&": "||", "||": "&&"}
_OPERATORS: tuple[tuple[dict[str, str], str], ...] = (
    (_COMPARISONS, "negate the comparison"),
    (_ARITHMETIC, "swap the operator"),
    (_CONNECTIVES, "swap and with or"),
)
_TRUTHS = {"true": "false", "false": "true"}

# A word that an operand cannot end with: after it a minus is a sign.
_NO_OPERANDS = frozenset(
    (
        *("as", "break", "const", "else", "enum", "extern", "fn", "for", "if", "impl", "in"),
        *("let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "static"),
        *("struct", "trait", "type", "unsafe", "use", "where", "while", "yield"),
    )
)
_NO_STATEMENTS = _NO_OPERANDS | {"continue", "macro_rules", "async", "dyn", "crate", "union"}
_SUFFIXES = tuple(f"{sign}{size}" for sign in "ui" for size in (8, 16, 32, 64, 128, "size"))


@dataclass(frozen=True)
class _Edit:
    """Put `text` in the place of the code tokens from `first` to `last`."""

    first: int
    last: int
    what: str
    text: str


def mutants(path: str, text: str, *, lines: frozenset[int]) -> Iterator[Mutant]:
    """Mutants of what stands wholly on one of `lines`, in the order of the file; none if it is no
    Rust. Every other line stays as it is.
    """
    try:
        tokens = rust_lexing.tokens(text)
    except NotRust:
        return
    source = _Source(tokens)
    for edit in source.edits():
        places = source.places[edit.first], source.places[edit.last]
        line = tokens[places[0]].line
        if line not in lines or tokens[places[1]].last_line != line:
            continue
        before = "".join(token.text for token in tokens[: places[0]])
        after = "".join(token.text for token in tokens[places[1] + 1 :])
        yield Mutant(path=path, line=line, what=edit.what, text=before + edit.text + after)


class _Source:
    """The code tokens of a file, what lies between them forgotten except that something does."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self.places = [index for index, token in enumerate(tokens) if token.is_code]
        self.code = [tokens[index] for index in self.places]

    def edits(self) -> Iterator[_Edit]:
        """Every edit, in the order of the file."""
        index = 0
        while index < len(self.code):
            beyond = self._beyond_untouched(index)
            if beyond > index:
                index = beyond
                continue
            yield from self._at(index)
            index += 1

    def _at(self, index: int) -> Iterator[_Edit]:
        token = self.code[index]
        match token.kind:
            case Kind.SIGN:
                yield from self._of_operator(index, token.text)
            case Kind.NUMBER:
                yield from self._of_number(index, token.text)
            case Kind.WORD:
                yield from self._of_statement(index)
                yield from self._of_word(index, token.text)
            case _:
                return

    def _of_operator(self, index: int, text: str) -> Iterator[_Edit]:
        # Formatted code has space around binary operators, and none beside those of types.
        if not (self._is_after_operand(index) and self._has_space_around(index)):
            return
        if any(each.kind is Kind.LIFETIME for each in self.code[index + 1 : index + 2]):
            return
        for table, what in _OPERATORS:
            if text in table:
                yield _Edit(index, index, what, table[text])

    def _of_number(self, index: int, text: str) -> Iterator[_Edit]:
        # Behind a dot it is no number but a field.
        other = None if self._text(index - 1) == "." else _other_number(text)
        if other is not None:
            yield _Edit(index, index, "alter the constant", other)

    def _of_word(self, index: int, text: str) -> Iterator[_Edit]:
        if text in _TRUTHS:
            yield _Edit(index, index, "alter the constant", _TRUTHS[text])
        elif text in ("if", "while"):
            yield from self._of_condition(index)
        elif text == "return":
            yield from self._of_return(index)
        elif text == "Some" and self._text(index + 1) == "(":
            end = rust_lexing.closing(self.code, index + 1)
            # In a pattern, what is bound there would be missing.
            if end is not None and self._text(end + 1) not in ("=", "=>", "|", "if"):
                yield _Edit(index, end, "return None", "None")

    def _of_condition(self, index: int) -> Iterator[_Edit]:
        end = self._find(index + 1, "{")
        if end is None or end == index + 1:
            return
        condition = self.code[index + 1 : end]
        if any(token.text in ("let", ";") for token in condition):
            return
        text = self._between(index + 1, end - 1)
        yield _Edit(index + 1, end - 1, "negate the condition", f"!({text})")

    def _of_return(self, index: int) -> Iterator[_Edit]:
        end = self._find(index + 1, ";")
        if end is not None and end > index + 1:
            default = "Default::default()"
            if self._between(index + 1, end - 1) != default:
                yield _Edit(index + 1, end - 1, "return the default", default)

    def _of_statement(self, index: int) -> Iterator[_Edit]:
        """Drop a call or an assignment that stands alone between braces and semicolons."""
        if self._text(index - 1) not in ("{", "}", ";") or self.code[index].text in _NO_STATEMENTS:
            return
        end = self._find(index, ";")
        if end is None or end == index or self._text(index + 1) in (":", ";"):
            return
        yield _Edit(index, end, "drop the statement", "{}")

    def _find(self, start: int, wanted: str) -> int | None:
        """The first such sign outside of all brackets that open after `start`."""
        index = start
        while index < len(self.code):
            token = self.code[index]
            if token.kind is Kind.SIGN:
                if token.text == wanted:
                    return index
                if token.text in ")]}":
                    return None
                if token.text in "([{":
                    end = rust_lexing.closing(self.code, index)
                    if end is None:
                        return None
                    index = end
            index += 1
        return None

    def _beyond_untouched(self, index: int) -> int:
        """The index after what begins here and is left alone; `index` itself if nothing does."""
        text = self.code[index].text
        if text == "#" and self._text(index + 1) in ("[", "!"):
            return self._beyond_attribute(index)
        if text in ("use", "macro_rules"):
            end = self._find(index, ";" if text == "use" else "{")
            if end is None:
                return index
            return end + 1 if text == "use" else self._beyond_bracket(end)
        return index

    def _beyond_attribute(self, index: int) -> int:
        bracket = index + 1 + (self._text(index + 1) == "!")
        end = rust_lexing.closing(self.code, bracket) if self._text(bracket) == "[" else None
        if end is None:
            return index + 1
        if not _is_of_tests([token.text for token in self.code[bracket + 1 : end]]):
            return end + 1
        return self._beyond_item(end + 1)

    def _beyond_item(self, index: int) -> int:
        """After an item: its braces, or the semicolon of one that has none."""
        body, last = self._find(index, "{"), self._find(index, ";")
        if last is not None and (body is None or last < body):
            return last + 1
        return len(self.code) if body is None else self._beyond_bracket(body)

    def _beyond_bracket(self, index: int) -> int:
        end = rust_lexing.closing(self.code, index)
        return len(self.code) if end is None else end + 1

    def _is_after_operand(self, index: int) -> bool:
        if index == 0:
            return False
        before = self.code[index - 1]
        if before.kind is Kind.SIGN:
            return before.text in (")", "]", "?", "}")
        return before.kind is not Kind.LIFETIME and before.text not in _NO_OPERANDS

    def _has_space_around(self, index: int) -> bool:
        place = self.places[index]
        around = (place - 1, place + 1)
        return all(
            0 <= each < len(self._tokens) and not self._tokens[each].is_code for each in around
        )

    def _text(self, index: int) -> str:
        return self.code[index].text if 0 <= index < len(self.code) else ""

    def _between(self, first: int, last: int) -> str:
        places = self.places[first], self.places[last]
        return "".join(token.text for token in self._tokens[places[0] : places[1] + 1])


def _is_of_tests(words: Sequence[str]) -> bool:
    """`#[test]`, `#[tokio::test]`, `#[cfg(test)]`, and what also asks for other things."""
    if words[:2] == ["cfg", "("]:
        return "test" in words and "not" not in words
    return words[-1:] == ["test"] or ("test" in words and "(" in words[words.index("test") :][:2])


def _other_number(text: str) -> str | None:
    """The next one, in the same type; None for what is written in a way that is rarely a number."""
    suffix = next((each for each in _SUFFIXES if text.endswith(each)), "")
    digits = text.removesuffix(suffix).replace("_", "") if suffix else text.replace("_", "")
    if text.startswith(("0x", "0o", "0b")):
        return f"{int(digits, 0) + 1:#x}{suffix}"
    if digits.isdecimal():
        return f"{int(digits) + 1}{suffix}"
    whole, dot, rest = text.partition(".")
    return f"{int(whole.replace('_', '')) + 1}{dot}{rest}" if dot else None
