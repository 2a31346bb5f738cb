"""A step beside the sidecar `relay`, in real pods: what it reaches, and that it reaches no more.

In bubblewrap and as plain processes; only the first can keep a step from going its own ways.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pressplay.base.clocks import SystemClock
from pressplay.pods import images, spec
from pressplay.pods.images import Image, Images
from pressplay.pods.running import PodResult, PodRun, PodRunner
from pressplay.pods.sandboxing import Bubblewrap, Sandbox

KEY = "sk-the-real-key-1234567890"
PRICES = '{"models": {"m": {"input": 1, "output": 5}}}'

CARRIED = """
import json, os, pathlib, socket, sys, urllib.error, urllib.request
from pressplay.stages import relaying
from pressplay.stages.environment import StageEnvironment
root = os.environ.get("PRESSPLAY_ROOT", "")
variables = {"PRESSPLAY_ROOT": root} if root else {}
env = StageEnvironment(variables=variables)
def ask(url, **fields):
    body = {"model": "m", "max_tokens": 10, "messages": [], **fields}
    request = urllib.request.Request(url + "/v1/messages", json.dumps(body).encode())
    try:
        return urllib.request.urlopen(request).read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
def connect(url, target):
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
        client.sendall(f"CONNECT {target} HTTP/1.1\\r\\n\\r\\n".encode())
        return client.recv(65536).decode()
with relaying.carried(env) as carried:
"""


@dataclass
class Kept:
    """Sources from plain dictionaries."""

    config_maps: dict[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: dict[str, Mapping[str, bytes]] = field(default_factory=dict)

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        return self.config_maps.get(name)

    def secret(self, namespace: str, name: str) -> Mapping[str, bytes] | None:
        return self.secrets.get(name)

    def account_token(self, namespace: str, account: str) -> str:
        return ""

    def artifact(self, key: str) -> Path | None:
        return None

    def claim(self, namespace: str, name: str) -> Path:
        raise NotImplementedError

    def pod_environment(self) -> Mapping[str, str]:
        return {}


@dataclass
class Model:
    """A model's service on loopback."""

    url: str
    keys: list[str]


@pytest.fixture
def model() -> Iterator[Model]:
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            keys.append(self.headers["x-api-key"])
            body = json.dumps({"usage": {"input_tokens": 1000, "output_tokens": 100}}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Model(f"http://127.0.0.1:{server.server_address[1]}", keys)
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class World:
    runner: PodRunner
    sources: Kept
    created: list[PodRun] = field(default_factory=list)

    async def run(self, script: str, **settings: str) -> tuple[PodResult, str, str]:
        """A step like the agent's; its result, what it printed, and what the sidecar printed."""
        pod = _pod(CARRIED + script)
        self.sources.config_maps["pressplay-settings"] = settings
        run = self.runner.create(
            spec.parse_pod(
                pod,
                name="agent-1",
                namespace="agents",
                uid=f"uid-{len(self.created)}",
                labels={"pressplay.dev/network": "relay"},
            )
        )
        self.created.append(run)
        result = await run.run()
        return result, run.log_path("main").read_text(), run.log_path("relay").read_text()


def _pod(script: str) -> dict[str, Any]:
    return {
        "volumes": [
            {"name": "relay", "emptyDir": {}},
            {"name": "model-key", "secret": {"secretName": "model-key", "optional": True}},
            {"name": "model-prices", "configMap": {"name": "model-prices"}},
        ],
        "initContainers": [
            {
                "name": "relay",
                "image": "pressplay/runner",
                "restartPolicy": "Always",
                "command": ["python3", "-m", "pressplay.stages", "relay"],
                "envFrom": [{"configMapRef": {"name": "pressplay-settings"}}],
                "env": [{"name": "PRESSPLAY_LIMITS", "value": '{"turns": 2}'}],
                "volumeMounts": [
                    {"name": "relay", "mountPath": "/run/relay"},
                    {"name": "model-key", "mountPath": "/var/run/secrets/model"},
                    {"name": "model-prices", "mountPath": "/etc/pressplay/prices"},
                ],
            }
        ],
        "containers": [
            {
                "name": "main",
                "image": "pressplay/runner",
                "command": ["python3", "-c", script],
                "volumeMounts": [{"name": "relay", "mountPath": "/run/relay", "readOnly": True}],
            }
        ],
    }


@pytest.fixture
def world(sandbox: Sandbox, host: Image, tmp_path: Path, model: Model) -> Iterator[World]:
    sources = Kept(config_maps={"model-prices": {"models.json": PRICES}})
    sources.secrets["model-key"] = {"api-key": KEY.encode(), "base-url": model.url.encode()}
    runner = PodRunner(
        directory=tmp_path / "pods",
        images=Images(host=host, named={"pressplay/runner": images.runner_image(host)}),
        sources=sources,
        sandbox=sandbox,
        clock=SystemClock(),
    )
    world = World(runner, sources)
    yield world
    for run in world.created:
        run.remove()
    runner.sweep()


async def test_a_step_speaks_with_the_model_counted_and_without_the_key(
    world: World, model: Model
) -> None:
    script = "    print(ask(carried.model_url))\n    print(relaying.read_cost(env)['usd'])\n"
    result, said, beside = await world.run(script)
    assert result.succeeded, said
    assert said.splitlines() == [
        '{"usage": {"input_tokens": 1000, "output_tokens": 100}}',
        "0.0015",
    ]
    assert model.keys == [KEY]
    assert "model_called model=m prompt=1000 answer=100 usd=0.001500" in beside
    assert KEY not in said + beside


async def test_a_limit_ends_the_calls_of_a_step(world: World, model: Model) -> None:
    script = "    for _ in range(3):\n        print(ask(carried.model_url))\n"
    _, said, beside = await world.run(script)
    assert said.splitlines()[2].startswith('403 {"type": "error"')
    assert "the limit of 2 turns is reached" in said
    assert "model_call_refused" in beside
    assert len(model.keys) == 2


async def test_the_proxy_refuses_what_is_not_listed_and_this_machine(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        targets = [f"127.0.0.1:{port}", f"localhost:{port}", "example.com:443", "a.example:443"]
        script = "".join(
            f"    print(connect(carried.proxy_url, {each!r}).split()[1])\n" for each in targets
        )
        _, said, beside = await world.run(script, PRESSPLAY_REGISTRIES="b.example")
        own.setblocking(False)
        with pytest.raises(BlockingIOError):
            own.accept()
    assert said.split() == ["403"] * 4
    assert beside.count("connection_refused") == 4


async def test_without_a_key_there_are_registries_only(world: World) -> None:
    del world.sources.secrets["model-key"]
    result, said, beside = await world.run(
        "    print(bool(carried.proxy_url), carried.model_url)\n"
    )
    assert result.succeeded
    assert said == "True \n"
    assert "relay_model" not in beside


async def test_a_sidecar_that_cannot_start_is_the_steps_own_error(world: World) -> None:
    world.sources.secrets["model-key"] = {"base-url": b"http://models.example"}
    result, said, beside = await world.run("    print('carried')\n")
    assert not result.succeeded
    assert "must begin with https://" in said.splitlines()[-1]
    assert "must begin with https://" in beside


async def test_a_step_in_a_sandbox_cannot_go_around_its_relay(
    world: World, model: Model, sandbox: Sandbox
) -> None:
    if not isinstance(sandbox, Bubblewrap):
        pytest.skip("without a sandbox nothing keeps it, which the warning says")
    port = model.url.rpartition(":")[2]
    script = (
        "    def attempt(what, do):\n"
        "        try:\n"
        "            print(what, do())\n"
        "        except OSError as error:\n"
        "            print(what, type(error).__name__)\n"
        "    relay = pathlib.Path('/run/relay')\n"
        f"    attempt('loopback', lambda: socket.create_connection(('127.0.0.1', {port})))\n"
        "    attempt('names', lambda: socket.getaddrinfo('pypi.org', 443))\n"
        "    attempt('meter', lambda: (relay / 'meter.json').write_text('{}'))\n"
        "    attempt('socket', lambda: (relay / 'model.sock').unlink())\n"
        "    attempt('key', lambda: list(pathlib.Path('/var/run/secrets/model').iterdir()))\n"
        "    print('processes', sum(p.name.isdigit() for p in pathlib.Path('/proc').iterdir()))\n"
    )
    result, said, _ = await world.run(script)
    assert result.succeeded, said
    assert said.splitlines() == [
        "loopback ConnectionRefusedError",
        "names gaierror",
        "meter OSError",
        "socket OSError",
        "key FileNotFoundError",
        "processes 2",
    ]
    assert model.keys == []
