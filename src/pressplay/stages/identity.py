"""The init container `token`: an App's key in, a short-lived token for one repository out.

The only stage that ever sees a private key, and it does nothing else.
"""

from __future__ import annotations

from pressplay.base import files
from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused
from pressplay.forge import calls, tokens
from pressplay.stages import asking, connections
from pressplay.stages.environment import Outcome, StageEnvironment

TOKEN_MODE = 0o600


def run_token(env: StageEnvironment) -> Outcome:
    """Mint a token with the permissions of `--permissions a=read,b=write` and write it."""
    permissions = read_permissions(env.argv)
    owner, repo = asking.repository_of(env)
    token = tokens.mint(
        api_url=connections.api_url(env),
        app=tokens.read_app_key(env.app_key_dir),
        owner=owner,
        repo=repo,
        permissions=permissions,
        clock=SystemClock(),
    )
    files.write_atomically(env.token_file, token.value.reveal().encode(), mode=TOKEN_MODE)
    shown = ",".join(f"{name}={level}" for name, level in permissions.items())
    env.log(
        "token_minted",
        repository=f"{owner}/{repo}",
        permissions=shown,
        expires=token.expires_at.isoformat(),
    )
    return Outcome()


def read_permissions(argv: tuple[str, ...]) -> dict[str, str]:
    """The permissions on the command line, none of them beyond what any token of ours may have.

    Raises Refused.
    """
    if len(argv) != 2 or argv[0] != "--permissions":
        raise Refused("Usage: token --permissions contents=read,pull_requests=write")
    found: dict[str, str] = {}
    for part in argv[1].split(","):
        name, _, level = part.partition("=")
        levels = calls.PERMISSIONS.get(name, frozenset())
        if not isinstance(levels, frozenset) or level not in levels or name in found:
            known = ", ".join(calls.PERMISSIONS)
            raise Refused(
                f"Permission {part!r} is not one that a token of ours may have once: "
                f"write NAME=read or NAME=write with NAME one of {known}"
            )
        found[name] = level
    return found
