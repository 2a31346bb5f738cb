"""How a stage reaches the forge and the cluster: addresses from settings, tokens from files.

The two clients are imported when one is opened: a stage that needs neither, or only one, must not
pay for them at its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.stages.environment import StageEnvironment

if TYPE_CHECKING:
    from pressplay.cluster.kube import KubeClient
    from pressplay.forge.client import Forge

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
DEFAULT_API = "https://api.github.com"
DEFAULT_SERVER = "https://github.com"


def api_url(env: StageEnvironment) -> str:
    """The address of the forge's REST API."""
    return env.setting("GITHUB_API_URL", DEFAULT_API)


def clone_url(env: StageEnvironment, owner: str, repo: str) -> str:
    """The address that git fetches a repository from."""
    server = env.setting("GITHUB_SERVER_URL", DEFAULT_SERVER).rstrip("/")
    return f"{server}/{owner}/{repo}.git"


def read_token(env: StageEnvironment) -> Secret:
    """The short-lived token of the forge. Raises Refused where the token step left none."""
    try:
        token = env.token_file.read_text().strip()
    except OSError as error:
        raise Refused(
            f"No token at {env.token_file}: the step's init container `token` must write it"
        ) from error
    return Secret(token)


def open_forge(env: StageEnvironment) -> Forge:
    """A client with the token that the step's init container wrote."""
    from pressplay.forge.client import Forge  # noqa: PLC0415 - keeps it off other start paths

    return Forge(api_url=api_url(env), token=read_token(env))


def open_kube(env: StageEnvironment) -> KubeClient:
    """A client with the pod's own service account."""
    from pressplay.cluster.kube import KubeClient  # noqa: PLC0415 - keeps it off other start paths

    return KubeClient.from_pod(env.variables, service_account_dir=env.path(SERVICE_ACCOUNT))
