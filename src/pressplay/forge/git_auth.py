"""How a token reaches git: by environment variables alone.

So it is in no argument list (which every process can read), in no address (which git writes to
`.git/config` and to its messages) and in no file.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import MappingProxyType

from pressplay.base.redaction import Secret

NOTHING: Mapping[str, str] = MappingProxyType({})


def environment(
    server_url: str, token: Secret, *, config: Mapping[str, str] = NOTHING
) -> dict[str, str]:
    """Variables that let git speak to `server_url`, and only to it, with the token.

    `config` are further git settings for the same process, because git has room for one such list.
    The empty credential.helper forgets every helper of the machine: a person's own token must not
    step in where ours is refused.
    """
    pair = base64.b64encode(f"x-access-token:{token.reveal()}".encode()).decode("ascii")
    settings = {
        **config,
        "credential.helper": "",
        f"http.{server_url.rstrip('/')}/.extraHeader": f"Authorization: Basic {pair}",
    }
    variables = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": str(len(settings))}
    for index, (key, value) in enumerate(settings.items()):
        variables[f"GIT_CONFIG_KEY_{index}"] = key
        variables[f"GIT_CONFIG_VALUE_{index}"] = value
    return variables
