"""The repository's policy, read from one commit of its base branch and from nowhere else."""

from __future__ import annotations

from pressplay.api import policy
from pressplay.api.policy import Record
from pressplay.base.errors import Refused
from pressplay.forge.client import Forge
from pressplay.stages import starting
from pressplay.stages.starting import Read


def read(forge: Forge, owner: str, repo: str, *, sha: str) -> Record:
    """The policy at `sha`, the defaults where there is no file. Raises Refused for a wrong one.

    What it leaves open and the files at `sha` answer is filled in: always the same for one commit.
    """
    files = reader(forge, owner, repo, sha=sha)
    content = files(policy.FILE_NAME)
    found = policy.DEFAULT
    if content is not None:
        text = content.decode(errors="replace")
        found = policy.parse(text, source=f"{policy.FILE_NAME}@{sha}")
    return Record(policy=starting.fill(found, files), base_sha=sha)


def reader(forge: Forge, owner: str, repo: str, *, sha: str) -> Read:
    """Reads files of one commit; a folder counts as none."""

    def look(path: str) -> bytes | None:
        try:
            return forge.file(owner, repo, path, ref=sha)
        except Refused:
            if path == policy.FILE_NAME:
                raise
            return None

    return look
