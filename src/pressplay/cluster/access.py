"""Where an API server is, and how one shows there who one is: as a pod is told it.

Apart from both clients, because a kubeconfig (`cluster.kubeconfig`) tells the same.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pressplay.base.errors import Refused, Unavailable
from pressplay.base.redaction import Secret

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts a pod's token, as its page "Configure Service Accounts" says."""


@dataclass(frozen=True)
class Access:
    """The way to one API server as one identity.

    A token in a file is renewed there before it runs out, so it is read whenever it is needed.
    Without any token the identity is that of the client's certificate in `verify`.
    """

    url: str
    token: Secret | None = None
    token_file: Path | None = None
    verify: ssl.SSLContext | bool = True

    def current(self) -> Secret:
        """The token of this moment, empty where there is none. Raises Unavailable."""
        if self.token_file is None:
            return self.token or Secret("")
        try:
            return Secret(self.token_file.read_text().strip())
        except OSError as error:
            raise Unavailable(f"The token in {self.token_file} cannot be read: {error}") from error


def of_pod(variables: Mapping[str, str], *, service_account_dir: Path = SERVICE_ACCOUNT) -> Access:
    """The access of the pod in which this process runs. Raises Refused outside of one."""
    token_file = service_account_dir / "token"
    if not token_file.is_file():
        raise Refused(
            f"No service account token at {service_account_dir}; "
            "give the pod a service account, and do not turn off its token"
        )
    if variables.get("PRESSPLAY_KUBE_URL"):
        return Access(variables["PRESSPLAY_KUBE_URL"], token_file=token_file)
    host = variables.get("KUBERNETES_SERVICE_HOST")
    if not host:
        raise Refused("Neither PRESSPLAY_KUBE_URL nor KUBERNETES_SERVICE_HOST is set")
    port = variables.get("KUBERNETES_SERVICE_PORT", "443")
    shown = f"[{host}]" if ":" in host else host
    verify = trusting(cafile=service_account_dir / "ca.crt")
    return Access(f"https://{shown}:{port}", token_file=token_file, verify=verify)


def trusting(*, cafile: Path | None = None, cadata: str | None = None) -> ssl.SSLContext:
    """TLS that trusts the authority of one cluster, or the machine's. Raises Refused."""
    try:
        context = ssl.create_default_context(cafile=cafile, cadata=cadata)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        where = cafile or "the settings"
        raise Refused(f"The cluster's authority in {where} cannot be read: {error}") from error
    # Python 3.13 asks of authorities what those of many clusters do not have.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
