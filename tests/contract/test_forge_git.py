"""Real git against the local forge, with installation tokens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Checkout, CloneRepo, ServedForge


def test_x(forge: ServedForge, filled_repo: str, clone: CloneRepo) -> None:
    c = clone(filled_repo, token=forge.token(filled_repo))
    c.commit({"a": "b"})
    d = c.push("HEAD:refs/heads/pressplay/issue-1")
    assert d.ok, d.complaint()
    d = c.push("HEAD:refs/heads/main")
    print(d.complaint())
    assert not d.ok
    with forge.client(filled_repo) as f:
        p = f.open_pull("captain", filled_repo, head="pressplay/issue-1", base="main", title="t", body="b")
        print(p)
        print(f.branch("captain", filled_repo, "pressplay/issue-1"))
