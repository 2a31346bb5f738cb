"""What a pod is made of besides its spec: the port to whoever keeps objects and artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Sources(Protocol):
    """Answers at the start of a pod. No method waits; each may be called any number of times."""

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The keys of a ConfigMap, or None where there is none."""

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        """The keys of a Secret, decoded, or None where there is none."""

    def account_token(self, namespace: str, account: str) -> str:
        """A token that speaks for the service account; empty where it has no rights at all."""

    def artifact(self, key: str) -> Path | None:
        """The stored file or folder at a key, or None."""

    def claim(self, namespace: str, name: str) -> Path:
        """The folder of a PersistentVolumeClaim, made if need be; it outlives every pod.

        Nothing that a pod runs may write to the folder that holds it. Raises Refused.
        """

    def pod_environment(self) -> Mapping[str, str]:
        """Variables for every pod with a service account, such as PRESSPLAY_KUBE_URL."""
