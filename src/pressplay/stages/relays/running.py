"""The stage `relay`: opens the sockets that the step beside it was promised, until stopped."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pressplay.base import files, redaction
from pressplay.base.errors import PressplayError, Refused
from pressplay.stages import asking, limits, wrapper
from pressplay.stages.environment import Outcome, StageEnvironment
from pressplay.stages.limits import Limits
from pressplay.stages.relays import allowing, connecting, places, serving, sockets

MODEL_KEY = "/var/run/secrets/model"
PRICES = "/etc/pressplay/prices/models.json"

CALLS = 32
"""Calls of the model at a time."""


def run(env: StageEnvironment) -> Outcome:
    """Serve until a signal. What keeps it from starting is told to the waiting step."""
    folder = env.path(places.FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (places.READY, places.REFUSED):
        (folder / name).unlink(missing_ok=True)
    try:
        with ExitStack() as open_ones:
            _open(env, folder, open_ones)
            files.write_atomically(folder / places.READY, b"ready\n")
            threading.Event().wait()
    except wrapper.Stopped:
        return Outcome()
    except PressplayError as error:
        text = env.redact(f"The sidecar relay cannot start: {error}")
        files.write_atomically(folder / places.REFUSED, text.encode())
        raise
    return Outcome()


def read_limits(env: StageEnvironment) -> Limits:
    """What the object asks for, and what `prepare` found in the policy. Raises Refused."""
    asked = limits.of_request(asking.read_request(env))
    text = env.get("LIMITS", "{}")
    try:
        found = Limits.from_json(json.loads(text))
    except (ValueError, AttributeError) as error:
        raise Refused(f"Parameter PRESSPLAY_LIMITS is not what prepare writes: {error}") from error
    return asked.tighter(found)


def _open(env: StageEnvironment, folder: Path, open_ones: ExitStack) -> None:
    # An empty list is one too: it closes the way to every registry.
    allowed = allowing.parse(env.variables.get("PRESSPLAY_REGISTRIES", allowing.DEFAULT))
    proxy = connecting.Proxy(allowed, log=env.log)
    socket = sockets.listen(folder / places.REGISTRIES)
    open_ones.enter_context(serving.serving(socket, proxy.serve))
    env.log("relay_registries", hosts=",".join(sorted(each.host for each in allowed)))
    if (key_folder := env.path(MODEL_KEY)).is_dir():
        _open_meter(env, folder, key_folder=key_folder, open_ones=open_ones)


def _open_meter(
    env: StageEnvironment, folder: Path, *, key_folder: Path, open_ones: ExitStack
) -> None:
    # Imported here: an HTTP client costs a tenth of a second, and most steps have no model.
    from pressplay.stages.relays import metering, prices, upstream  # noqa: PLC0415
    from pressplay.stages.relays.ledger import Ledger  # noqa: PLC0415

    service = upstream.find(key_folder)
    if service is None:
        return

    def redact(text: str) -> str:
        return redaction.redact(env.redact(text), secrets=(service.key.reveal(),))

    def log(event: str, **fields: object) -> None:
        env.log(event, **{name: redact(str(value)) for name, value in fields.items()})

    own = read_limits(env)
    calls = upstream.Upstream(service)
    open_ones.callback(calls.close)
    meter = metering.Meter(
        calls,
        ledger=Ledger(own, keep=_keeper(folder / places.METER)),
        prices=prices.parse(_read_prices(env)),
        log=log,
        redact=redact,
    )
    socket = sockets.listen(folder / places.MODEL)
    open_ones.enter_context(serving.serving(socket, meter.serve, limit=CALLS))
    env.log("relay_model", url=service.url, **own.to_json())


def _read_prices(env: StageEnvironment) -> str:
    path = env.path(PRICES)
    if not path.is_file():
        raise Refused(f"No prices at {path}; mount the ConfigMap model-prices there")
    return path.read_text()


def _keeper(path: Path) -> Callable[[dict[str, Any]], None]:
    return lambda record: files.write_atomically(path, json.dumps(record).encode())
