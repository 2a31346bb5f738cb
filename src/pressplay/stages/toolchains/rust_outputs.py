"""What a Rust build leaves: the programs stay, the intermediate files, ten times as large, go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from pressplay.base import files
from pressplay.stages.toolchains import rust_cargo

_INTERMEDIATE = ("deps", "build", "incremental", ".fingerprint")
_LIBRARIES = (".so", ".wasm")
_MARK = ".fingerprint"


def settle(tree: Path, *, variables: Mapping[str, str]) -> None:
    """See `port.Toolchain.settle`: `target/PROFILE` holds programs and nothing else."""
    inside = tree / "target"
    named = variables.get(rust_cargo.TARGET)
    outside = Path(named) if named else inside
    if inside.is_symlink():
        return
    for folder in list(_profiles(outside)):
        if outside == inside:
            for name in _INTERMEDIATE:
                files.remove_tree(folder / name)
            continue
        place = inside / folder.relative_to(outside)
        place.mkdir(parents=True, exist_ok=True)
        for made in sorted(folder.iterdir()):
            if _runs(made):
                shutil.copy2(made, place / made.name)


def _profiles(target: Path) -> Iterator[Path]:
    """`target/PROFILE`, and `target/TRIPLE/PROFILE` where it was built for another machine."""
    for folder in sorted(target.glob("*")):
        if not folder.is_dir() or folder.is_symlink():
            continue
        if (folder / _MARK).is_dir():
            yield folder
        else:
            yield from (each for each in sorted(folder.iterdir()) if (each / _MARK).is_dir())


def _runs(path: Path) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    return bool(path.stat().st_mode & 0o111) or path.suffix in _LIBRARIES
