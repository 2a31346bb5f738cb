"""Calls cargo and what stands beside it: the real programs, a target folder outside of the tree.

Always offline: what a tree depends on has been fetched by `prepare`, and a build that then still
wants the network should say so at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from pressplay.base import processes, rust_programs
from pressplay.base.errors import Refused
from pressplay.base.processes import Finished
from pressplay.base.rust_programs import RustPrograms
from pressplay.stages import children, scratch

TARGET = "CARGO_TARGET_DIR"
HOME = "CARGO_HOME"

_QUIET = {
    "CARGO_TERM_COLOR": "never",
    "CARGO_TERM_PROGRESS_WHEN": "never",
    "CARGO_NET_OFFLINE": "true",
    # A trace has addresses and paths in it, which differ from machine to machine.
    "RUST_BACKTRACE": "0",
    # Halves the time to link and the size of the cache; nobody attaches a debugger here.
    "CARGO_PROFILE_DEV_DEBUG": "0",
    "CARGO_PROFILE_TEST_DEBUG": "0",
}


class Cargo:
    """Where the programs are, and with which environment they run.

    `variables` may name a target folder and a home; otherwise there is one of each that lives as
    long as this object, so that several calls share what was built.
    """

    def __init__(self, *, path: str, variables: Mapping[str, str]) -> None:
        self._path = path
        self._variables = variables

    @cached_property
    def installed(self) -> RustPrograms:
        """The toolchain behind what stands on the path. Raises Refused where there is none."""
        found = rust_programs.find(path=self._path, variables=self._variables)
        if found is None:
            raise Refused(
                "Program not found: cargo; install Rust where the steps run (https://rustup.rs, or "
                "on Debian: apt install cargo rustfmt rust-clippy)"
            )
        return found

    @cached_property
    def _own(self) -> Path:
        return scratch.folder()

    @property
    def target(self) -> Path:
        """Where everything is built."""
        return Path(self._variables.get(TARGET) or self._own / "target")

    def variables(self, home: Path) -> dict[str, str]:
        """The whole environment of a call; `home` takes its temporary files."""
        own = {} if HOME in self._variables else {HOME: str(self._own / "home")}
        return children.variables(
            path=f"{self.installed.programs}:{self._path}",
            home=home,
            more={**_QUIET, **own, TARGET: str(self.target), **self._variables},
        )

    def run(self, tree: Path, *arguments: str, timeout_s: float) -> Finished:
        """Run `cargo ARGUMENTS` in the tree. Raises Refused where it is missing or does not end."""
        self.check_component(arguments[0])
        with tempfile.TemporaryDirectory() as home:
            finished = processes.run(
                [self.installed.programs / "cargo", *arguments],
                env=self.variables(Path(home)),
                cwd=tree,
                timeout_s=timeout_s,
            )
        if finished.timed_out:
            raise Refused(f"cargo {arguments[0]} did not end within {timeout_s:.0f} s")
        return finished

    def stream(
        self,
        tree: Path,
        arguments: Sequence[str],
        *,
        timeout_s: float,
        on_output: Callable[[bytes], None],
        more: Mapping[str, str] | None = None,
    ) -> int | None:
        """Run `cargo ARGUMENTS`, its output as it comes; None when time ran out."""
        with tempfile.TemporaryDirectory() as home:
            return processes.stream(
                [str(self.installed.programs / "cargo"), *arguments],
                env={**self.variables(Path(home)), **(more or {})},
                cwd=tree,
                timeout_s=timeout_s,
                on_output=on_output,
            )

    def version(self, program: str) -> str:
        """What a program calls itself: name and version, without its build."""
        finished = processes.run(
            [self.installed.programs / program, "--version"],
            env={"PATH": f"{self.installed.programs}:{self._path}", "HOME": "/nonexistent"},
        )
        return " ".join(finished.text().split()[:2])

    def check_component(self, verb: str) -> None:
        """Raises Refused where the formatter or the linter is not installed."""
        needed = f"cargo-{verb}"
        if needed in rust_programs.NEEDED and needed in self.installed.missing():
            component = "rustfmt" if verb == "fmt" else verb
            raise Refused(
                f"Program not found: {needed}; install it where the steps run (rustup component "
                f"add {component}, or on Debian: apt install "
                f"{'rust-clippy' if verb == 'clippy' else component})"
            )
