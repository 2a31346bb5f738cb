"""kubectl, as an operator uses it: the shipped manifests go to the cluster by it, unchanged."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Kubectl:
    """Commands of one cluster. Each raises RuntimeError with what the program said."""

    kubeconfig: Path
    path: str

    def __call__(self, *words: str | Path, stdin: str = "") -> str:
        return self.program("kubectl", *words, stdin=stdin)

    def apply(self, obj: Mapping[str, Any], *, namespace: str = "") -> None:
        """Apply one object."""
        where = ("-n", namespace) if namespace else ()
        self(*where, "apply", "-f", "-", stdin=json.dumps(obj))

    def program(self, *words: str | Path, stdin: str = "") -> str:
        """Any program of the cluster's that finds its way by a kubeconfig."""
        done = subprocess.run(
            [str(word) for word in words],
            env={"PATH": self.path, "KUBECONFIG": str(self.kubeconfig), "HOME": "/nonexistent"},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            shown = " ".join(str(word) for word in words)
            raise RuntimeError(f"{shown}: {done.stderr or done.stdout}")
        return done.stdout
