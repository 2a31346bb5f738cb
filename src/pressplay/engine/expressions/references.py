"""Which variables an expression names, found without evaluating it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pressplay.engine.expressions.syntax import Chain, Let, Literal, Member, Name, Node, Shortcut


@dataclass(frozen=True)
class Reference:
    """A variable with the members asked of it, such as `inputs.parameters.x`.

    `is_guarded` says that the expression provides for its absence, by `??` or `?.`.
    """

    path: tuple[str, ...]
    is_guarded: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.path)


def references(node: Node) -> tuple[Reference, ...]:
    """All of them, in the order of the text, each once."""
    return tuple(dict.fromkeys(_walk(node, frozenset(), guarded=False)))


def _walk(node: Node, local: frozenset[str], *, guarded: bool) -> Iterator[Reference]:
    match node:
        case Name():
            if node.name not in local:
                yield Reference((node.name,), guarded)
        case Member():
            yield from _member(node, local, guarded=guarded)
        case Let():
            yield from _walk(node.value, local, guarded=guarded)
            yield from _walk(node.inside, local | {node.name}, guarded=guarded)
        case Chain():
            yield from _walk(node.inside, local, guarded=True)
        case Shortcut():
            yield from _walk(node.left, local, guarded=guarded or node.is_fallback)
            yield from _walk(node.right, local, guarded=guarded)
        case _:
            for each in node.children():
                yield from _walk(each, local, guarded=guarded)


def _member(node: Member, local: frozenset[str], *, guarded: bool) -> Iterator[Reference]:
    """The longest path from a variable, and what stands in brackets on the way."""
    path: list[str] = []
    inside: list[Node] = []
    current: Node = node
    while isinstance(current, Member):
        if isinstance(current.key, Literal) and isinstance(current.key.value, str):
            path.append(current.key.value)
        else:
            path.clear()
            inside.append(current.key)
        current = current.base
    if isinstance(current, Name):
        if current.name not in local:
            yield Reference((current.name, *reversed(path)), guarded)
    else:
        yield from _walk(current, local, guarded=guarded)
    for each in reversed(inside):
        yield from _walk(each, local, guarded=False)
