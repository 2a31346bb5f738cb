"""What is said of previews, and to whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pressplay.base.errors import Refused, Unavailable
from pressplay.cli import preview as verbs
from pressplay.cli import previewing, standing_previews
from pressplay.cli.standing_previews import Preview
from pressplay.server.standing import Address

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SEVEN = Preview(
    pr=7,
    repository="acme/todo",
    namespace="impl-pr-7",
    host="pr-7.preview.localhost",
    connect="127.0.0.1:4711",
    is_ready=True,
    created="2026-01-01T11:00:00Z",
    expires="2026-01-02T11:00:00Z",
    run="validate-r1-pr7-aaaaaaaaaa",
    sha="a" * 40,
    server=Address(pid=1, kube_url="http://127.0.0.1:1", forge_url="", operator_token="t"),
)
TWIN = replace(SEVEN, repository="acme/shop")


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> list[Preview]:
    """What the servers have."""
    found = [SEVEN]
    monkeypatch.setattr(standing_previews, "read", lambda _state, *, repo: found)
    return found


def test_its_address_names_host_and_port_so_that_a_browser_finds_it() -> None:
    assert SEVEN.url == "http://pr-7.preview.localhost:4711/"
    assert replace(SEVEN, connect="").url == ""


def test_as_json_it_says_how_long_it_has_been_and_will_be() -> None:
    found = SEVEN.to_json(now=NOW)
    assert (found["ageSeconds"], found["expiresInSeconds"]) == (3600, 23 * 3600)
    assert (found["pr"], found["ready"], found["run"]) == (7, True, SEVEN.run)
    assert "operator_token" not in str(found)


@pytest.mark.parametrize("expires", ["", "soon", "2026-01-02T11:00:00", "2025-01-01T00:00:00Z"])
def test_one_whose_end_nobody_can_read_ends_now_as_the_server_sees_it(expires: str) -> None:
    assert replace(SEVEN, expires=expires).left_s(NOW) == 0


def test_an_unknown_pull_request_is_told_which_previews_there_are(standing: list[Preview]) -> None:
    with pytest.raises(
        Refused, match=r"Pull request 8 has no preview\. There are: 7 \(acme/todo\)"
    ):
        previewing.find(Path("/nowhere"), 8, repo="")
    standing.clear()
    with pytest.raises(Refused, match=r"8 of acme/x has no preview, and no other has"):
        previewing.find(Path("/nowhere"), 8, repo="acme/x")


def test_one_number_in_two_repositories_needs_to_be_told_apart(standing: list[Preview]) -> None:
    standing.append(TWIN)
    with pytest.raises(Refused, match="in each of acme/todo, acme/shop; say which with --repo"):
        previewing.find(Path("/nowhere"), 7, repo="")


@pytest.mark.parametrize("repo", ["todo", "a/b/c", "/todo/"])
def test_what_is_no_repository_is_refused(tmp_path: Path, repo: str) -> None:
    with pytest.raises(Refused, match="write OWNER/NAME, or https://HOST/OWNER/NAME"):
        standing_previews.read(tmp_path, repo=repo)


@pytest.mark.parametrize("repo", ["", "acme/todo", "https://github.com/acme/todo"])
def test_without_a_server_it_says_how_to_start_one_and_what_comes_back(
    tmp_path: Path, repo: str
) -> None:
    (tmp_path / "forges" / "github.com").mkdir(parents=True)
    with pytest.raises(Unavailable, match="`pressplay up` starts it; previews whose time has not"):
        standing_previews.read(tmp_path, repo=repo)
    assert previewing.numbers(tmp_path) == []


@pytest.mark.parametrize("number", ["seven", "-1", "٧", "1" * 30, ""])  # noqa: RUF001 - a digit that is none here
def test_what_is_no_number_is_refused_before_anything_is_asked(number: str) -> None:
    done = CliRunner().invoke(verbs.command, ["open", "--", number])
    assert done.exit_code == 2
    assert "is no pull request's number" in done.output


def test_the_number_may_be_written_as_forges_write_it(
    standing: list[Preview], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[Any] = []
    monkeypatch.setattr(previewing, "wait", lambda found, **_: waited.append(found))
    done = CliRunner().invoke(verbs.command, ["open", "#7"])
    assert (done.exit_code, done.output) == (0, f"{SEVEN.url}\n")
    assert waited == standing


def test_without_a_browser_the_address_is_still_printed(
    standing: list[Preview], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(previewing, "wait", lambda *_, **__: None)

    def browse(url: str) -> bool:
        opened.append(url)
        return False

    monkeypatch.setattr(previewing, "browse", browse)
    done = CliRunner().invoke(verbs.command, ["open", "7", "--browser"])
    assert (done.exit_code, opened) == (0, [standing[0].url])
    assert "open the address yourself" in done.output


def test_nothing_is_destroyed_unasked(
    standing: list[Preview], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[Preview] = []
    monkeypatch.setattr(previewing, "destroy", gone.append)
    done = CliRunner().invoke(verbs.command, ["destroy", "7"])
    assert isinstance(done.exception, Refused)
    assert "say so with --yes" in str(done.exception)
    assert gone == []
    done = CliRunner().invoke(verbs.command, ["destroy", "7", "--yes"])
    assert (done.exit_code, gone) == (0, standing)


def test_a_life_beyond_the_longest_is_refused_with_what_is_left() -> None:
    with pytest.raises(Refused, match=r"at most 30d from now on, so 30d more is possible"):
        previewing.extend(SEVEN, "31d")


def test_one_that_does_not_answer_is_named_with_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing_previews, "read_again", lambda found: found)
    with pytest.raises(Unavailable, match=f"`pressplay workflow get {SEVEN.run}`"):
        previewing.wait(replace(SEVEN, connect=""), timeout_s=0)
