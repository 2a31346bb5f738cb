"""Which cluster a command means: in the order in which controllers everywhere look for theirs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pressplay.base.errors import Refused
from pressplay.cluster import access, kubeconfig
from pressplay.cluster.access import Access


def find(
    named: str | None,
    *,
    context: str,
    environment: Mapping[str, str],
    service_account_dir: Path = access.SERVICE_ACCOUNT,
) -> Access:
    """The file that was named, else $KUBECONFIG, else the pod's own, else ~/.kube/config.

    Raises Refused where none of them is there.
    """
    given = named or environment.get("KUBECONFIG", "")
    if named and not Path(named).exists():
        raise Refused(f"There is no file {named}; --kubeconfig names the one to use")
    if given:
        paths = [Path(each) for each in given.split(os.pathsep) if each]
        return kubeconfig.read(paths, context=context)
    if environment.get("KUBERNETES_SERVICE_HOST"):
        return access.of_pod(environment, service_account_dir=service_account_dir)
    home = Path(environment.get("HOME", "/")) / ".kube/config"
    return kubeconfig.read([home], context=context)
