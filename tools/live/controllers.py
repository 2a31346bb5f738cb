"""`pressplay controllers` beside the cluster, with the shipped account's rights and no others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from live.kubectl import Kubectl

_END_S = 20.0


@contextmanager
def running(
    kubectl: Kubectl, *, namespace: str, folder: Path, forge_api: str, app_key: Path
) -> Iterator[Path]:
    """Carry out the namespace's CodeRuns and DocsRuns, and end previews; gives the program's log.

    `app_key` is the folder with the key of an App that may read pull requests at `forge_api`.
    """
    token = kubectl("-n", namespace, "create", "token", "controllers", "--duration=8h").strip()
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    there, log = folder / "controllers.kubeconfig", folder / "controllers.log"
    there.touch(mode=0o600)
    there.write_text(yaml.safe_dump(config))
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pressplay.cli", "controllers"),
                *("--kubeconfig", str(there), "--namespace", namespace),
                *("--forge-api", forge_api, "--app-key", str(app_key)),
            ],
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            yield log
        finally:
            process.terminate()
            process.wait(timeout=_END_S)
