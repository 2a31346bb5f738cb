"""The reference pages are those that the code makes today."""

from __future__ import annotations

import runpy
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_the_committed_reference_is_what_the_code_says(tmp_path: Path) -> None:
    made = runpy.run_path(str(_ROOT / "tools" / "reference.py"))
    made["write"](tmp_path)
    for page in tmp_path.iterdir():
        kept = (_ROOT / "docs" / "reference" / page.name).read_text()
        assert kept == page.read_text(), f"run `make docs`: {page.name} is out of date"
