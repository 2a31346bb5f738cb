"""Is there a system prompt for the App? Asked before an agent is paid for."""

from __future__ import annotations

from pathlib import PurePosixPath

from pressplay.api import parameters
from pressplay.base.errors import Refused
from pressplay.stages.environment import Outcome, StageEnvironment

FOLDER = PurePosixPath("/etc/agents")
"""Where every step that needs prompts has them mounted; what is handed on is a path in here."""


def run(env: StageEnvironment) -> Outcome:
    """Hand on the path of the App's own prompt, else of the default one."""
    app = parameters.check("github-app", env.get("GITHUB_APP"))
    wanted = (f"{app}_system-prompt.md", "default_system-prompt.md")
    for name in wanted:
        if (env.agents_dir / name).is_file():
            env.write_output("system-prompt-path", str(FOLDER / name))
            env.log("prompt_found", app=app, file=name)
            return Outcome()
    looked_at = " or ".join(str(FOLDER / name) for name in wanted)
    raise Refused(f"Error: System prompt not found at {looked_at}")
