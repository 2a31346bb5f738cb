"""`python -m pressplay.stages.scripted_model SCRIPT`: the double, until it is interrupted."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from pressplay.base.errors import PressplayError
from pressplay.stages.scripted_model import scenario, serving


def main(argv: list[str]) -> int:
    """Serve the script; prints what a client needs to find it."""
    parser = argparse.ArgumentParser(
        prog="python -m pressplay.stages.scripted_model",
        description="A double of the Messages API on this machine. It is no model.",
        epilog="Example: python -m pressplay.stages.scripted_model scenario.yaml --port 8080",
    )
    parser.add_argument("script", type=Path, help="YAML or JSON with the turns to play")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 [default: any]")
    given = parser.parse_args(argv)
    try:
        parts = scenario.read(given.script)
    except PressplayError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    with serving.serving(parts, port=given.port) as double:
        sys.stdout.write(
            f"A scripted double of the Messages API, not a model; end it with Ctrl-C.\n"
            f"export ANTHROPIC_BASE_URL={double.url} ANTHROPIC_API_KEY=any\n"
        )
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
