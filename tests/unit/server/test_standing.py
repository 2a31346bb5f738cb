"""The address of a server is its own: who ends takes no other's away."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pressplay.cluster import ownership
from pressplay.server import standing
from pressplay.server.standing import Address

OURS = Address(
    pid=os.getpid(), kube_url="http://k", forge_url="http://f", operator_token="t", warning=""
)


def test_a_server_that_ends_is_no_longer_found(tmp_path: Path) -> None:
    standing.write_address(tmp_path, OURS)
    standing.remove_address(tmp_path, pid=OURS.pid)
    assert list(tmp_path.iterdir()) == []
    standing.remove_address(tmp_path, pid=OURS.pid)


def test_a_server_whose_folder_went_to_another_leaves_that_ones_address(tmp_path: Path) -> None:
    other = replace(OURS, pid=os.getpid() + 1)
    standing.write_address(tmp_path, other)
    standing.remove_address(tmp_path, pid=OURS.pid)
    assert [each.name for each in tmp_path.iterdir()] == ["server.json"]


def test_an_address_without_the_lock_behind_it_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / standing.STORE).mkdir()
    (tmp_path / standing.STORE / ownership.LOCK_FILE).write_text(str(OURS.pid))
    standing.write_address(tmp_path, OURS)
    assert standing.read_address(tmp_path) is None
