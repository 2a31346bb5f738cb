"""How long the command line takes to start, next to an empty program and an empty command of click.

    python bench/start.py [ROUNDS]

The programs take turns, so that a busy machine is busy for all of them. The floor is the best of
each, the typical time its median.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

EMPTY = [sys.executable, "-c", "pass"]
CLICK = [
    sys.executable,
    "-c",
    "import click\n@click.command()\ndef main(): pass\nmain()",
    "--help",
]
PRESSPLAY = str(Path(sys.executable).parent / "pressplay")
PROGRAMS = {
    "python -c pass": EMPTY,
    "click, one command, --help": CLICK,
    "pressplay --help": [PRESSPLAY, "--help"],
    "pressplay --version": [PRESSPLAY, "--version"],
    "pressplay run --help": [PRESSPLAY, "run", "--help"],
    "pressplay workflow --help": [PRESSPLAY, "workflow", "--help"],
    "pressplay rnu (mistyped)": [PRESSPLAY, "rnu"],
}
LIMIT_MS = 100.0
"""What `pressplay --help` may take."""


def once(command: list[str]) -> float:
    """Milliseconds until the program has ended."""
    begun = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False)
    return (time.perf_counter() - begun) * 1e3


def main(rounds: int) -> None:
    """Print a line for each program; end with 1 if `--help` takes too long."""
    took: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for command in PROGRAMS.values():
        once(command)
    for _ in range(rounds):
        for name, command in PROGRAMS.items():
            took[name].append(once(command))
    bare = took["python -c pass"]
    minimal = took["click, one command, --help"]
    for name, times in took.items():
        to_bare = statistics.median(a / b for a, b in zip(times, bare, strict=True))
        to_click = statistics.median(a / b for a, b in zip(times, minimal, strict=True))
        print(
            f"{name:28} best {min(times):6.1f} ms, median {statistics.median(times):6.1f} ms, "
            f"{to_bare:4.1f} x python, {to_click:4.2f} x click"
        )
    # The best time is the program's own; all above it is the machine's.
    found = min(took["pressplay --help"])
    print(f"pressplay --help: {found:.1f} ms at best, limit {LIMIT_MS:.0f} ms")
    if found > LIMIT_MS:
        sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
