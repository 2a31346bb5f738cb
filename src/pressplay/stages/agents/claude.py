"""The kind `claude`: the Claude Code CLI, as a child process.

It gets its task on standard input, our settings and none of the repository's, and the model only
through the address that was carried into the step. What it says is told line by line; what it cost
is what the meter counted, where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pressplay.base import documents, processes
from pressplay.base.errors import Refused
from pressplay.stages import children
from pressplay.stages.agents import claude_events, port
from pressplay.stages.agents.claude_events import (
    Begun,
    Called,
    Declined,
    Ended,
    Event,
    Plain,
    Retried,
    Said,
)
from pressplay.stages.agents.port import Job, Worked
from pressplay.stages.transcripts import Transcript

FILE = "claude.json"
"""Where the program's words stand, such as ["/usr/bin/claude"]; without it, `claude` on PATH."""

TOOLS = ("Read", "Edit", "Write", "Bash", "Glob", "Grep")
"""What the model may use: files and programs of its sandbox, nothing that reaches further."""

KEY = "carried-by-the-relay"
"""Stands for the key, which only the relay has; the CLI does not start without one."""

NEEDED = ("print", "output-format", "setting-sources", "strict-mcp-config", "permission-mode")
"""Options without which the repository could set up the agent, or we could not follow it."""

START_S = 60.0
GRACE_S = 3.0
LINE = 300
"""Characters of a line that people read."""

_WORDS = 600
_OPTION = re.compile(r"--([a-z][a-z-]*)")
_OURS = ("ANTHROPIC_", "CLAUDE", "DISABLE_", "NODE_", "BUN_")
"""Beginnings of variables by which an object could lead the CLI elsewhere."""

_HOME = ("HOME", "TMPDIR")


def work(job: Job, transcript: Transcript) -> Worked:
    """Run the CLI to its end or to the deadline; see `port.Agent`."""
    if not job.model_url:
        raise Refused(
            "No way to a model: the Secret model-key is empty or the relay is missing; set "
            "ANTHROPIC_API_KEY (or ANTHROPIC_BASE_URL with any key) before `pressplay run`"
        )
    program = read_program(job.program)
    variables = _variables(job)
    command = [*program, *_options(job, known_options(program, variables))]
    telling = _Telling(transcript, workspace=job.workspace)
    reader = claude_events.Reader()
    transcript.note(f"claude: at most {job.timeout_s:.0f} s")
    code = processes.stream(
        command,
        env=variables,
        cwd=job.workspace,
        timeout_s=job.timeout_s,
        on_output=lambda chunk: telling.tell(reader.feed(chunk)),
        grace_s=GRACE_S,
        stdin=job.task,
    )
    telling.tell(reader.close())
    ending = judge(telling.ended, code=code, last=telling.last, job=job)
    if ending.exit_code != 0:
        transcript.say(f"claude: {ending.said}")
    who = " ".join(word for word in ("Claude Code", telling.version) if word)
    note = f"Written by {who} ({telling.model or 'unknown model'}), which left it uncommitted."
    return Worked(
        exit_code=ending.exit_code,
        said=ending.said,
        message=port.commit_message(job.context, note=note),
        cost=_cost(telling),
    )


def read_program(folder: Path) -> tuple[str, ...]:
    """The words that start the CLI. Raises Refused for a file that does not hold any."""
    path = folder / FILE
    if not path.is_file():
        return ("claude",)
    words = documents.read_json(path.read_bytes(), source=FILE)
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise Refused(f'{FILE} must be a JSON list of words, such as ["/usr/local/bin/claude"]')
    return tuple(str(word) for word in words)


def known_options(program: tuple[str, ...], variables: dict[str, str]) -> frozenset[str]:
    """The options that this version names. Raises Refused where it is none, or too old."""
    asked = processes.run([*program, "--help"], env=variables, timeout_s=START_S)
    if not asked.ok:
        said = _cut(asked.complaint() or "it said nothing", LINE)
        raise Refused(f"Claude Code ({program[-1]}) does not start here: {said}")
    known = frozenset(_OPTION.findall(asked.text()))
    missing = [f"--{name}" for name in NEEDED if name not in known]
    if missing:
        raise Refused(
            f"Claude Code ({program[-1]}) knows no {', '.join(missing)}; without them the "
            "repository could set up its own agent: update it (`claude update`)"
        )
    return known


@dataclass(frozen=True)
class Ending:
    """How it went: the exit code that counts (None: out of time), and a sentence for people."""

    exit_code: int | None
    said: str


def judge(ended: Ended | None, *, code: int | None, last: str, job: Job) -> Ending:
    """What became of the CLI's work. `last` is the last that was heard of it."""
    if code is None:
        return Ending(None, f"the agent did not end within {job.timeout_s:.0f} s; last: {last}")
    if ended is None:
        return _without_result(code, last)
    if ended.subtype == "error_max_turns":
        return Ending(code or 1, f"the agent used up its {job.limits.turns} turns; raise max_turns")
    if ended.subtype == "error_max_budget_usd":
        return Ending(code or 1, f"the agent used up its ${job.limits.usd:g}; raise max_usd")
    if ended.is_error or ended.subtype != "success":
        where = f" (the model's service answered {ended.status})" if ended.status else ""
        why = "; ".join(ended.errors) or ended.text or ended.subtype or "without a reason"
        return Ending(code or 1, f"Claude Code gave up{where}: {_cut(why, _WORDS)}")
    words = _cut(ended.text, _WORDS) or "the agent ended without a word"
    if words.endswith("?"):
        words = f"the agent asked a question, and nobody is there to answer: {words}"
    return Ending(code, words if code == 0 else f"Claude Code ended with exit code {code}: {words}")


def _without_result(code: int, last: str) -> Ending:
    if code < 0:
        return Ending(code, f"Claude Code was ended by signal {-code}; last: {last}")
    said = f"Claude Code ended with exit code {code} and gave no result; last: {last}"
    return Ending(code or 1, said)


class _Telling:
    """Makes lines for people of what the CLI reports, and keeps what the result needs."""

    def __init__(self, transcript: Transcript, *, workspace: Path) -> None:
        self._transcript = transcript
        self._workspace = f"{workspace}/"
        self.ended: Ended | None = None
        self.version = self.model = self.session = ""
        self.last = "nothing was heard of it"

    def tell(self, events: Iterator[Event]) -> None:
        """Take note of events and say them."""
        for event in events:
            self._note(event)
            for line in self._lines(event):
                self.last = line
                self._transcript.say(line)

    def _note(self, event: Event) -> None:
        if isinstance(event, Begun):
            self.version, self.model = event.version, event.model
            self.session = event.session
        if isinstance(event, Ended):
            self.ended = event

    def _lines(self, event: Event) -> Iterator[str]:
        match event:
            case Begun():
                yield f"claude: version {event.version or '?'}, model {event.model or '?'}"
            case Said(text):
                yield from (line for line in text.splitlines() if line.strip())
            case Called():
                yield _cut(f"> {event.tool} {event.about.replace(self._workspace, '')}", LINE)
            case Declined(text):
                yield f"  refused: {_cut(text, LINE)}"
            case Retried():
                why = f"{event.status or 'no answer'} {event.why}".strip()
                yield f"  the model's service: {why}; try {event.attempt} of {event.attempts}"
            case Ended():
                yield f"claude: {event.subtype or 'ended'}, {event.turns} turns, ${event.usd:.4f}"
            case Plain(text):
                yield _cut(text, LINE)


def _options(job: Job, known: frozenset[str]) -> Iterator[str]:
    """The options of a run: our settings only, and none of the repository's."""
    yield from ("--print", "--output-format=stream-json", "--verbose")
    # An empty list of sources: neither .claude/ of the repository nor a user's settings count.
    yield from ("--setting-sources=", "--strict-mcp-config", "--permission-mode=acceptEdits")
    tools = ",".join(TOOLS)
    yield f"--allowedTools={tools}"
    for name in ("bare", "disable-slash-commands", "no-session-persistence"):
        if name in known:
            yield f"--{name}"
    if "tools" in known:
        yield f"--tools={tools}"
    yield f"--append-system-prompt={job.system.read_text(errors='replace')}"
    if job.model:
        yield f"--model={job.model}"
    if job.limits.turns is not None:
        # Not in the CLI's help, and understood by all versions.
        yield f"--max-turns={job.limits.turns}"
    if job.limits.usd is not None and "max-budget-usd" in known:
        yield f"--max-budget-usd={job.limits.usd:g}"


def _variables(job: Job) -> dict[str, str]:
    given = {
        name: value
        for name, value in job.variables.items()
        if name == "NODE_EXTRA_CA_CERTS" or not (name in _HOME or name.upper().startswith(_OURS))
    }
    return children.variables(
        path=job.path,
        home=job.home,
        more={
            **given,
            **job.context.identity.variables(),
            "GIT_TERMINAL_PROMPT": "0",
            "ANTHROPIC_BASE_URL": job.model_url,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        },
    )


def _cost(telling: _Telling) -> dict[str, Any]:
    """What the CLI says that it cost; the meter, where there is one, knows better."""
    ended = telling.ended
    about = {"model": telling.model, "session": telling.session, "version": telling.version}
    if ended is None:
        return about
    return {**about, "usd": ended.usd, "turns": ended.turns, "tokens": dict(ended.usage)}


def _cut(text: str, limit: int) -> str:
    """`text` as one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
