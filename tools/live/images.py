"""The images that the shipped manifests name, with the real package in them, without an engine.

A Debian root, then the locked requirements, then the package: each is made again only where what
it is made of has changed, so that a change of our source costs seconds.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from live.places import REPOSITORY, Places

RUNNER = "docker.io/pressplay/runner:0.1.0"
"""As the node stores it; `pressplay/runner:0.1.0` is short for it, as everywhere."""

AGENT = "docker.io/pressplay/agent:0.1.0"

SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "git", "ca-certificates")
_SITE = "usr/local/lib/python3.11/dist-packages"

# Documentation, package lists and what only the building of the root left behind.
_NOT_NEEDED = (
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "dev",
)
_KEPT = 2
"""Roots of earlier requirements that stay, so that going back and forth is quick."""


def ensure(places: Places) -> None:
    """See to it that the running cluster has both images, of this very source."""
    places.cache.mkdir(parents=True, exist_ok=True)
    base = _base(places.cache)
    wanted = _requirements(places.cache, base)
    digest = _digest(wanted.name, *_sources())
    archive = places.cache / f"image-{digest}.tar"
    if not archive.exists():
        _pack(places, root=_with_package(wanted), archive=archive)
        _forget(places.cache, "image-*.tar", keep=1)
    _load(places, archive)


def _base(cache: Path) -> Path:
    """A Debian root with what the package needs of a system."""
    root = cache / f"base-{_digest(SUITE, *PACKAGES, *_NOT_NEEDED)}"
    if root.exists():
        return root
    fresh = _fresh(root)
    packages = ",".join(PACKAGES)
    _run(
        *("debootstrap", "--variant=minbase", f"--include={packages}"),
        *(SUITE, fresh, _mirror()),
    )
    for name in _NOT_NEEDED:
        shutil.rmtree(fresh / name, ignore_errors=True)
        (fresh / name).mkdir()
    _compile(fresh, "usr/lib/python3.11")
    fresh.rename(root)
    return root


def _requirements(cache: Path, base: Path) -> Path:
    """That root with the locked requirements."""
    locked = REPOSITORY / "requirements.txt"
    root = cache / f"root-{_digest(base.name, locked.read_text())}"
    if root.exists():
        return root
    fresh = _fresh(root)
    _run("cp", "--archive", f"{base}/.", fresh)
    _run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"),
        *("--only-binary=:all:", "--python-version=3.11", "--implementation=cp"),
        *("--no-compile", f"--target={fresh / _SITE}", f"--requirement={locked}"),
    )
    _programs_to_path(fresh)
    _compile(fresh, _SITE)
    fresh.rename(root)
    _forget(cache, "root-*", keep=_KEPT)
    return root


def _with_package(root: Path) -> Path:
    """The same root, its package made anew of the source as it lies here."""
    site = root / _SITE
    for old in (site / "pressplay", *site.glob("pressplay-*.dist-info")):
        shutil.rmtree(old, ignore_errors=True)
    _run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
        *("--no-build-isolation", "--no-compile", f"--target={site}", REPOSITORY),
    )
    _programs_to_path(root)
    _compile(root, f"{_SITE}/pressplay")
    return root


def _programs_to_path(root: Path) -> None:
    """pip puts programs below its target, and lets them start with our own interpreter."""
    for program in (root / _SITE / "bin").iterdir():
        head, newline, rest = program.read_bytes().partition(b"\n")
        if head.startswith(b"#!") and b"python" in head:
            program.write_bytes(b"#!/usr/bin/python3" + newline + rest)
        program.replace(root / "usr/local/bin" / program.name)
    (root / _SITE / "bin").rmdir()


def _compile(root: Path, folder: str) -> None:
    """Compile Python for good: files lose their times in the image, by which it would judge."""
    compiling = ("python3", "-m", "compileall", "-q", "-f", "--invalidation-mode=unchecked-hash")
    # What cannot be compiled was never meant to be: templates, and tests of old grammars.
    _run("chroot", root, *compiling, "-x", r"/(tests?|lib2to3|samples)/", f"/{folder}")


def _pack(places: Places, *, root: Path, archive: Path) -> None:
    fresh = archive.with_suffix(".new")
    _run(sys.executable, places.tools / "mkimage.py", fresh, RUNNER, "--root", root)
    fresh.rename(archive)


def _load(places: Places, archive: Path) -> None:
    """Give the archive to the node, unless it has it; `agent` is another name for the same."""
    stamp = places.kubeconfig.parent / "loaded-pressplay"
    if stamp.exists() and stamp.read_text() == archive.stem:
        return
    _run(places.tools / "load-image", archive)
    images = (places.tools / "enter", "ctr", "-n", "k8s.io", "images")
    _run(*images, "tag", "--force", RUNNER, AGENT)
    stamp.write_text(archive.stem)


def _mirror() -> str:
    """The Debian mirror that this machine itself uses."""
    said = _run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages")
    plain = [line for line in said.splitlines() if "security" not in line]
    return plain[0] if plain else "http://deb.debian.org/debian"


def _sources() -> Sequence[str]:
    """Every file that becomes part of the package, by its path and content."""
    folder = REPOSITORY / "src"
    found = (each for each in sorted(folder.rglob("*")) if each.is_file())
    plain = [each for each in found if "__pycache__" not in each.parts]
    plain += [REPOSITORY / name for name in ("pyproject.toml", "README.md", "LICENSE")]
    return [f"{each.name} {hashlib.sha256(each.read_bytes()).hexdigest()}" for each in plain]


def _digest(*inputs: str) -> str:
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]


def _fresh(target: Path) -> Path:
    """An empty folder beside the target, to be renamed when all is well."""
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    return fresh


def _forget(cache: Path, pattern: str, *, keep: int) -> None:
    """Remove all but the newest."""
    found = sorted(cache.glob(pattern), key=lambda each: each.stat().st_mtime, reverse=True)
    for old in found[keep:]:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink()


def _run(*command: str | Path) -> str:
    """What a program says. Raises RuntimeError with its complaint."""
    begun = time.monotonic()
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        took = f"after {time.monotonic() - begun:.0f} s"
        said = (done.stderr or done.stdout)[-2000:]
        raise RuntimeError(f"{command[0]} ended with {done.returncode} {took}: {said}")
    return done.stdout
