"""`python -m pressplay.cli`: the same as the command `pressplay`."""

from __future__ import annotations

from pressplay.cli.main import main

main()
