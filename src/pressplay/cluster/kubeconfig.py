"""A kubeconfig as far as it says where a server is and as whom: what kubectl's users have.

Source: Kubernetes' page "kubeconfig (v1)", and for several files "Organizing Cluster Access Using
kubeconfig Files". Programs that it names (`exec`) are not started.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.cluster import access
from pressplay.cluster.access import Access

_PROGRAMS = ("exec", "auth-provider")


@dataclass(frozen=True)
class _Entry:
    """One named part, and the folder from which its paths count."""

    name: str
    values: Mapping[str, Any]
    folder: Path

    def path(self, field: str) -> Path | None:
        value = self.values.get(field)
        return self.folder / str(value) if value else None

    def text(self, field: str) -> str | None:
        """The PEM text under `field` + -data. Raises Refused."""
        value = self.values.get(f"{field}-data")
        if not value:
            return None
        try:
            return base64.b64decode(str(value), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Refused(f"kubeconfig: {field}-data of {self.name} is no base64 text") from error


def read(paths: Sequence[Path], *, context: str = "") -> Access:
    """The access of a context; the current one where none is named. Raises Refused.

    Of several files the first one that names something counts, as for kubectl.
    """
    files = [(path, _load(path)) for path in paths if path.exists()]
    if not files:
        shown = os.pathsep.join(map(str, paths))
        raise Refused(f"No kubeconfig at {shown}; name one with --kubeconfig")
    wanted = context or next(
        (str(file["current-context"]) for _, file in files if file.get("current-context")), ""
    )
    if not wanted:
        raise Refused("The kubeconfig has no current-context; name one with --context")
    chosen = _find(files, "context", wanted)
    cluster = _find(files, "cluster", str(chosen.values.get("cluster", "")))
    user = _find(files, "user", str(chosen.values.get("user", "")))
    return _access(cluster, user)


def _access(cluster: _Entry, user: _Entry) -> Access:
    url = str(cluster.values.get("server") or "")
    if not url.startswith(("https://", "http://")):
        raise Refused(f"kubeconfig: cluster {cluster.name} has no server that begins with https://")
    program = next((each for each in _PROGRAMS if user.values.get(each)), "")
    if program:
        raise Refused(
            f"kubeconfig: user {user.name} is signed in by a program ({program}), which is not "
            "started here; run in the cluster, or name a user with a token (kubectl create token)"
        )
    if user.values.get("token"):
        return Access(url, token=Secret(str(user.values["token"])), verify=_tls(cluster, user))
    return Access(url, token_file=user.path("tokenFile"), verify=_tls(cluster, user))


def _tls(cluster: _Entry, user: _Entry) -> ssl.SSLContext:
    name = "certificate-authority"
    data = cluster.text(name)
    context = access.trusting(cafile=None if data else cluster.path(name), cadata=data)
    if cluster.values.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _identify(context, user)
    return context


def _identify(context: ssl.SSLContext, user: _Entry) -> None:
    """Show the user's certificate, where there is one. Python reads it from files only."""
    with tempfile.TemporaryDirectory() as made:
        files = [_file(user, field, Path(made)) for field in ("client-certificate", "client-key")]
        if files[0] is None:
            return
        try:
            context.load_cert_chain(files[0], files[1])
        except OSError as error:
            raise Refused(
                f"kubeconfig: the certificate of {user.name} cannot be read: {error}"
            ) from error


def _file(user: _Entry, field: str, folder: Path) -> Path | None:
    data = user.text(field)
    if data is None:
        return user.path(field)
    path = folder / field
    path.touch(mode=0o600)
    path.write_text(data)
    return path


def _find(files: Sequence[tuple[Path, Mapping[str, Any]]], part: str, name: str) -> _Entry:
    for path, file in files:
        for each in file.get(f"{part}s") or ():
            if isinstance(each, dict) and each.get("name") == name:
                return _Entry(name, each.get(part) or {}, path.parent)
    raise Refused(f"The kubeconfig has no {part} {name!r}")


def _load(path: Path) -> Mapping[str, Any]:
    try:
        found = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refused(f"The kubeconfig {path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise Refused(f"The kubeconfig {path} is no mapping")
    return found
