"""REST: a person merges, here as on GitHub. No App ever does: for them this rings the alarm.

Also works out `mergeable` and `mergeable_state`, by trying the merge with git in memory.
"""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from pressplay.forge.local import guarding, looking, roles
from pressplay.forge.local.answers import ProblemError
from pressplay.forge.local.asking import Ask, Hub
from pressplay.forge.local.guarding import Guard
from pressplay.forge.local.rows import BOT, AppRow, PullRow, RepositoryRow, ReviewRow
from pressplay.forge.local.threads import UNKNOWN, Mergeability

_NOT_MERGEABLE = "Pull Request is not mergeable"
_OTHER_METHODS = {"squash": "Squash merges", "rebase": "Rebase merges"}


class Merging:
    """The endpoint behind `PUT …/merge`; only people come this far."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def merge(self, ask: Ask) -> Response:
        """Merge by a merge commit; the only method that these repositories allow."""
        repository = ask.repository
        if not roles.may_write(self._hub, repository, ask.actor):
            raise ProblemError(403, "You must have push access to merge a pull request")
        row = await looking.find_pull(self._hub, repository, ask.number())
        method = ask.text("merge_method", default="merge")
        if method != "merge":
            name = _OTHER_METHODS.get(method, "Such merges")
            raise ProblemError(405, f"{name} are not allowed on this repository.")
        if ask.text("sha", default=row.head_sha) != row.head_sha:
            raise ProblemError(409, "Head branch was modified. Review and try the merge again.")
        await self._demand_mergeable(row, ask)
        title = ask.text(
            "commit_title",
            default=f"Merge pull request #{row.number} from {repository.owner}/{row.head_ref}",
        )
        message = ask.text("commit_message", default=row.title)
        sha = await self._hub.git.merge(
            repository.id,
            branch=row.base_ref,
            base=row.base_sha,
            head=row.head_sha,
            message=f"{title}\n\n{message}\n",
            author=ask.actor.login,
        )
        if not sha:
            raise ProblemError(409, "Base branch was modified. Review and try the merge again.")
        # The branches are the truth: finding the head in its base is what merges the row.
        await looking.look(self._hub, repository, by=ask.actor.login)
        answer = {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}
        return JSONResponse(answer)

    async def _demand_mergeable(self, row: PullRow, ask: Ask) -> None:
        if row.state != "open":
            raise ProblemError(405, _NOT_MERGEABLE)
        if row.draft:
            raise ProblemError(405, "Pull Request is still a draft")
        repository = ask.repository
        binding = guarding.guards(
            self._hub, repository, row.base_ref, actor=ask.actor, merging=True
        )
        unmet = [
            it for guard in binding for it in unmet_by(self._hub, row, guard, repository=repository)
        ]
        if unmet:
            raise ProblemError(405, " ".join(unmet))
        if not await self._hub.git.can_merge(repository.id, base=row.base_sha, head=row.head_sha):
            raise ProblemError(405, _NOT_MERGEABLE)


async def mergeability(hub: Hub, repository: RepositoryRow, row: PullRow) -> Mergeability:
    """Whether the pull request can be merged now, and what stands in the way."""
    if row.state != "open":
        return UNKNOWN
    if not await hub.git.can_merge(repository.id, base=row.base_sha, head=row.head_sha):
        return Mergeability(mergeable=False, state="dirty")
    if row.draft:
        return Mergeability(mergeable=True, state="draft")
    binding = guarding.guards(hub, repository, row.base_ref, actor=None)
    if any(unmet_by(hub, row, guard, repository=repository) for guard in binding):
        return Mergeability(mergeable=True, state="blocked")
    is_behind = any(guard.is_strict for guard in binding) and not await hub.git.is_ancestor(
        repository.id, old=row.base_sha, new=row.head_sha
    )
    if is_behind:
        return Mergeability(mergeable=True, state="behind")
    runs = guarding.check_runs(hub, repository, row.head_sha)
    passing = all(run.conclusion in guarding.PASSING for run in runs)
    return Mergeability(mergeable=True, state="clean" if passing else "unstable")


def unmet_by(hub: Hub, row: PullRow, guard: Guard, *, repository: RepositoryRow) -> list[str]:
    """What a guard still wants before a merge, in the words of a refusal."""
    found = guard.missing_checks(guarding.check_runs(hub, repository, row.head_sha))
    given, objected = _opinions(hub, row, repository)
    if objected:
        found.append("Changes have been requested.")
    if given < guard.approvals:
        plural = "" if guard.approvals == 1 else "s"
        found.append(
            f"At least {guard.approvals} approving review{plural} "
            "is required by reviewers with write access."
        )
    return found


def _opinions(hub: Hub, row: PullRow, repository: RepositoryRow) -> tuple[int, bool]:
    """How many reviewers who may write approve, and whether one of them objects."""
    latest: dict[str, str] = {}
    for review in hub.store.all(
        ReviewRow, "list_reviews", repository_id=row.repository_id, number=row.number
    ):
        if review.state in ("APPROVED", "CHANGES_REQUESTED") and _counts(
            hub, repository, review.author
        ):
            latest[review.author] = review.state
    states = list(latest.values())
    return states.count("APPROVED"), "CHANGES_REQUESTED" in states


def _counts(hub: Hub, repository: RepositoryRow, login: str) -> bool:
    """Whether a review by `login` counts: GitHub asks for write access to contents."""
    if not login.endswith(BOT):
        return roles.role_of(hub, repository, login) in roles.WRITING
    app = hub.store.find(AppRow, "find_app_by_slug", slug=login.removesuffix(BOT))
    return app is not None and app.granted().get("contents") == "write"
