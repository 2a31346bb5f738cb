"""Which language profile serves a repository: the policy's word, else what its files say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pressplay.base.errors import Refused
from pressplay.stages.toolchains.port import Toolchain
from pressplay.stages.toolchains.python import Python
from pressplay.stages.toolchains.rust import Rust


def choose(
    language: str, tree: Path, *, path: str, variables: Mapping[str, str] | None = None
) -> Toolchain:
    """The toolchain for `language`, or the one that detects itself.

    `path` is where its programs are found, `variables` is further environment for the tests.

    Raises Refused, naming the policy's field, where there is none.
    """
    # Rust first: a manifest of its is no accident, and a script of Python's may lie beside it.
    available: tuple[Toolchain, ...] = (
        Rust(path=path, variables=variables or {}),
        Python(path=path, variables=variables or {}),
    )
    known = ", ".join(each.name for each in available)
    if language:
        for each in available:
            if each.name == language:
                return each
        raise Refused(
            f"Policy field language is {language!r}, for which there is no toolchain here; "
            f"available: {known}"
        )
    for each in available:
        if each.detect(tree):
            return each
    raise Refused(
        f"No known language was found in the repository; set the policy field language to: {known}"
    )
