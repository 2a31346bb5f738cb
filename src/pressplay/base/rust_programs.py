"""Where Rust's real programs are: what stands on PATH is often only a rustup shim.

A shim costs 50 ms a call and needs its user's home, which nothing in a sandbox has. Three storeys
must know: who shows the folder to containers, who runs the programs, who says what is missing.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pressplay.base import processes

ANSWER_S = 20.0
"""Seconds for rustc to say where it is; a shim may look for its settings first."""

NEEDED = ("cargo", "rustc", "cargo-fmt", "rustfmt", "cargo-clippy", "clippy-driver")
LINKER = "cc"
"""What rustc calls to link, unless a repository's own configuration says otherwise."""

_VERSION = re.compile(r"rustc (\d+)\.(\d+)")


@dataclass(frozen=True)
class RustPrograms:
    """One installed toolchain. `root` is all of it, `programs` the folder that goes on PATH."""

    root: Path

    @property
    def programs(self) -> Path:
        return self.root / "bin"

    def missing(self) -> tuple[str, ...]:
        """The programs that our gates need and that are not there."""
        return tuple(each for each in NEEDED if not (self.programs / each).exists())

    def version(self) -> tuple[int, ...]:
        """The compiler's, its first two numbers; empty where it does not say."""
        answer = processes.run(
            [self.programs / "rustc", "--version"],
            env={"PATH": str(self.programs), "HOME": "/nonexistent"},
            timeout_s=ANSWER_S,
        )
        found = _VERSION.match(answer.text())
        return tuple(int(each) for each in found.groups()) if found else ()


def find(*, path: str, variables: Mapping[str, str]) -> RustPrograms | None:
    """The toolchain behind the `cargo` and `rustc` on `path`; None where there is none.

    `variables` are the environment in which a shim finds its own settings; nothing is installed.
    """
    if shutil.which("cargo", path=path) is None:
        return None
    rustc = shutil.which("rustc", path=path)
    if rustc is None:
        return None
    own = _toolchain_of(Path(rustc))
    if own is not None:
        return own
    # Away from any project: its toolchain file is not what this machine offers by itself.
    answer = processes.run(
        [rustc, "--print", "sysroot"],
        env={**_rustup(rustc), **variables, "PATH": path, "RUSTUP_AUTO_INSTALL": "0"},
        cwd=Path("/"),
        timeout_s=ANSWER_S,
    )
    root = Path(answer.text().strip())
    if not answer.ok or not (root / "bin" / "cargo").exists():
        return None
    return RustPrograms(root.resolve())


def _toolchain_of(rustc: Path) -> RustPrograms | None:
    """The toolchain in which a compiler stands; None for a shim, which stands alone.

    To ask it takes 20 ms of every step's time, and the layout is rustc's own: its libraries are
    where its sysroot is (rustc book, "--print sysroot").
    """
    root = rustc.resolve().parent.parent
    is_whole = (root / "lib/rustlib").is_dir() and (root / "bin/cargo").exists()
    return RustPrograms(root) if is_whole else None


def has_linker(*, path: str) -> bool:
    """Whether what rustc links with is on `path`."""
    return shutil.which(LINKER, path=path) is not None


def _rustup(program: str) -> dict[str, str]:
    """Where a shim's toolchains lie: beside ~/.cargo, or beside the cargo of the usual image."""
    for name in (".rustup", "rustup"):
        folder = Path(program).parent.parent.parent / name
        if (folder / "toolchains").is_dir():
            return {"RUSTUP_HOME": str(folder)}
    return {}
