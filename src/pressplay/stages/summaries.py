"""What a pull request's reader gets to see of a verdict: pure texts, the same for the same run."""

from __future__ import annotations

from collections.abc import Iterable

from pressplay.base import redaction
from pressplay.evidence.judging import Judgement, Standing, Verdict
from pressplay.evidence.verdict import Reason, RunVerdict

REASONS_SHOWN = 20
REASON_CHARACTERS = 300

_TITLES = {
    Verdict.PASS: "Every gate passed",
    Verdict.FAIL: "A gate says no",
    Verdict.INCONCLUSIVE: "The evidence is not enough for a verdict",
}


def marker(*, run: str, head_sha: str) -> str:
    """The line by which a review of ours is found again; no one sees it on the page."""
    return f"<!-- pressplay run={run} head={head_sha} -->"


def title(verdict: Verdict) -> str:
    """The check run's headline."""
    return _TITLES[verdict]


def summary(judged: RunVerdict, *, run: str, head_sha: str) -> str:
    """The check run's text, in Markdown."""
    lines = [f"Run `{run}`, commit `{head_sha}`: **{judged.verdict.value}**.", ""]
    lines += ["| gate | answer |", "|---|---|"]
    lines += [f"| {gate} | {answer.value} |" for gate, answer in judged.gates().items()]
    if judged.reasons:
        lines += ["", "```", *_reasons(judged.reasons), "```"]
    if judged.judgement is not None:
        lines += ["", *_endpoints(judged.judgement)]
    return "\n".join(lines) + "\n"


def review(judged: RunVerdict, *, run: str, head_sha: str) -> str:
    """The approving review's text, in Markdown, with the marker."""
    return (
        f"{marker(run=run, head_sha=head_sha)}\n"
        f"{summary(judged, run=run, head_sha=head_sha)}\n"
        "The verdict was recomputed from the raw samples and the policy of the base branch; "
        "the run's bundle lets anybody do so again with `pressplay evidence verify`. "
        "Nothing here merges: that is for a person.\n"
    )


def first_reason(judged: RunVerdict) -> str:
    """Why there is no pass, in one line."""
    worst = [each for each in judged.reasons if each.verdict is judged.verdict]
    return f"The verdict is {judged.verdict.value}: {worst[0].text if worst else 'no reason given'}"


def _reasons(reasons: Iterable[Reason]) -> list[str]:
    """One line each. They may quote what the repository's code wrote, so no fence gets out."""
    shown = list(reasons)[:REASONS_SHOWN]
    texts = (" ".join(each.text.split()).replace("`", "'") for each in shown)
    return [
        redaction.redact(f"{each.gate}: {text[:REASON_CHARACTERS]}")
        for each, text in zip(shown, texts, strict=True)
    ]


def _endpoints(judgement: Judgement) -> list[str]:
    head = ["| endpoint | samples | succeeded | p95 | answer |", "|---|---|---|---|---|"]
    return head + [_endpoint(standing) for standing in judgement.standings]


def _endpoint(standing: Standing) -> str:
    name = standing.target.endpoint.name.replace("|", "%7C").replace("`", "%60")
    return (
        f"| `{name}` | {standing.samples} | {standing.successes} "
        f"| {standing.p95_ms:.0f} ms | {standing.verdict.value} |"
    )
