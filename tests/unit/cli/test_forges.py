"""Addresses of repositories, and what is remembered of a forge."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.base.errors import Refused
from pressplay.cli import forges, run
from pressplay.cli.origins import Asked, IssueText
from pressplay.server import standing
from pressplay.server.standing import ForgeSettings


@pytest.mark.parametrize(
    ("address", "server", "api", "owner", "name"),
    [
        (
            "https://github.com/acme/shop",
            "https://github.com",
            "https://api.github.com",
            "acme",
            "shop",
        ),
        (
            "https://github.com/acme/shop.git",
            "https://github.com",
            "https://api.github.com",
            "acme",
            "shop",
        ),
        (
            "https://GIT.example.org:8443/a-b/c.d/",
            "https://git.example.org:8443",
            "https://git.example.org:8443/api/v3",
            "a-b",
            "c.d",
        ),
        (
            "http://127.0.0.1:4711/operator/app",
            "http://127.0.0.1:4711",
            "http://127.0.0.1:4711/api/v3",
            "operator",
            "app",
        ),
    ],
)
def test_an_address_is_read(address: str, server: str, api: str, owner: str, name: str) -> None:
    place = forges.read_place(address)
    assert (place.server_url, place.owner, place.name) == (server, owner, name)
    assert forges.api_url(place.server_url) == api


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/acme",
        "https://github.com/acme/shop/issues/1",
        "https://github.com/acme/..",
        "https://user:hunter22@github.com/acme/shop",
        "git@github.com:acme/shop.git",
        "ssh://git@github.com/acme/shop",
        "https://../acme/shop",
        "https://github.com/acme/shop?x=1",
    ],
)
def test_what_is_no_address_is_refused_with_the_form(address: str) -> None:
    assert forges.is_address(address)
    with pytest.raises(Refused, match="write https://HOST/OWNER/NAME") as refused:
        forges.read_place(address)
    assert "hunter22" not in str(refused.value)


def test_tokens_do_not_travel_over_plain_http() -> None:
    with pytest.raises(Refused, match=r"write https://git\.example\.org"):
        forges.read_place("http://git.example.org/a/b")
    with pytest.raises(Refused, match="plain http"):
        forges.read_server("http://127.0.0.1.example.org")
    assert forges.read_server("http://localhost:1/") == "http://localhost:1"


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_is_refused(text: str) -> None:
    try:
        place = forges.read_place(text)
    except Refused:
        return
    assert place.server_url.startswith(("http://", "https://"))


def test_each_forge_has_a_state_folder_of_its_own(tmp_path: Path) -> None:
    found = forges.state_folder(tmp_path, "http://127.0.0.1:4711")
    assert found == tmp_path / "forges" / "127.0.0.1_4711"


def test_apps_must_be_given_the_first_time_and_one_folder_serves_one_forge(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="give --apps DIR the first time: a folder with one folder"):
        forges.remember(tmp_path, "https://github.com", apps=None)
    assert list(tmp_path.iterdir()) == []
    known = ForgeSettings("https://github.com", "https://api.github.com", "/keys", "acme-qa")
    standing.write_forge(tmp_path, known)
    assert standing.read_forge(tmp_path) == known
    with pytest.raises(Refused, match=r"belongs to https://github\.com"):
        forges.remember(tmp_path, "https://git.example.org", apps=None)


def test_a_damaged_memory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "forge.json").write_text("{")
    with pytest.raises(Refused, match="give `--apps DIR` again"):
        standing.read_forge(tmp_path)


def test_a_run_is_about_exactly_one_thing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").write_text("Seven\n")
    assert run.read_subject("#12", None) == Asked(issue=12)
    assert run.read_subject("12", None) == Asked(issue=12)
    assert run.read_subject("7", None) == Asked(text=IssueText("Seven", ""))
    assert run.read_subject(None, 3) == Asked(pr=3)
    for issue, pr in ((None, None), ("7", 3)):
        with pytest.raises(Refused, match="Give one of --issue FILE"):
            run.read_subject(issue, pr)
    for issue in ("no-file.md", "0", "-1", "٣", "9" * 20):
        with pytest.raises(Refused, match="give a file or an issue's number"):
            run.read_subject(issue, None)
