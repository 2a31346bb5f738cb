"""The user's key for the model's service, in the server's store while a run needs it.

Only the meter beside an agent reads it there (Secret `model-key`); no agent's pod ever holds it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from pressplay.base.redaction import Secret
from pressplay.cluster.kube import KubeClient
from pressplay.server.standing import NAMESPACE

NAME = "model-key"
FROM = "pressplay.dev/from"
COMMAND_LINE = "command-line"
"""Label of a Secret that a command made. One that an operator made is never touched."""

_UNFINISHED = "!workflows.argoproj.io/completed"


def put(kube: KubeClient, key: Mapping[str, Secret]) -> None:
    """Store the key for the run that is about to start, in place of an earlier one."""
    data = {name: base64.b64encode(value.reveal().encode()).decode() for name, value in key.items()}
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {FROM: COMMAND_LINE}},
            "data": data,
        }
    )


def forget(kube: KubeClient) -> None:
    """Remove the key that a command stored, unless a run still goes on that may need it."""
    known = kube.get("Secret", NAMESPACE, NAME)
    if known is None or known["metadata"].get("labels", {}).get(FROM) != COMMAND_LINE:
        return
    if not kube.list("Workflow", NAMESPACE, labels=_UNFINISHED):
        kube.delete("Secret", NAMESPACE, NAME)
