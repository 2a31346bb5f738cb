"""The repository's policy, read from one commit of its base branch and from nowhere else."""

from __future__ import annotations

from pressplay.api import policy
from pressplay.api.policy import Record
from pressplay.forge.client import Forge


def read(forge: Forge, owner: str, repo: str, *, sha: str) -> Record:
    """The policy at `sha`, the defaults where there is no file. Raises Refused for a wrong one."""
    content = forge.file(owner, repo, policy.FILE_NAME, ref=sha)
    if content is None:
        return Record(policy=policy.DEFAULT, base_sha=sha)
    text = content.decode(errors="replace")
    found = policy.parse(text, source=f"{policy.FILE_NAME}@{sha}")
    return Record(policy=found, base_sha=sha)
