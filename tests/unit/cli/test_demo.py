"""Which sample the demo takes, and what it says about that."""

from pathlib import Path

import pytest

from pressplay.base import rust_programs
from pressplay.cli import demo

PROGRAMS = (*rust_programs.NEEDED, "cc")


def machine(folder: Path, *, lacking: str = "", version: str = "1.63.0") -> dict[str, str]:
    """The environment of a machine with Rust's programs but one."""
    answer = f'[ "$1" = --version ] && echo "rustc {version}" || echo {folder}'
    for name in PROGRAMS:
        if name != lacking:
            path = folder / "bin" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{answer}\n")
            path.chmod(0o755)
    return {"PATH": str(folder / "bin")}


def test_rust_is_taken_where_everything_is_there(tmp_path: Path) -> None:
    language, why = demo.choose(None, machine(tmp_path))
    assert language == "rust"
    assert why == "Rust, because cargo, rustfmt, clippy and a linker are here"


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("cargo", "no working cargo on PATH"),
        ("rustc", "no working cargo on PATH"),
        ("cargo-fmt", "without cargo-fmt (rustup component add rustfmt clippy)"),
        ("clippy-driver", "without clippy-driver"),
        ("cc", "no linker cc"),
    ],
)
def test_python_is_taken_where_something_lacks_and_says_what(
    tmp_path: Path, lacking: str, said: str
) -> None:
    language, why = demo.choose(None, machine(tmp_path, lacking=lacking))
    assert language == "python"
    assert why.startswith("Python, because ")
    assert said in why


def test_python_is_taken_where_cargo_is_too_old_for_the_sample(tmp_path: Path) -> None:
    language, why = demo.choose(None, machine(tmp_path, version="1.56.1 (59eed8a2a 2021-11-01)"))
    assert language == "python"
    assert why == (
        "Python, because cargo is here, but Rust 1.56 is older than Rust 1.63 (rustup update)"
    )


@pytest.mark.parametrize("version", ["1.63.0", "1.95.0-nightly", "2.0.0", "of my own"])
def test_a_version_that_is_new_enough_or_unknown_is_taken(tmp_path: Path, version: str) -> None:
    assert demo.choose(None, machine(tmp_path, version=version))[0] == "rust"


@pytest.mark.parametrize("wanted", demo.SAMPLES)
def test_what_is_asked_for_is_taken(wanted: str) -> None:
    assert demo.choose(wanted, {"PATH": ""}) == (wanted, f"{wanted.title()}, as asked")


@pytest.mark.parametrize("language", demo.SAMPLES)
def test_a_sample_is_a_repository_of_its_own_and_made_once(tmp_path: Path, language: str) -> None:
    found = demo.sample(tmp_path, language=language)
    assert found.workspace.path.name == f"sample-{language}"
    assert found.issue.title == "Count the items"
    assert (found.workspace.path / ".pressplay.yaml").is_file()
    made = (found.workspace.path / ".git").stat().st_ino
    assert demo.sample(tmp_path, language=language) == found
    assert (found.workspace.path / ".git").stat().st_ino == made
