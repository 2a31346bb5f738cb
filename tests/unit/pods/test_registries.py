from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.pods import registries
from pressplay.pods.registries import Registries

NOTHING = {"pip.conf": "", "npmrc": "", "cargo.toml": ""}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def read(home: Path, **variables: str) -> Registries:
    return registries.of_user(home, variables, etc=home / "etc")


def test_a_user_without_settings_adds_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) == Registries((), NOTHING, ())


def test_an_index_of_pips_is_taken_and_the_rest_of_its_settings_left(tmp_path: Path) -> None:
    write(tmp_path / "etc/pip.conf", "[global]\nindex-url = https://old.example/simple\n")
    write(
        tmp_path / ".config/pip/pip.conf",
        "[global]\ncert = /x.pem\nindex-url = https://pip.example:8443/simple\n"
        "[install]\nextra-index-url =\n    https://a.example/x\n    https://b.example/x\n",
    )
    found = read(tmp_path)
    assert found.hosts == ("pip.example:8443", "a.example", "b.example")
    assert found.files["pip.conf"] == (
        "[global]\nindex-url = https://pip.example:8443/simple\n"
        "extra-index-url = https://a.example/x https://b.example/x\n"
    )


def test_the_environment_counts_more_than_a_file(tmp_path: Path) -> None:
    write(tmp_path / ".config/pip/pip.conf", "[global]\nindex-url = https://a.example/\n")
    write(tmp_path / ".npmrc", "registry=https://b.example/\n")
    found = read(
        tmp_path, PIP_INDEX_URL="https://c.example/", NPM_CONFIG_REGISTRY="https://d.example:443/"
    )
    assert found.hosts == ("c.example", "d.example")


def test_npm_keeps_its_scopes_and_gives_no_token_away(tmp_path: Path) -> None:
    write(
        tmp_path / ".npmrc",
        "registry = 'https://npm.example/'\n@mine:registry=https://mine.example/npm/\n"
        "//mine.example/npm/:_authToken=npm_secret\nalways-auth=true\n",
    )
    found = read(tmp_path)
    assert found.hosts == ("npm.example", "mine.example")
    assert found.files["npmrc"] == (
        "registry=https://npm.example/\n@mine:registry=https://mine.example/npm/\n"
    )


def test_cargos_sources_are_taken(tmp_path: Path) -> None:
    config = (
        '[source.crates-io]\nreplace-with = "mirror"\n'
        '[source.mirror]\nregistry = "sparse+https://Crates.example/index/"\n'
        '[registries."our own"]\nindex = "https://git.example/index"\ntoken = "secret"\n'
        '[build]\nrustflags = ["-C", "x"]\n'
    )
    write(tmp_path / ".cargo/config.toml", config)
    found = read(tmp_path)
    assert found.hosts == ("crates.example", "git.example")
    taken = tomllib.loads(found.files["cargo.toml"])
    assert taken["source"] == tomllib.loads(config)["source"]
    assert taken["registries"] == {"our own": {"index": "https://git.example/index"}}
    assert set(taken) == {"source", "registries"}


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("https://me:secret@pip.example/", "pip.example needs a password"),
        ("https://token@pip.example/", "pip.example needs a password"),
        ("http://pip.example/", "is not https"),
        ("https://localhost/", "is not https"),
        ("file:///packages", "is not https"),
        ("https://pip.example/\x00", "is not https"),
    ],
)
def test_what_no_step_can_use_is_left_out_and_told(tmp_path: Path, address: str, why: str) -> None:
    found = read(tmp_path, PIP_INDEX_URL=address)
    assert found.files == NOTHING
    assert found.hosts == ()
    (said,) = found.left_out
    assert said.startswith("pip.conf: ")
    assert why in said
    assert "secret" not in said


def test_a_source_of_cargos_that_is_a_folder_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / ".cargo/config", '[source.mine]\ndirectory = "/vendor"\n')
    found = read(tmp_path)
    assert found.files == NOTHING
    assert found.left_out == (
        "cargo.toml: source mine is a folder of this machine, which no step sees",
    )


@pytest.mark.parametrize("text", ["[source", "source = 3", "[source]\nx = 1", "\x00"])
def test_broken_settings_of_a_user_stop_nothing(tmp_path: Path, text: str) -> None:
    write(tmp_path / ".cargo/config.toml", text)
    write(tmp_path / ".config/pip/pip.conf", "no section = 1\n")
    assert len(read(tmp_path).left_out) == 2


@given(st.text(max_size=60))
def test_whatever_an_address_is_only_a_plain_host_comes_out(address: str) -> None:
    found = registries.of_user(Path("/nowhere"), {"PIP_INDEX_URL": address}, etc=Path("/nowhere"))
    for host in found.hosts:
        assert "@" not in host
        assert host == host.lower()
