"""Make docs/terminal.svg: what `pressplay demo` shows on a terminal, taken while it runs.

    python tools/terminal_picture.py PICTURE.svg

The command runs on a pseudoterminal, in a home folder of its own; one of the pictures that it
drew, with the lines that it printed before, becomes the SVG. Nothing in it is written by hand but
the prompt.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 88, 32
STAGE = "acceptance"
"""The picture is the last one in which this stage runs."""

_FRAME = re.compile(r"\r(?:\x1b\[[0-9]+A)?((?:[^\r])*?)\x1b\[J", re.DOTALL)
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def record(home: Path) -> str:
    """Everything that the command wrote to its terminal."""
    child, terminal = pty.fork()
    if child == 0:
        env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}  # noqa: TID251 - the caller's
        for name in (".cargo", ".rustup"):
            # The user's tools, from a home that is not the user's.
            kept = Path.home() / name
            env[f"{name.lstrip('.').upper()}_HOME"] = str(kept)
        program = [sys.executable, "-m", "pressplay.cli", "demo"]
        os.execve(  # noqa: S606 - a program of ours on a terminal of its own
            program[0], program, {**env, "HOME": str(home), "TERM": "xterm-256color"}
        )
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    written = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break  # Linux says so that nobody holds the other end any more.
        if not piece:
            break
        written += piece
    _, status = os.waitpid(child, 0)
    text = written.decode().replace("\r\n", "\n")
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"the demo failed:\n{text}")
    return text


def choose(written: str) -> Text:
    """The lines before the first picture, and the last picture in which the stage runs."""
    before, _, _ = written.partition("\x1b[?25l")
    frames = [found[1] for found in _FRAME.finditer(written)]
    running = [each for each in frames if re.search(rf"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] .*{STAGE}", _plain(each))]
    if not running:
        sys.exit(f"the stage {STAGE} was over before it was drawn")
    shown = running[-1].replace("\x1b[K", "")
    return Text.from_ansi(f"$ pressplay demo\n{before}{shown}".rstrip())


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def main(target: Path) -> None:
    """Run, choose, write."""
    with tempfile.TemporaryDirectory() as home:
        shown = choose(record(Path(home)))
        # The server that the command left must not outlive its folder.
        down = [sys.executable, "-m", "pressplay.cli", "down"]
        env = {"HOME": home, "PATH": os.environ["PATH"]}  # noqa: TID251 - the caller's tools
        subprocess.run(down, env=env, check=True, stdout=subprocess.DEVNULL)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(shown)
        svg = console.export_svg(title="pressplay demo", unique_id="pressplay")
    # Without fonts from elsewhere: a picture in a README must fetch nothing.
    svg = _FONTS.sub("", svg).replace("Fira Code", "ui-monospace, Menlo, Consolas")
    target.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
