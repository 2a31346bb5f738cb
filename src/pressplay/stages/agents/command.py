"""The kind `command`: any program of the operator's, given as an argument list.

It gets the task in files and the repository in its working directory; what it changes there is the
answer.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pressplay.base import documents, processes
from pressplay.base.errors import Refused
from pressplay.stages import children
from pressplay.stages.agents import port
from pressplay.stages.agents.port import Job, Worked
from pressplay.stages.transcripts import Transcript

FILE = "command.json"

MOUNTED_AT = "/etc/pressplay/agent/"
"""Words of the command that begin so mean files beside `command.json`, wherever that is mounted."""

GRACE_S = 2.0
"""Between the friendly and the final end of a program that took too long."""


def work(job: Job, transcript: Transcript) -> Worked:
    """Run the program to its end or to the deadline; see `port.Agent`."""
    name, *rest = read_command(job.program)
    # The operator's program is found where the step's are, before the repository's come first.
    words = (shutil.which(name, path=job.path) or name, *rest)
    transcript.note(f"command agent: {Path(words[0]).name}, at most {job.timeout_s:.0f} s")
    code = processes.stream(
        words,
        env=_variables(job),
        cwd=job.workspace,
        timeout_s=job.timeout_s,
        on_output=transcript.feed,
        grace_s=GRACE_S,
    )
    transcript.close()
    note = "Written by the agent's program, which left it uncommitted."
    return Worked(
        exit_code=code,
        said="" if code == 0 else _complaint(code, job.timeout_s),
        message=port.commit_message(job.context, note=note),
    )


def read_command(program: Path) -> tuple[str, ...]:
    """The argument list in `command.json`. Raises Refused, saying how to give one."""
    path = program / FILE
    if not path.is_file():
        raise Refused(
            f"No agent program: {MOUNTED_AT}{FILE} is not there; put an argument list such as "
            '["my-agent", "--yes"] under the key command.json into the ConfigMap agent-RUN'
        )
    words = documents.read_json(path.read_bytes(), source=FILE)
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise Refused(f'{FILE} must be a JSON list of words, such as ["my-agent", "--yes"]')
    return tuple(_placed(str(word), program) for word in words)


def _placed(word: str, program: Path) -> str:
    return str(program / word.removeprefix(MOUNTED_AT)) if word.startswith(MOUNTED_AT) else word


def _variables(job: Job) -> dict[str, str]:
    context = job.context
    return children.variables(
        path=job.path,
        home=job.home,
        more={
            **job.variables,
            **context.identity.variables(),
            "GIT_TERMINAL_PROMPT": "0",
            "PRESSPLAY_ROLE": context.role,
            "PRESSPLAY_TASK_FILE": str(job.task),
            "PRESSPLAY_SYSTEM_FILE": str(job.system),
            "PRESSPLAY_BASE_SHA": context.base_sha,
            "PRESSPLAY_HEAD_SHA": context.head_sha,
        },
    )


def _complaint(code: int | None, timeout_s: float) -> str:
    if code is None:
        return f"the agent did not end within {timeout_s:.0f} s"
    if code < 0:
        return f"the agent was ended by signal {-code}"
    return f"the agent ended with exit code {code}"
