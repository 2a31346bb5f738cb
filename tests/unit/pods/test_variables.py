from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.pods import spec, variables
from pressplay.pods.containers import Container


# The cases of Kubernetes' own documentation and of its expansion tests.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "a"),
        ("x$(A)y$(B)z", "xaybz"),
        ("$(NO)", "$(NO)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$a"),
        ("$$$$(A)", "$$(A)"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
        ("$", "$"),
        ("$$", "$"),
        ("$(A$(B))", "$(A$(B))"),
        ("$(LOOP)", "$(LOOP)"),
        ("$()", "$()"),
        ("no reference", "no reference"),
    ],
)
def test_references_are_expanded_once_as_kubernetes_does(text: str, expected: str) -> None:
    assert variables.expand(text, {"A": "a", "B": "b", "LOOP": "$(LOOP)"}) == expected


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_text_without_a_dollar_is_never_touched(text: str, known: dict[str, str]) -> None:
    plain = text.replace("$", "")
    assert variables.expand(plain, known) == plain


@given(st.text())
def test_doubled_dollars_protect_any_text(text: str) -> None:
    assert variables.expand(text.replace("$", "$$"), {"A": "a"}) == text


def container(**fields: list[str]) -> Container:
    pod = {"containers": [{"name": "main", **fields}]}
    return spec.parse_pod(pod, name="p", namespace="n", uid="u", labels={}).containers[0]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("entry", "default")),
        ({"args": ["own"]}, ("entry", "own")),
        ({"command": ["cmd"]}, ("cmd",)),
        ({"command": ["cmd"], "args": ["own"]}, ("cmd", "own")),
    ],
)
def test_command_and_arguments_replace_the_images(
    fields: dict[str, list[str]], expected: tuple[str, ...]
) -> None:
    command = variables.command_line(
        container(**fields), {}, entrypoint=("entry",), arguments=("default",)
    )
    assert command == expected


@pytest.mark.parametrize("text", ["a\0b", "lone surrogate \ud800"])
def test_text_that_no_program_can_be_given_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="The command line"):
        variables.command_line(
            container(command=["$(A)"]), {"A": text}, entrypoint=(), arguments=()
        )
