"""GitHub's own client against the local forge: the whole life of a pull request.

Installs @octokit/rest, @octokit/auth-app and @octokit/webhooks-methods with npm, once, at the
versions and digests of `octokit/package-lock.json`.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from pressplay.base import processes

if TYPE_CHECKING:  # only names here: pytest hands the objects in
    from pathlib import Path

    from tests.contract.conftest import Receiver, ServedForge

SECRET = "known to both ends"


def test_installed_octokit_lives_through_a_pull_request(
    forge: ServedForge, receiver: Receiver, octokit: Path, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; this test runs GitHub's own client with it")
    forge.may_ring = True
    apps = {"app": "rex", "approver": "qa-approver"}
    keys = {name: forge.app(slug) for name, slug in apps.items()}
    job = {
        "api": forge.api_url, "server": forge.url, "owner": "captain", "repo": "by-octokit",
        "folder": str(tmp_path), "operatorToken": "operator-token-for-these-tests-only",
        "hook": receiver.url, "secret": SECRET,
        **{
            name: {"id": int(key.app_id), "pem": key.private_key.reveal()}
            for name, key in keys.items()
        },
    }  # fmt: skip

    done = processes.run(
        [node, octokit / "life.mjs"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        stdin=json.dumps(job).encode(),
        cwd=octokit,
    )

    assert done.ok, done.complaint()
    assert json.loads(done.stdout) == {
        "repository": "captain/by-octokit",
        "apps": ["rex", "qa-approver"],
        "thread": [str(number) for number in range(35)],
        "author": "rex[bot]",
        "head": True,
        "rules": ["required_status_checks"],
        "before": "blocked",
        "own": 422,
        "review": "APPROVED",
        "checks": [["pressplay/verdict", "qa-approver", "success"]],
        "after": "clean",
        "merge": 405,
        "moved": 403,
        "graphql": 403,
        "merged": True,
        "files": "two\n",
        "state": "closed",
        "deliveries": [["ping", None], ["pull_request", "opened"], ["pull_request", "closed"]],
        "signed": True,
    }
    assert [it.verb for it in forge.operator.alarms()[-3:]] == ["PUT", "PATCH", "POST"]
