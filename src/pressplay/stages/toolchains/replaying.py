"""What a toolchain makes of a commit: done once by the agent step and once more by its judge.

The same function for both, so that a difference can only come from somebody's hand.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from pressplay.stages import git
from pressplay.stages.toolchains import choosing
from pressplay.stages.toolchains.port import Findings, Toolchain


@dataclass(frozen=True)
class Mended:
    """The tree that the tools made, and what they still find in it."""

    tree: str
    toolchain: Toolchain
    findings: Findings
    said: tuple[str, ...]


def mend(directory: Path, sha: str, *, language: str, path: str) -> Mended:
    """Let the tools fix and format the files of a commit, away from the repository itself."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        left_out = git.export_tree(directory, sha, tree)
        toolchain = choosing.choose(language, tree, path=path)
        said = toolchain.mend(tree)
        return Mended(
            tree=git.snapshot(directory, tree, on=sha, keep=left_out),
            toolchain=toolchain,
            findings=toolchain.check(tree),
            said=said,
        )
