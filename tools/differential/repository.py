"""An artifact repository for a cluster under test: `start()` gives one, `objects()` announces it.

    from differential import repository
    with repository.start(cluster_tools=…, cache=…) as artifacts:
        for obj in artifacts.objects():
            …apply obj in a namespace…   # a ConfigMap `artifact-repositories` and a Secret
        …run workflows there: artifacts with a key alone, or with none, go to this one…

The server is a real S3 gateway over a plain folder, on loopback; pods reach it by the cluster's
own relay. Gofakes3 was tried before it: it refuses empty objects, and stores the parts of large
ones with the signatures of their chunks.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

GATEWAY = "github.com/versity/versitygw/cmd/versitygw"
GATEWAY_VERSION = "v1.8.0"

HOST = "host.cluster.local"
"""What pods call this machine's loopback, see the cluster's README."""

_BUCKET = "pressplay"
_START_S = 20.0


@dataclass(frozen=True)
class Repository:
    """A running S3 server.

    `endpoint` is its address as pods see it, `port` that on this machine's loopback, `folder`
    where an object's bytes lie, by its key.
    """

    bucket: str
    endpoint: str
    port: int
    access_key: str
    secret_key: str
    folder: Path
    process: subprocess.Popen[bytes]
    scratch: tempfile.TemporaryDirectory[str]

    def objects(self) -> list[dict[str, Any]]:
        """What makes this the default artifact repository of the namespace it is applied in."""
        s3 = {"bucket": self.bucket, "endpoint": self.endpoint, "insecure": True, **self._keys()}
        name = "artifact-repositories"
        default = {"workflows.argoproj.io/default-artifact-repository": "default"}
        return [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "annotations": default},
                "data": {"default": yaml.safe_dump({"s3": s3})},
            },
            self.secret(),
        ]

    def secret(self) -> dict[str, Any]:
        """The keys alone, for a namespace whose ConfigMap is there already."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "artifact-repository"},
            "stringData": {"access-key": self.access_key, "secret-key": self.secret_key},
        }

    def keys(self, prefix: str) -> list[str]:
        """Every key that begins with `prefix`, in order."""
        found = (each for each in self.folder.rglob("*") if each.is_file())
        names = (str(each.relative_to(self.folder)) for each in found)
        # The gateway keeps unfinished uploads beside the objects.
        kept = (name for name in names if not name.startswith(".sgwtmp/"))
        return sorted(name for name in kept if name.startswith(prefix))

    def close(self) -> None:
        """End the server; what it held is gone."""
        self.process.terminate()
        self.process.wait(timeout=_START_S)
        self.scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    @staticmethod
    def _keys() -> dict[str, Any]:
        return {
            "accessKeySecret": {"name": "artifact-repository", "key": "access-key"},
            "secretKeySecret": {"name": "artifact-repository", "key": "secret-key"},
        }


def start(*, cluster_tools: Path, cache: Path) -> Repository:
    """Start a server with one empty bucket, and let the running cluster's pods reach it.

    `cluster_tools` is the folder of the cluster's scripts; `cache` keeps the server's program,
    which takes a minute or two to build, once. The port's relay ends with the cluster.
    """
    program = _program(cache)
    scratch = tempfile.TemporaryDirectory(prefix="artifacts-", ignore_cleanup_errors=True)
    folder = Path(scratch.name) / _BUCKET
    folder.mkdir()
    port = free_port()
    access_key, secret_key = secrets.token_hex(8), secrets.token_hex(16)
    process = subprocess.Popen(
        [program, "--quiet", "--port", f"127.0.0.1:{port}", "posix", scratch.name],
        env={"ROOT_ACCESS_KEY": access_key, "ROOT_SECRET_KEY": secret_key},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _await(process, port)
    expose(cluster_tools, port)
    return Repository(
        bucket=_BUCKET,
        endpoint=f"{HOST}:{port}",
        port=port,
        access_key=access_key,
        secret_key=secret_key,
        folder=folder,
        process=process,
        scratch=scratch,
    )


def expose(cluster_tools: Path, port: int) -> None:
    """Let pods reach a server on this machine's loopback, until the cluster ends."""
    subprocess.run(
        [cluster_tools / "expose", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _program(cache: Path) -> Path:
    """The server, built of its Go module where it is not there yet."""
    folder = cache / f"versitygw-{GATEWAY_VERSION}"
    program = folder / "versitygw"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # `env` sets the one variable; all others stay as they are for Go's own settings.
        command = ["env", f"GOBIN={folder}", "go", "install", f"{GATEWAY}@{GATEWAY_VERSION}"]
        subprocess.run(command, check=True, capture_output=True)
    return program


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    process.kill()
    process.wait()
    raise RuntimeError(f"The artifact repository did not listen on port {port} in {_START_S:.0f} s")
