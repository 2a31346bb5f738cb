"""How a walled-in step reaches the few services that it may: over sockets carried into its pod.

The step's own network is a bare loopback. The sidecar `relay` listens on sockets in a shared
folder; here ports of that loopback are joined to them, because package clients and model clients
speak TCP. Where no sidecar is, nothing is carried and every address is empty.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pressplay.base.errors import Refused, Unavailable
from pressplay.stages.environment import StageEnvironment
from pressplay.stages.relays import places

CONFIGURED = "/etc/pressplay/registries"
"""The operator's own settings of package clients, where there are any."""

START_S = 60.0
"""Seconds that the sidecar may need: a cluster may start it after the step."""

SETTLING_S = 5.0
"""Seconds that the meter may need to notice that a client is gone."""

_LOOK_AGAIN_S = 0.002
_METER_LIMIT = 64 * 1024

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where distributions keep the authorities that their administrator trusts."""

_BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)
_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY")
_PAST_THE_PROXY = "127.0.0.1,localhost,::1"

_CONFIGURED = {
    "pip.conf": "PIP_CONFIG_FILE",
    "npmrc": "NPM_CONFIG_GLOBALCONFIG",
    "cargo.toml": "CARGO_CONFIGURED",
}
"""Files of package clients, and the variable that leads the client there; cargo knows none, and
whoever starts it places the file (toolchains.rust_dependencies)."""


@dataclass(frozen=True)
class Carried:
    """Addresses on the step's own loopback; empty where the service is not there."""

    proxy_url: str = ""
    model_url: str = ""
    configured: Mapping[str, str] = field(default_factory=dict)
    """Variables by which package clients find the operator's settings."""

    def registry_variables(self) -> dict[str, str]:
        """What package clients need in their environment; empty where there is no proxy.

        Their own bundles of authorities would not know an administrator's: they get the system's.
        """
        if not self.proxy_url:
            return {}
        proxy = dict.fromkeys((*_PROXY_VARIABLES, "CARGO_HTTP_PROXY"), self.proxy_url)
        small = {name.lower(): self.proxy_url for name in _PROXY_VARIABLES}
        past = dict.fromkeys(("NO_PROXY", "no_proxy"), _PAST_THE_PROXY)
        return {**proxy, **small, **past, **_bundle_variables(), **self.configured}


@contextmanager
def carried(env: StageEnvironment) -> Iterator[Carried]:
    """The services that this step's sidecar offers, reachable while the context lasts.

    Raises Refused where the sidecar said that it cannot start, Unavailable where it never did.
    """
    folder = env.path(places.FOLDER)
    if not folder.is_dir():
        yield Carried()
        return
    _await_ready(folder)
    with ExitStack() as carriers:
        yield Carried(
            proxy_url=_carry(carriers, folder, places.REGISTRIES),
            model_url=_carry(carriers, folder, places.MODEL),
            configured=_configured(env.path(CONFIGURED)),
        )


def read_cost(env: StageEnvironment) -> dict[str, Any]:
    """What the model cost in this step; empty where there is no meter.

    To be asked when no client is left. A call that still stands open is waited for, and where it
    does not end, taken at what was put aside for it: `estimated` then says so.
    """
    path = env.path(places.FOLDER) / places.METER
    until = time.monotonic() + SETTLING_S
    while True:
        found = _read_meter(path)
        left = found.pop("open", None)
        if not left or not left["calls"]:
            return found
        if time.monotonic() > until:
            return {**found, "usd": found["usd"] + left["usd"], "estimated": True}
        time.sleep(_LOOK_AGAIN_S)


def _read_meter(path: Path) -> dict[str, Any]:
    """The meter's record. Without a sandbox others can write it: what is no record is none."""
    try:
        value = json.loads(path.read_bytes()[:_METER_LIMIT])
        for number in (value["usd"], value["open"]["calls"], value["open"]["usd"]):
            if not isinstance(number, int | float):
                return {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return cast("dict[str, Any]", value)


def _await_ready(folder: Path) -> None:
    until = time.monotonic() + START_S
    while not (folder / places.READY).exists():
        if (folder / places.REFUSED).exists():
            raise Refused((folder / places.REFUSED).read_text().strip())
        if time.monotonic() > until:
            raise Unavailable(
                f"The sidecar relay did not come up within {START_S:.0f} s; see its log"
            )
        time.sleep(_LOOK_AGAIN_S)


def _carry(carriers: ExitStack, folder: Path, name: str) -> str:
    if not (folder / name).exists():
        return ""
    # Imported here: sockets and threads cost time, and most steps have nothing to carry.
    from pressplay.stages.relays import carrying  # noqa: PLC0415

    port = carriers.enter_context(carrying.carrier(folder / name))
    return f"http://127.0.0.1:{port}"


def _configured(folder: Path) -> dict[str, str]:
    return {
        variable: str(folder / name)
        for name, variable in _CONFIGURED.items()
        if (folder / name).is_file() and (folder / name).stat().st_size
    }


def _bundle_variables() -> dict[str, str]:
    found = next((each for each in _BUNDLES if Path(each).is_file()), "")
    return dict.fromkeys(_BUNDLE_VARIABLES, found) if found else {}
