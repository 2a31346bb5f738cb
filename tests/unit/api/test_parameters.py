"""What a parameter may be, and what is refused with which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.api import parameters
from pressplay.base.errors import Refused


def complaint(name: str, value: str) -> str:
    with pytest.raises(Refused) as caught:
        parameters.check(name, value)
    return str(caught.value)


@pytest.mark.parametrize("app", ["rex", "clippy", "qa", "triage", "security"])
def test_every_app_of_the_contract_is_known(app: str) -> None:
    assert parameters.check("github-app", app) == app


def test_an_unknown_app_is_refused_in_the_agreed_words() -> None:
    assert complaint("github-app", "invalid-app") == (
        "Error: Invalid github-app 'invalid-app'. Must be one of: rex, clippy, qa, triage, security"
    )


def test_the_app_is_the_one_parameter_that_may_not_be_empty() -> None:
    assert "Invalid github-app ''" in complaint("github-app", "")
    assert parameters.check("owner", "") == ""


def test_agent_is_an_older_name_of_the_app() -> None:
    assert parameters.github_app("", alias="qa") == "qa"
    assert parameters.github_app("qa", alias="qa") == "qa"
    assert parameters.check("agent", "rex") == "rex"


def test_app_and_its_older_name_must_not_differ() -> None:
    with pytest.raises(Refused, match="differ; give one"):
        parameters.github_app("rex", alias="qa")


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("owner", "acme-Corp_1", "acme-Corp_1"),
        ("repo", "todo.app_2", "todo.app_2"),
        ("repo", ".github", ".github"),
        ("subject", "issue-7", "issue-7"),
        ("subject", "sha-0123456789", "sha-0123456789"),
        ("pr", "12", "12"),
        ("ref", "refs/heads/feature/x", "feature/x"),
        ("branch", "refs/heads/main", "main"),
        ("sha", "A" * 40, "a" * 40),
        ("commit", "b" * 40, "b" * 40),
        (
            "deliveryId",
            "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        ),
        ("taskId", "15.3", "15.3"),
        ("taskRef", "docs/api-guide", "docs/api-guide"),
        ("includeComments", "true", "true"),
        ("attempt", "3", "3"),
        ("domain", "preview.localhost", "preview.localhost"),
        ("chartPath", "charts/app", "charts/app"),
        ("imageTag", "pr-7", "pr-7"),
        ("event", '{"a": 1}', '{"a": 1}'),
    ],
)
def test_fitting_values_pass_in_their_plain_form(name: str, value: str, plain: str) -> None:
    assert parameters.check(name, value) == plain


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("owner", "a/b"),
        ("owner", "a" * 40),
        ("owner", "acme\n"),
        ("repo", ".."),
        ("repo", "a b"),
        ("subject", "pr-"),
        ("subject", "pr-7;rm"),
        ("pr", "0"),
        ("pr", "-1"),
        ("pr", "\u0667"),
        ("ref", "-delete"),
        ("ref", "a..b"),
        ("ref", "a//b"),
        ("ref", "x.lock"),
        ("ref", "x/"),
        ("ref", "$(id)"),
        ("ref", "a" * 201),
        ("sha", "abc"),
        ("sha", "g" * 40),
        ("taskId", "/etc/passwd"),
        ("taskRef", "a/../b"),
        ("includeComments", "yes"),
        ("attempt", "4"),
        ("deliveryId", "1234"),
        ("domain", "-x.example"),
        ("chartPath", "../charts"),
        ("imageTag", "-x"),
        ("nonsense", "x"),
    ],
)
def test_unfit_values_are_refused_by_the_parameters_name(name: str, value: str) -> None:
    assert name in complaint(name, value)


@pytest.mark.parametrize("name", ["owner", "ref", "event", "github-app", "taskRef"])
def test_template_braces_are_refused_everywhere(name: str) -> None:
    assert "template text" in complaint(name, "x{{=1+1}}")


def test_a_long_event_is_refused_with_its_size() -> None:
    assert "8193 bytes" in complaint("event", "x" * 8193)


def test_a_refused_value_is_shown_short_and_on_one_line() -> None:
    told = complaint("ref", "x\n" * 500)
    assert "\n" not in told
    assert len(told) < 250


def test_a_repository_is_owner_and_name() -> None:
    assert parameters.repository("acme/todo") == ("acme", "todo")


@pytest.mark.parametrize("text", ["acme", "acme/", "/todo", "a/b/c", "a/.."])
def test_anything_else_is_no_repository(text: str) -> None:
    with pytest.raises(Refused):
        parameters.repository(text)


NAMES = st.sampled_from(
    ["owner", "repo", "subject", "pr", "ref", "sha", "taskId", "attempt", "domain", "chartPath"]
)


@given(name=NAMES, value=st.text(max_size=60))
def test_what_passes_is_harmless_in_a_path_and_on_a_command_line(name: str, value: str) -> None:
    try:
        plain = parameters.check(name, value)
    except Refused:
        return
    assert plain.isascii()
    assert not any(sign.isspace() or sign in "\"'$`;&|<>(){}*?!\\" for sign in plain)
    assert name in ("owner", "repo", "taskId") or not plain.startswith("-")
    assert ".." not in plain or name == "repo"


@given(name=NAMES, value=st.text(alphabet="abcdef0123456789./-_", max_size=45))
def test_checking_twice_changes_nothing(name: str, value: str) -> None:
    try:
        plain = parameters.check(name, value)
    except Refused:
        return
    assert parameters.check(name, plain) == plain
