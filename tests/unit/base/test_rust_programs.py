"""Finding the real Rust programs behind what stands on PATH."""

import os
import shutil
from pathlib import Path

import pytest

from pressplay.base import rust_programs
from pressplay.base.rust_programs import RustPrograms


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def make_toolchain(root: Path) -> None:
    for name in rust_programs.NEEDED:
        script(root / "bin" / name, "exit 1")


def test_where_no_cargo_is_nothing_is_found(tmp_path: Path) -> None:
    assert rust_programs.find(path=str(tmp_path), variables={}) is None
    script(tmp_path / "cargo", "exit 0")
    assert rust_programs.find(path=str(tmp_path), variables={}) is None


def test_the_folder_that_rustc_names_is_the_toolchain(tmp_path: Path) -> None:
    make_toolchain(tmp_path / "real")
    script(tmp_path / "shims/cargo", "exit 1")
    script(tmp_path / "shims/rustc", f'[ "$*" = "--print sysroot" ] && echo {tmp_path}/real')
    found = rust_programs.find(path=f"{tmp_path}/shims:/usr/bin:/bin", variables={})
    assert found == RustPrograms((tmp_path / "real").resolve())
    assert found.missing() == ()
    (tmp_path / "real/bin/cargo-clippy").unlink()
    assert found.missing() == ("cargo-clippy",)


def test_a_compiler_that_stands_in_its_toolchain_is_not_asked(tmp_path: Path) -> None:
    make_toolchain(tmp_path / "real")
    (tmp_path / "real/lib/rustlib").mkdir(parents=True)
    script(tmp_path / "real/bin/rustc", f"touch {tmp_path}/asked")
    found = rust_programs.find(path=f"{tmp_path}/real/bin:/usr/bin:/bin", variables={})
    assert found == RustPrograms((tmp_path / "real").resolve())
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("text", ["exit 1", "echo /nonexistent", "true"])
def test_a_shim_without_a_toolchain_behind_it_counts_as_none(tmp_path: Path, text: str) -> None:
    script(tmp_path / "cargo", "exit 1")
    script(tmp_path / "rustc", text)
    assert rust_programs.find(path=f"{tmp_path}:/usr/bin:/bin", variables={}) is None


@pytest.mark.parametrize("name", [".rustup", "rustup"])
def test_a_shim_finds_its_settings_without_its_users_home(tmp_path: Path, name: str) -> None:
    make_toolchain(tmp_path / name / "toolchains/x")
    script(tmp_path / ".cargo/bin/cargo", "exit 1")
    script(tmp_path / ".cargo/bin/rustc", 'echo "$RUSTUP_HOME/toolchains/x"')
    found = rust_programs.find(path=f"{tmp_path}/.cargo/bin:/usr/bin:/bin", variables={})
    assert found is not None
    assert found.programs == (tmp_path / name / "toolchains/x/bin").resolve()


def test_this_machines_own_is_no_shim() -> None:
    if shutil.which("cargo") is None:
        pytest.skip("no cargo on this machine")
    found = rust_programs.find(path=os.environ["PATH"], variables=os.environ)
    assert found is not None
    assert (found.programs / "rustc").is_file()
    again = rust_programs.find(path=f"{found.programs}:/usr/bin:/bin", variables={})
    assert again == found
