"""What is in a package that somebody installs: the samples, whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "src" / "pressplay" / "samples"
NOT_SHIPPED = {"__pycache__", "target"}


def test_both_packages_hold_every_file_of_the_samples_and_nothing_built(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "src/pressplay/samples", copy / "src/pressplay/samples")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, copy / name)
    built = copy / "src/pressplay/samples/rust/repository/target/debug/shelf"
    built.parent.mkdir(parents=True, exist_ok=True)
    built.write_text("made by a build")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    expected = {
        str(path.relative_to(SAMPLES))
        for path in SAMPLES.rglob("*")
        if path.is_file() and not NOT_SHIPPED & set(path.parts)
    }
    assert "rust/repository/charts/app/values-preview.yaml" in expected
    assert "rust/repository/.pressplay.yaml" in expected
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert below("samples/", archive.namelist()) == expected
    (source,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(source) as archive_of_sources:
        assert below("samples/", archive_of_sources.getnames()) == expected


def below(folder: str, names: list[str]) -> set[str]:
    return {name.partition(folder)[2] for name in names if folder in name and name[-1] != "/"}
