"""Does what most stages begin with, so that their forks find it done.

What Python does for the first time takes twice as long as what it has done before: patterns are
compiled, code is specialized, and each page written to is one that a fork would have to copy.
Nothing real is touched: the server that is asked is a fork of this process, and knows nothing.
"""

from __future__ import annotations

import os
import signal
import socketserver
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pressplay.api import policy
from pressplay.base import files, processes
from pressplay.base.clocks import SystemClock
from pressplay.base.redaction import Secret
from pressplay.cluster.kube import KubeClient
from pressplay.evidence import judging, samples, trees
from pressplay.evidence.samples import Sample
from pressplay.evidence.targets import Address, Urls
from pressplay.forge import tokens
from pressplay.forge.client import Forge
from pressplay.stages.environment import StageEnvironment
from pressplay.stages.gates import rules
from pressplay.stages.git import Change

TIMES = 10
"""Python 3.11 specializes code that has run eight times (PEP 659)."""

_SMALL_KEY = 1024
_LONGEST_S = 10
"""After which the server ends by itself, should nobody be left to end it."""

_ANSWER = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_SHA = "0" * 40
_POLICY = """
version: 1
agent: {kind: scripted, timeout: 1m}
preview: {process: {command: [app], ready: /}}
acceptance: {load: {timeout_s: 10}, endpoints: [{path: /}]}
"""


def rehearse() -> None:
    """Ask both APIs, sign, read and write, judge a change and samples; several times."""
    key = _key()
    with _nobody() as url, tempfile.TemporaryDirectory() as folder:
        for _ in range(TIMES):
            token = tokens.app_jwt("1", key, SystemClock().now())
            with KubeClient(url=url, token=token) as kube, Forge(api_url=url, token=token) as forge:
                kube.get("ConfigMap", "none", "none")
                forge.branch("none", "none", "none")
            _write_and_read(Path(folder))
            _judge()
            processes.run(["/bin/true"], env={})
    # Where temporary files go is another place in each stage.
    tempfile.tempdir = None


def _write_and_read(folder: Path) -> None:
    record = policy.Record(policy.parse(_POLICY, source="none"), base_sha=_SHA)
    policy.Record.from_json(record.to_json())
    env = StageEnvironment({"PRESSPLAY_ROOT": str(folder)})
    env.write_output("none", "none")
    env.write_artifact("none.json", record.to_json())
    files.copy_plain(env.artifacts, folder / "copy")
    trees.clean(trees.read_tree(env.artifacts))
    files.remove_tree(folder / "copy")


def _judge() -> None:
    change = Change("M", "src/none.py", "100644", "100644", _SHA, _SHA)
    rules.judge_path(change)
    list(rules.judge_tests_only([change], policy.DEFAULT.qa.paths))
    asked = policy.DEFAULT.acceptance
    place = Address("none", path="/", url="http://none/", connect="none:1")
    urls = Urls(("none",), ns="none", release="none", endpoints=(place,), deployer="x", sha=_SHA)
    answers = [Sample("GET /", "none", "/", "GET", 1, n, 0.0, 1.0, 200, ok=True) for n in (1, 2)]
    judging.judge(samples.read(samples.write(answers).encode()), acceptance=asked, urls=urls)


def _key() -> Secret:
    made = rsa.generate_private_key(public_exponent=65537, key_size=_SMALL_KEY)
    return Secret(
        made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
    )


class _Denial(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        # Each request is smaller than what is read at once.
        while self.request.recv(65536):
            self.request.sendall(_ANSWER)


@contextmanager
def _nobody() -> Iterator[str]:
    """The address of a server that says of everything that it is not there.

    In a process of its own: a thread would change how this process and its forks take signals.
    """
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Denial) as server:
        pid = os.fork()
        if pid == 0:
            try:
                signal.alarm(_LONGEST_S)
                server.serve_forever()
            finally:
                os._exit(0)
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
