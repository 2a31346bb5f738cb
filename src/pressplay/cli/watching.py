"""Watching a run without asking again and again: the server tells each change.

A server that went away is started again: the run goes on where its records end.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pressplay.base.errors import PressplayError, Refused, Unavailable
from pressplay.cli import local_server, pipelines, progress, terminal_text
from pressplay.cli.progress import Pod
from pressplay.cluster.kube import KubeClient, ServerFailed
from pressplay.cluster.port import Object
from pressplay.server.standing import NAMESPACE

AGENT = "agent"
"""The step in which the model is called."""

METER, CALLED = "relay", "model_called"
"""The container that counts the model's calls, and the event of its log that tells of one."""

_FIELDS = 20
_SPELL_S = 300.0
"""How long one watch lasts before the server is looked for again."""

_FAILURES = 3
"""How often a server may say that it cannot go on."""

_PAUSE_S = 0.5
_SILENCE_S = 60.0
_LOOK_S = 2.0
"""How often an agent's steps are looked for while the run itself stands still."""

_KEPT = 64 * 1024
"""Bytes of an unfinished line that are kept: enough to show, whatever a step prints."""


def follow(state: Path, run: str, *, tell: Callable[[Object], None], timeout_s: float) -> Object:
    """Hand each state of the run to `tell` until it is finished; returns the finished Workflow.

    Raises Refused where the run is not there or is deleted, Unavailable after `timeout_s`.
    """
    until = time.monotonic() + timeout_s
    for workflow in _states(state, run, until=until):
        tell(workflow)
        if workflow.get("status", {}).get("finishedAt"):
            return workflow
    raise Unavailable(
        f"Run {run} is still going after {timeout_s:.0f} s; "
        f"`pressplay workflow watch {run}` goes on watching"
    )


def _states(state: Path, run: str, *, until: float) -> Iterator[Object]:
    failures = 0
    while (left := until - time.monotonic()) > 0:
        address = local_server.ensure(state)
        try:
            with pipelines.open_kube(address) as kube:
                if kube.get("Workflow", NAMESPACE, run) is None:
                    raise Refused(f"There is no run {run}; `pressplay workflow list` shows them")
                spell = min(left, _SPELL_S)
                for change in kube.watch("Workflow", NAMESPACE, name=run, timeout_s=spell):
                    if change.type == "DELETED":
                        raise Refused(f"Run {run} was deleted while it was watched")
                    yield change.object
        except ServerFailed:
            # Started again it may find what it lacked, or lack it again.
            failures += 1
            if failures == _FAILURES:
                raise
            time.sleep(_PAUSE_S)
        except Unavailable:
            # It ended or was killed: `ensure` starts it again, or says why it cannot.
            time.sleep(_PAUSE_S)


def wait_for_change(kube: KubeClient, workflow: Object) -> None:
    """Return as soon as a run, or what it made, is no longer as it was; soon enough anyway."""
    name, version = (workflow["metadata"][key] for key in ("name", "resourceVersion"))
    for change in kube.watch("Workflow", NAMESPACE, name=name, timeout_s=_LOOK_S):
        if change.object["metadata"]["resourceVersion"] != version:
            return


class Surroundings:
    """What goes on around a run: the Workflows of its agents, the running step's last line, and
    what the agent that runs has cost so far.

    Threads listen until the block ends; they hold nothing that must be given back, so the end of
    the process may cut them short.
    """

    def __init__(self, state: Path, run: str, *, changed: Callable[[], None]) -> None:
        self._state = state
        self._run = run
        self._changed = changed
        self._over = threading.Event()
        self._children: dict[str, Object] = {}
        self._words = _Ear(container="main", tail=1)
        self._meter = _Ear(container=METER, tail=0)

    @property
    def children(self) -> list[Object]:
        """The Workflows of the run's agents as they are now."""
        return list(self._children.values())

    @property
    def line(self) -> str:
        """The last line that the running step printed, fit to be shown."""
        return terminal_text.last_line(self._words.last)

    @property
    def usd(self) -> float | None:
        """What the model cost the agent that runs; None where it was not called."""
        amounts = [found for line in self._meter.lines if (found := cost_of_call(line)) is not None]
        return sum(amounts) if amounts else None

    def listen_to(self, pod: Pod | None) -> None:
        """Whose words are wanted from now on."""
        self._words.turn_to(pod)
        self._meter.turn_to(pod if pod is not None and pod.step == AGENT else None)

    def __enter__(self) -> Surroundings:
        for work in (
            self._watch_children,
            functools.partial(self._listen, self._words),
            functools.partial(self._listen, self._meter),
        ):
            threading.Thread(target=self._go_on, args=(work,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _go_on(self, work: Callable[[KubeClient], None]) -> None:
        """Repeat `work`; who follows the run starts the server again, and says what is wrong."""
        while not self._over.is_set():
            with contextlib.suppress(PressplayError):
                address = local_server.find(self._state)
                if address is not None:
                    with pipelines.open_kube(address) as kube:
                        work(kube)
            self._over.wait(_PAUSE_S)

    def _watch_children(self, kube: KubeClient) -> None:
        labels = f"{progress.RUN}={self._run}"
        for change in kube.watch("Workflow", NAMESPACE, labels=labels, timeout_s=_SPELL_S):
            if self._over.is_set():
                return
            name = change.object["metadata"]["name"]
            if change.type == "DELETED":
                self._children.pop(name, None)
            else:
                self._children[name] = change.object
            self._changed()

    def _listen(self, ear: _Ear, kube: KubeClient) -> None:
        while not self._over.is_set():
            pod = ear.pod
            if pod is None:
                self._over.wait(_PAUSE_S)
                continue
            for piece in ear.open(kube, pod):
                if self._over.is_set() or pod != ear.pod:
                    break
                if ear.hear(piece):
                    self._changed()
            self._over.wait(_PAUSE_S)


class _Ear:
    """Whole lines of one container of the pod that is listened to.

    Only whole ones: the beginning of a token does not look like a token.
    """

    def __init__(self, *, container: str, tail: int) -> None:
        self.pod: Pod | None = None
        self.lines: list[bytes] = []
        self._container = container
        self._tail = tail
        self._rest = b""

    @property
    def last(self) -> bytes:
        """The last line."""
        return self.lines[-1] if self.lines else b""

    def turn_to(self, pod: Pod | None) -> None:
        """Forget one pod's words for those of another."""
        if pod != self.pod:
            self.pod = pod
            self.lines = []

    def open(self, kube: KubeClient, pod: Pod) -> Iterator[bytes]:
        """The words from their beginning, or from the last `tail` lines on where there is one."""
        self._rest = b""
        heard = kube.follow_logs(
            NAMESPACE, pod.name, container=self._container, tail=self._tail, timeout_s=_SILENCE_S
        )
        first = next(heard, b"")
        if not self._tail:
            self.lines = []
        yield first
        yield from heard

    def hear(self, piece: bytes) -> bool:
        """Take some bytes; answers whether they ended a line."""
        *lines, rest = (self._rest + piece).split(b"\n")
        self._rest = rest[-_KEPT:]
        said = [line[-_KEPT:] for line in lines if line.strip()]
        if said:
            self.lines = said[-1:] if self._tail else self.lines + said
        return bool(said)


def cost_of_call(line: bytes) -> float | None:
    """What one call of a model cost, in US dollars, as the meter tells of it; else None."""
    event, *fields = line.decode("utf-8", errors="replace").split()[:_FIELDS] or [""]
    told = dict(each.partition("=")[::2] for each in fields)
    if event != CALLED or "usd" not in told:
        return None
    try:
        return float(told["usd"])
    except ValueError:
        return None
