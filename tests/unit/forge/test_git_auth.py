"""A token reaches git through variables, and git believes them."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from pressplay.base import processes
from pressplay.base.redaction import Secret
from pressplay.forge import git_auth

TOKEN = Secret("ghs_0123456789abcdefghij0123456789abcdef")


def _git(tmp_path: Path, variables: dict[str, str], *arguments: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
    return processes.run(["git", *arguments], env=env, cwd=tmp_path).text().strip()


def test_git_sends_the_header_to_the_forge_and_to_nobody_else(tmp_path: Path) -> None:
    variables = git_auth.environment("http://127.0.0.1:4711/", TOKEN)
    pair = base64.b64encode(f"x-access-token:{TOKEN.reveal()}".encode()).decode()

    ask = ("config", "--get-urlmatch", "http.extraHeader")
    assert (
        _git(tmp_path, variables, *ask, "http://127.0.0.1:4711/o/r.git")
        == f"Authorization: Basic {pair}"
    )
    assert _git(tmp_path, variables, *ask, "http://127.0.0.1:4712/o/r.git") == ""
    assert _git(tmp_path, variables, *ask, "https://127.0.0.1:4711/o/r.git") == ""


def test_git_never_asks_a_person_or_a_credential_helper(tmp_path: Path) -> None:
    variables = git_auth.environment("https://forge.example", TOKEN)

    assert variables["GIT_TERMINAL_PROMPT"] == "0"
    assert _git(tmp_path, variables, "config", "--get", "credential.helper") == ""


def test_further_settings_share_the_list(tmp_path: Path) -> None:
    variables = git_auth.environment(
        "https://forge.example", TOKEN, config={"user.name": "Rex", "safe.directory": "*"}
    )

    assert variables["GIT_CONFIG_COUNT"] == "4"
    assert _git(tmp_path, variables, "config", "user.name") == "Rex"


def test_token_stands_in_no_variable_in_clear() -> None:
    variables = git_auth.environment("https://forge.example", TOKEN)

    assert all(TOKEN.reveal() not in value for value in variables.values())
