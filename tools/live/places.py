"""Where the cluster's tools, its settings and our own cache are, as the environment says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

TOOLS = "CLUSTER_TOOLS"
"""Variable: the folder with `up`, `expose`, `load-image` and `mkimage.py`."""

_DEFAULT_TOOLS = REPOSITORY.parent / "shared" / "cluster"
_NEEDED = ("enter", "expose", "load-image", "mkimage.py")


class NotHere(Exception):
    """There is no cluster to test on; the text says what to do."""


@dataclass(frozen=True)
class Places:
    """`tools` are the cluster's scripts, `kubeconfig` is how to reach it, `cache` is ours."""

    tools: Path
    kubeconfig: Path
    cache: Path


def find(variables: Mapping[str, str]) -> Places:
    """What `eval "$(…/up)"` left in the environment. Raises NotHere."""
    tools = Path(variables.get(TOOLS) or _DEFAULT_TOOLS)
    missing = [name for name in _NEEDED if not (tools / name).is_file()]
    if missing:
        raise NotHere(f"No cluster tools: {tools} lacks {', '.join(missing)}; set {TOOLS}")
    kubeconfig = variables.get("KUBECONFIG", "")
    if not kubeconfig or not Path(kubeconfig).is_file():
        raise NotHere(f'No cluster: KUBECONFIG names no file; run eval "$({tools}/up)"')
    if not (Path(kubeconfig).parent / "init.pid").is_file():
        # These tests remove namespaces that somebody else's cluster may need.
        raise NotHere(f"KUBECONFIG is not of a cluster that {tools}/up started")
    home = Path(variables.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Places(tools=tools, kubeconfig=Path(kubeconfig), cache=home / "pressplay-live")
