"""`python -m pressplay.stages NAME [args]`: the entry point of every step's process.

A table of names and not an import of every stage: a step loads what it needs and no more.
"""

from __future__ import annotations

import importlib
import sys
from typing import cast

from pressplay.base.errors import Refused
from pressplay.stages import wrapper
from pressplay.stages.environment import Outcome, StageEnvironment

STAGES = {
    "token": "pressplay.stages.identity:run_token",
    "preflight": "pressplay.stages.preflight:run",
    "set-params": "pressplay.stages.parameters:run",
    "context": "pressplay.stages.context:run",
    "validate-prompt": "pressplay.stages.prompts:run",
    "prepare": "pressplay.stages.prepare:run",
    "agent": "pressplay.stages.agents.running:run",
    "relay": "pressplay.stages.relays.running:run",
    "warm": "pressplay.stages.warming:run",
    "verify": "pressplay.stages.gates.verifying:run",
    "publish": "pressplay.stages.publish:run",
    "source": "pressplay.stages.previews.source:run",
    "build": "pressplay.stages.previews.building:run",
    "unpack": "pressplay.stages.previews.archives:run_unpack",
    "deploy": "pressplay.stages.previews.deploying:run",
    "command": "pressplay.stages.commands:run",
    "acceptance": "pressplay.stages.acceptance.running:run",
    "approve": "pressplay.stages.approval:run",
    "seal": "pressplay.stages.sealing:run",
    "cleanup": "pressplay.stages.cleanup:run",
}
"""Stage name to `module:function`; each function takes a StageEnvironment, returns an Outcome."""


def main(argv: list[str]) -> int:
    """Run the stage named first in `argv`; the rest is the stage's own."""
    name = argv[0] if argv else ""
    env = StageEnvironment.of_process(tuple(argv[1:]))

    def load_and_run(given: StageEnvironment) -> Outcome:
        if name not in STAGES:
            raise Refused(f"Unknown stage {name!r}; use one of: {', '.join(STAGES)}")
        module, _, function = STAGES[name].partition(":")
        stage = cast("wrapper.Stage", getattr(importlib.import_module(module), function))
        return stage(given)

    wrapper.stop_on_signals()
    return wrapper.run(name, load_and_run, env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
