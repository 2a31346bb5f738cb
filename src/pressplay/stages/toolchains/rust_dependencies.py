"""What a Rust tree depends on: fetched into a cargo home of its own and built beside it.

One home and one target folder serve every commit with the same dependencies, and most others:
cargo itself knows what of them still fits.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pressplay.base import documents, files
from pressplay.base.errors import PressplayError, Refused, Unavailable
from pressplay.stages.toolchains import rust_cargo, rust_messages
from pressplay.stages.toolchains.port import Prepared
from pressplay.stages.toolchains.rust_cargo import Cargo
from pressplay.stages.transcripts import Transcript

MANIFEST, LOCK = "Cargo.toml", "Cargo.lock"
STATE = "rust.json"
"""Lies in the cache and says what it serves; written last."""

SETTING = "PRESSPLAY_REGISTRIES"
CONFIGURED = "CARGO_CONFIGURED"
"""Leads to a cargo configuration of the operator's, in the variables of `prepare`."""

_FORM = "1"
_TELLING = (b"dependencies", b"workspace")
"""One of them stands in every manifest that has, or whose members can have, a dependency (the
Cargo Book, "The Manifest Format")."""
_INPUTS = (MANIFEST, LOCK, ".cargo/config.toml", ".cargo/config", "rust-toolchain.toml")
_SKIPPED = frozenset({"target", "node_modules", ".git"})
_ASK_S = 60.0

_BUILDS: tuple[tuple[str, ...], ...] = (
    ("test", "--no-run", "--workspace", "--quiet"),
    ("clippy", "--workspace", "--all-targets", "--quiet"),
)
"""What the gates will want: each has dependencies compiled in a way of its own."""

_WHICH = re.compile(
    r"failed to (?:get|download(?: from)?|load source for dependency|fetch) `([^`]+)`|"
    r"no matching package (?:named )?`([^`]+)`|requirement `([^`]+)`"
)
_FORBIDDEN = re.compile(r"CONNECT tunnel failed, response 403|Received HTTP code 403 from proxy")
_OUTSIDE = re.compile(
    r"[Cc]ould(?: not|n't) resolve|[Cc]ould(?: not|n't) connect|[Ff]ailed to connect|"
    r"[Tt]imed out|[Tt]imeout|spurious network error|CONNECT tunnel failed|code: 5\d\d|"
    r"response code 5\d\d|[Nn]etwork (?:is unreachable|failure)|SSL|certificate"
)


def prepare(
    cargo: Cargo,
    tree: Path,
    *,
    cache: Path,
    variables: Mapping[str, str],
    deadline: float,
    transcript: Transcript,
) -> Prepared:
    """See `port.Toolchain.prepare`."""
    programs = (str(cargo.installed.programs),)
    if not _depends(cargo, tree):
        return Prepared(programs=programs)
    cache = cache.absolute()
    had_lock = (tree / LOCK).exists()
    places = {rust_cargo.HOME: str(cache / "cargo"), rust_cargo.TARGET: str(cache / "target")}
    configuration = _configure(cache / "cargo", variables.get(CONFIGURED, ""))
    digest = digest_of(cargo, tree, configuration=configuration)
    is_ready = _served(cache) == digest
    if not is_ready:
        cache.mkdir(parents=True, exist_ok=True)
        work = _Work(cargo, tree, transcript, deadline=deadline, places=places)
        work.fetch(variables)
        work.build()
        _tidy(cache / "target")
        files.write_atomically(cache / STATE, json.dumps({"digest": digest}).encode())
    elif not had_lock:
        # Cheap by now: it only writes down what the cache holds.
        work = _Work(cargo, tree, transcript, deadline=deadline, places=places)
        work.fetch(variables)
    return Prepared(
        variables=places,
        programs=programs,
        was_changed=not is_ready,
        generated=() if had_lock or not (tree / LOCK).exists() else (LOCK,),
    )


def fingerprint(cargo: Cargo, tree: Path) -> str:
    """See `port.Toolchain.fingerprint`."""
    return digest_of(cargo, tree) if _depends(cargo, tree) else ""


def digest_of(cargo: Cargo, tree: Path, *, configuration: bytes = b"") -> str:
    """What the cache depends on: it serves every tree with the same digest."""
    digest = hashlib.sha256(f"{_FORM}\n{cargo.version('rustc')}\n".encode() + configuration)
    for path in _inputs(tree):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(tree)}\0{content}\n".encode())
    return digest.hexdigest()


@contextmanager
def kept(path: Path) -> Iterator[None]:
    """Leave a file as it was, or absent, whatever happens to it inside the context."""
    before = path.read_bytes() if path.is_file() and not path.is_symlink() else None
    try:
        yield
    finally:
        if before is None and not path.is_symlink():
            path.unlink(missing_ok=True)
        elif before is not None and path.read_bytes() != before:
            path.write_bytes(before)


def complaint(said: str) -> PressplayError:
    """The error for a `cargo fetch` that failed and said this: what could not be had, and why."""
    found = _WHICH.search(said)
    what = next((each for each in found.groups() if each), "") if found else ""
    what = what or "what the repository depends on"
    if _FORBIDDEN.search(said):
        return Refused(
            f"cargo: could not fetch {what}: its registry is not among the allowed ones; add the "
            f"host to the setting {SETTING}"
        )
    if _OUTSIDE.search(said):
        return Unavailable(
            f"cargo: could not fetch {what}: the registry does not answer from here; allowed are "
            f"the hosts in the setting {SETTING}; try again"
        )
    errors = " ".join(line.strip() for line in said.splitlines() if line.strip())
    return Refused(f"cargo: could not fetch {what}: {errors[-300:]}")


class _Work:
    """The steps of one preparation."""

    def __init__(
        self,
        cargo: Cargo,
        tree: Path,
        transcript: Transcript,
        *,
        deadline: float,
        places: Mapping[str, str],
    ) -> None:
        self._cargo = cargo
        self._tree = tree
        self._transcript = transcript
        self._deadline = deadline
        self._places = places

    def fetch(self, variables: Mapping[str, str]) -> None:
        """From what is there already, else from the registries. Raises Refused, Unavailable."""
        home = Path(self._places[rust_cargo.HOME])
        home.mkdir(parents=True, exist_ok=True)
        if (home / "registry").is_dir() and self._call(("fetch", "--quiet"), {})[0]:
            return
        more = {**variables, "CARGO_NET_OFFLINE": "false", "CARGO_NET_RETRY": "2"}
        self._transcript.say("cargo: fetching the dependencies")
        ok, said = self._call(("fetch",), more)
        if not ok:
            raise complaint(said)

    def build(self) -> None:
        """What fails here fails again in the tests, where it is told."""
        for arguments in _BUILDS:
            self._transcript.say(f"cargo: building the dependencies for {arguments[0]}")
            ok, said = self._call(arguments, {})
            if not ok:
                self._transcript.say(f"cargo {arguments[0]}: {said.strip()[-300:]}")

    def _call(self, arguments: Sequence[str], more: Mapping[str, str]) -> tuple[bool, str]:
        said: list[bytes] = []
        left = self._deadline - time.monotonic()
        code = (
            self._cargo.stream(
                self._tree,
                arguments,
                timeout_s=left,
                on_output=said.append,
                more={**more, **self._places},
            )
            if left > 0
            else None
        )
        if code is None:
            raise Refused(f"cargo {arguments[0]} did not end in time; depend on less, or try again")
        return code == 0, b"".join(said).decode(errors="replace")


def _configure(home: Path, operators: str) -> bytes:
    """Put the operator's settings where cargo finds them; returns those that hold.

    They stay there: under the name of the registry that was asked, cargo finds again what it
    fetched. Without any, those with which the cache was filled hold.
    """
    place = home / "config.toml"
    if operators:
        content = Path(operators).read_bytes()
        if content:
            home.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        else:
            place.unlink(missing_ok=True)
    return place.read_bytes() if place.is_file() else b""


def _depends(cargo: Cargo, tree: Path) -> bool:
    """Whether anything is to be fetched; what cargo cannot read depends on nothing."""
    lock = tree / LOCK
    if lock.is_file() and '\nsource = "' in lock.read_text(errors="replace"):
        return True
    manifest = tree / MANIFEST
    if manifest.is_file() and not any(word in manifest.read_bytes() for word in _TELLING):
        # One package without a table for any: cargo takes 20 ms to say the same.
        return False
    asked = cargo.run(tree, "metadata", "--no-deps", "--format-version=1", timeout_s=_ASK_S)
    if not asked.ok:
        return False
    return rust_messages.names_sources(asked.text())


def _inputs(tree: Path) -> list[Path]:
    found: list[Path] = [tree / name for name in _INPUTS]
    pending = [tree]
    while pending:
        for entry in sorted(pending.pop().iterdir()):
            if entry.is_symlink() or entry.name in _SKIPPED:
                continue
            if entry.is_dir():
                pending.append(entry)
            elif entry.name == MANIFEST:
                found.append(entry)
    return sorted({each for each in found if each.is_file() and not each.is_symlink()})


def _served(cache: Path) -> str:
    try:
        state = documents.read_json((cache / STATE).read_bytes(), source=STATE)
    except (OSError, Refused):
        return ""
    return str(state.get("digest", "")) if isinstance(state, dict) else ""


def _tidy(target: Path) -> None:
    """Remove what serves one tree only: it would make the cache large and nothing faster."""
    for profile in (each for each in target.glob("*") if each.is_dir()):
        files.remove_tree(profile / "incremental")
        for made in profile.glob("*"):
            if made.is_file():
                made.unlink()
