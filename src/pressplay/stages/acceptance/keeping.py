"""Which answers are kept as files: the first of each endpoint, and failures while there is room."""

from __future__ import annotations

import re

from pressplay.evidence.judging import Plan
from pressplay.stages.acceptance.loading import KEEP_LIMIT, Result

FILES_LIMIT = 50


class Keeper:
    """Chooses answers as they come; room for every endpoint's first is never given away."""

    def __init__(self, plan: Plan) -> None:
        self._first = {target.key for target in plan.targets}
        self._room = max(0, FILES_LIMIT - len(self._first))

    def file(self, result: Result) -> tuple[str, str] | None:
        """The name and the text of the file to keep for `result`, or None."""
        sample = result.sample
        if sample.key in self._first:
            self._first.remove(sample.key)
        elif sample.ok or not self._room:
            return None
        else:
            self._room -= 1
        target = re.sub(r"[^a-z0-9]+", "-", f"{sample.host}{sample.path}".lower()).strip("-")
        name = f"{sample.method.lower()}-{target[:60].strip('-')}-{sample.n:05}.txt"
        return name, text(result)


def text(result: Result) -> str:
    """An answer as people read it: what was asked, what came, and the body's beginning."""
    sample, answer = result.sample, result.answer
    body = answer.body[:KEEP_LIMIT].decode(errors="replace")
    return "\n".join(
        (
            f"{sample.method} {sample.path}",
            f"host: {sample.host}",
            f"status: {sample.status or 'no answer'}",
            f"latency_ms: {sample.latency_ms}",
            f"content-type: {answer.content_type}",
            f"judged: {sample.error or 'ok'}",
            "",
            body,
        )
    )
