"""The live picture of a run on a terminal, drawn over itself as the run goes on."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Self, TextIO

from rich.console import Console, Group
from rich.text import Text

from pressplay.base import clocks
from pressplay.base.clocks import SystemClock
from pressplay.base.errors import PressplayError
from pressplay.cli import local_server, pipelines, progress
from pressplay.cli.progress import Progress, Stage
from pressplay.cli.watching import Surroundings
from pressplay.cluster.port import Object
from pressplay.server.standing import NAMESPACE

_REDRAW_S = 0.5
_LEAST_S = 0.1
"""However much is printed, no more than ten pictures a second."""

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MARKS = {
    "Succeeded": ("✓", "green"),
    "Failed": ("✗", "bold red"),
    "Error": ("✗", "bold red"),
    "Skipped": ("-", "dim"),
    "Omitted": ("-", "dim"),
    "Pending": ("…", "yellow"),
    "": ("·", "dim"),
}


def picture(shown: Progress, *, line: str, elapsed_s: float, beat: int = 0) -> Group:
    """What is drawn: the stages, what is known of the result, and the running step's last line."""
    rows = [_stage(each, beat) for each in shown.stages]
    rows.append(Text(""))
    if shown.pull:
        rows.append(_fact("Pull request", f"#{shown.pull} {shown.pull_url}".rstrip(), "cyan"))
    if shown.preview_url:
        rows.append(_fact("Preview", shown.preview_url, "cyan"))
    if shown.usd is not None:
        rows.append(_fact("Spend", f"${shown.usd:.2f}"))
    rows.append(_fact("Time", clock_text(elapsed_s)))
    if shown.pod is not None:
        rows.append(_fact(shown.pod.step, line or "…", "dim"))
    return Group(*rows)


def clock_text(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _stage(stage: Stage, beat: int) -> Text:
    mark, style = _MARKS.get(stage.phase, (_SPINNER[beat % len(_SPINNER)], "bold cyan"))
    text = _row()
    text.append(f"  {mark} ", style)
    text.append(
        f"{stage.name:<14}", "bold" if stage.is_running else style if not stage.phase else ""
    )
    text.append(f" {clock_text(stage.seconds) if stage.phase else '':>7}", "dim")
    # Appended as text: what a step says is never markup.
    text.append(f"  {stage.note}", "dim")
    return text


def _fact(name: str, value: str, style: str = "") -> Text:
    text = _row()
    text.append(f"  {name:<13} ", "dim")
    text.append(value, style)
    return text


def _row() -> Text:
    return Text(no_wrap=True, overflow="ellipsis", end="\n")


class Screen:
    """Draws lines over those that it drew last.

    Where the window became narrower meanwhile, the terminal has broken the old lines anew: then
    more rows are taken back than were drawn.
    """

    def __init__(self, stream: TextIO, *, size: Callable[[], tuple[int, int]]) -> None:
        self._stream = stream
        self._size = size
        self._widths: list[int] = []
        self._drawn_at = 0

    def open(self) -> None:
        """Hide the cursor."""
        self._write("\x1b[?25l")

    def close(self) -> None:
        """Show the cursor; what was drawn last stays."""
        self._write("\x1b[?25h")

    def draw(self, shown: Group) -> None:
        """Draw so much as fits the window, the newest at the bottom."""
        width, height = self._size()
        lines, widths = _lines(shown, width=width, stream=self._stream)
        kept = max(1, height - 1)
        lines, widths = lines[-kept:], widths[-kept:]
        text = self._back(width) + "".join(f"{each}\x1b[0m\x1b[K\n" for each in lines) + "\x1b[J"
        self._widths, self._drawn_at = widths, width
        self._write(text)

    def _back(self, width: int) -> str:
        rows = len(self._widths)
        if width < self._drawn_at:
            rows = sum(max(1, -(-each // width)) for each in self._widths)
        return f"\r\x1b[{rows}A" if rows else "\r"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _lines(shown: Group, *, width: int, stream: TextIO) -> tuple[list[str], list[int]]:
    """The picture's lines with their colours, and how wide each is seen.

    One column is left free: a line that fills the last one makes some terminals begin another.
    """
    console = Console(
        file=stream,
        width=max(10, width - 1),
        force_terminal=True,
        markup=False,
        highlight=False,
        emoji=False,
    )
    with console.capture() as captured:
        console.print(shown)
    lines = captured.get().removesuffix("\n").split("\n")
    return lines, [Text.from_ansi(each).cell_len for each in lines]


def _window() -> tuple[int, int]:
    size = shutil.get_terminal_size()
    return size.columns, size.lines


class LiveView:
    """Shows a run on a terminal while it goes on."""

    def __init__(self, state: Path, run: str, *, stream: TextIO = sys.stdout) -> None:
        self._state = state
        self._screen = Screen(stream, size=_window)
        self._changed = threading.Event()
        self._over = threading.Event()
        self._around = Surroundings(state, run, changed=self._changed.set)
        self._workflow: Object | None = None
        self._planned: tuple[str, ...] = ()
        self._beat = 0
        self._drawer = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> Self:
        try:
            self._screen.open()
            self._around.__enter__()
            self._drawer.start()
        except BaseException:  # Ctrl-C, just here: the cursor must not stay hidden
            self._screen.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._over.set()
            self._changed.set()
            self._drawer.join()
            self._around.__exit__()
            self._draw()
        finally:
            self._screen.close()

    def tell(self, workflow: Object) -> None:
        """The run's new state is in the next picture."""
        if not self._planned:
            self._planned = self._plan(workflow)
        self._workflow = workflow
        self._changed.set()

    def shown(self, now: datetime) -> tuple[Progress, str] | None:
        """How far the run is, and its last line; None before anything is known."""
        workflow = self._workflow
        if workflow is None:
            return None
        found = progress.read(
            workflow,
            self._around.children,
            planned=self._planned,
            now=now,
            usd=self._around.usd,
        )
        self._around.listen_to(found.pod)
        return found, self._around.line

    def _go_on(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError):  # the terminal went away; the run does not
                self._draw()
            self._changed.wait(_REDRAW_S)
            self._changed.clear()
            self._over.wait(_LEAST_S)

    def _draw(self) -> None:
        now = SystemClock().now()
        found = self.shown(now)
        if found is None or self._workflow is None:
            return
        self._beat += 1
        status = self._workflow.get("status", {})
        begun = status.get("startedAt") or self._workflow["metadata"]["creationTimestamp"]
        until = clocks.from_text(status["finishedAt"]) if status.get("finishedAt") else now
        elapsed = max(0.0, (until - clocks.from_text(begun)).total_seconds())
        self._screen.draw(picture(found[0], line=found[1], elapsed_s=elapsed, beat=self._beat))

    def _plan(self, workflow: Object) -> tuple[str, ...]:
        """The stages that are still to come; none where the server cannot say now."""
        name = workflow["spec"].get("workflowTemplateRef", {}).get("name", "")
        address = local_server.find(self._state)
        if not name or address is None:
            return ()
        try:
            with pipelines.open_kube(address) as kube:
                template = kube.get("WorkflowTemplate", NAMESPACE, name)
        except PressplayError:
            return ()
        return progress.stages_of(template or {})
