"""Start commands: found where there is no doubt, asked for where there is."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pressplay.api import policy
from pressplay.api.policy import Policy
from pressplay.base.errors import Refused
from pressplay.stages import starting
from pressplay.stages.starting import Read

CRATE = '[package]\nname = "shop"\nversion = "1.0.0"\n'
SERVER = 'let port = std::env::var("PORT").unwrap();\n'
SCRIPT = "import os\nport = int(os.environ['PORT'])\n"


def reader(files: Mapping[str, str]) -> Read:
    return lambda path: files[path].encode() if path in files else None


def filled(files: Mapping[str, str], rules: Policy = policy.DEFAULT) -> tuple[str, ...]:
    return starting.fill(rules, reader(files)).preview.process.command


@pytest.mark.parametrize(
    ("files", "command", "build"),
    [
        (
            {"Cargo.toml": CRATE, "src/main.rs": SERVER},
            ("target/release/shop",),
            ("cargo", "build", "--release"),
        ),
        (
            {
                "Cargo.toml": f'{CRATE}[[bin]]\nname = "serve"\npath = "src/serve.rs"\n',
                "src/serve.rs": SERVER,
            },
            ("target/release/serve",),
            ("cargo", "build", "--release"),
        ),
        ({"app.py": SCRIPT}, ("python3", "app.py"), ()),
        (
            {"main.py": SCRIPT, "requirements.txt": "attrs\n"},
            (".venv/bin/python", "main.py"),
            ("sh", "-c", "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"),
        ),
    ],
)
def test_a_server_that_asks_for_its_port_is_found(
    files: Mapping[str, str], command: tuple[str, ...], build: tuple[str, ...]
) -> None:
    found = starting.fill(policy.DEFAULT, reader(files)).preview.process
    assert (found.command, found.build) == (command, build)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"app.py": "print('hello')\n"},
        {"app.py": SCRIPT, "pyproject.toml": '[project]\nname = "a"\ndependencies = ["b"]\n'},
        {"Cargo.toml": CRATE, "src/main.rs": "fn main() {}\n"},
        {"Cargo.toml": CRATE, "src/lib.rs": SERVER},
        {"Cargo.toml": f"{CRATE}[workspace]\n", "src/main.rs": SERVER},
        {"Cargo.toml": f'{CRATE}[[bin]]\nname="a"\n[[bin]]\nname="b"\n', "src/main.rs": SERVER},
        {"Cargo.toml": '[package]\nname = "../x"\n', "src/main.rs": SERVER},
        {"Cargo.toml": f'{CRATE}[[bin]]\npath = "../up.rs"\n', "../up.rs": SERVER},
        {"Cargo.toml": "[package\n", "src/main.rs": SERVER},
    ],
)
def test_where_there_is_a_doubt_nothing_is_guessed(files: Mapping[str, str]) -> None:
    assert filled(files) == ()


def test_what_the_policy_says_is_left_as_it_is() -> None:
    rules = policy.parse("version: 1\npreview: {process: {command: [./mine]}}\n", source="p")
    assert filled({"app.py": SCRIPT}, rules) == ("./mine",)
    helm = policy.parse("version: 1\npreview: {deployer: helm}\n", source="p")
    assert filled({"app.py": SCRIPT}, helm) == ()


@pytest.mark.parametrize("marker", [*starting.EXAMPLES, "README.md"])
def test_the_example_in_a_refusal_fits_the_language_and_is_a_policy(marker: str) -> None:
    with pytest.raises(Refused, match=r"no preview\.process\.command") as caught:
        starting.check_deployable(policy.DEFAULT, reader({marker: "x"}))
    written = re.search(r"`(.*?)`", str(caught.value))
    assert written is not None
    read = policy.parse(f"version: 1\n{written[1]}\n", source="example")
    assert read.preview.process.command
    assert read.preview.process.ready == "/"
    expected = starting.EXAMPLES.get(marker, starting.PLAIN_EXAMPLE)
    assert expected in written[1]
    starting.check_deployable(read)


def test_a_deployer_that_is_not_there_is_refused() -> None:
    rules = policy.parse("version: 1\npreview: {deployer: helm}\n", source="p")
    with pytest.raises(Refused, match=r"set preview\.deployer to process"):
        starting.check_deployable(rules)


@pytest.mark.parametrize(
    ("files", "language", "known"),
    [
        ({"package.json": "{}"}, "", False),
        ({"go.mod": "module x"}, "", False),
        ({"package.json": "{}", "pyproject.toml": ""}, "", True),
        ({"package.json": "{}", "Cargo.toml": ""}, "", True),
        ({"package.json": "{}"}, "python", True),
        ({"app.py": ""}, "", True),
        ({}, "", True),
    ],
)
def test_a_language_without_a_toolchain_is_refused_before_any_agent_works(
    files: Mapping[str, str], language: str, known: bool
) -> None:
    rules = dataclasses.replace(policy.DEFAULT, language=language)
    if known:
        starting.check_language(rules, reader(files))
        return
    with pytest.raises(Refused, match=r"no toolchain.*available: rust, python"):
        starting.check_language(rules, reader(files))


@given(st.dictionaries(st.sampled_from(["Cargo.toml", "app.py", "pyproject.toml"]), st.text()))
def test_no_file_whatever_it_holds_breaks_the_search(files: dict[str, str]) -> None:
    command = filled({name: text.encode(errors="replace").decode() for name, text in files.items()})
    assert command in ((), ("python3", "app.py"))
