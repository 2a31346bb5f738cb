"""What keeps changes from a branch, for Apps and for people; and a person who merges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pressplay.forge.errors import RefusedByForge
from pressplay.stages import approval

if TYPE_CHECKING:  # only names here: pytest hands the objects in
    from collections.abc import Mapping

    from tests.contract.conftest import Checkout, CloneRepo, ServedForge

OWNER = "captain"
CHECK = "pressplay/verdict"


def ruleset(
    *rules: Mapping[str, Any], bypass: tuple[Mapping[str, Any], ...] = (), **more: Any
) -> dict[str, Any]:
    """An active ruleset on the default branch."""
    return {
        "name": "default branch",
        "enforcement": "active",
        "bypass_actors": list(bypass),
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": list(rules),
        **more,
    }


def required_check(app_id: int) -> dict[str, Any]:
    """The verdict as a required check, pinned to an App."""
    wanted = [{"context": CHECK, "integration_id": app_id}]
    parameters = {"required_status_checks": wanted, "strict_required_status_checks_policy": False}
    return {"type": "required_status_checks", "parameters": parameters}


PULL_REQUEST = {"type": "pull_request"}
NO_FORCE = {"type": "non_fast_forward"}


@pytest.fixture
def checkout(filled_repo: str, clone: CloneRepo) -> Checkout:
    """The operator's working copy with a commit more on the branch work."""
    made = clone(filled_repo)
    made.commit({"a": "1"})
    assert made.push("HEAD:refs/heads/work").ok
    return made


@pytest.fixture
def number(forge: ServedForge, filled_repo: str, checkout: Checkout) -> int:
    """A pull request that an App opened from work to main."""
    with forge.client(filled_repo) as client:
        made = client.open_pull(OWNER, filled_repo, head="work", base="main", title="t", body="")
    return made.number


def _unprotect(forge: ServedForge, repo: str) -> None:
    forge.operator.set_protection(OWNER, repo, "main", enabled=False)


def _state(forge: ServedForge, repo: str, number: int) -> tuple[bool | None, str]:
    found = forge.operator.ask("GET", f"api/v3/repos/{OWNER}/{repo}/pulls/{number}")
    return found["mergeable"], found["mergeable_state"]


def _judge(forge: ServedForge, repo: str, sha: str, *, slug: str, conclusion: str) -> None:
    with forge.client(repo, slug=slug) as client:
        client.add_check_run(
            OWNER, repo, name=CHECK, sha=sha, status="completed", conclusion=conclusion,
            external_id="", title="t", summary="s",
        )  # fmt: skip


def test_ruleset_protects_a_branch_and_refuses_an_apps_push_in_githubs_words(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    _unprotect(forge, filled_repo)
    number = forge.operator.add_ruleset(
        OWNER, filled_repo, ruleset=ruleset(PULL_REQUEST, required_check(7))
    )
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    checkout.commit({"a": "1"})

    pushed = checkout.push("HEAD:refs/heads/main")

    said = pushed.complaint()
    assert "remote: error: GH013: Repository rule violations found for refs/heads/main." in said
    assert f"{OWNER}/{filled_repo}/rules?ref=refs%2Fheads%2Fmain" in said
    assert "remote: - Changes must be made through a pull request." in said
    assert f'remote: - Required status check "{CHECK}" is expected.' in said
    assert "push declined due to repository rule violations" in said
    with forge.client(filled_repo) as client:
        main = client.branch(OWNER, filled_repo, "main")
        assert main is not None
        assert main.protected
        forge.operator.drop_ruleset(OWNER, filled_repo, number)
        main = client.branch(OWNER, filled_repo, "main")
        assert main is not None
        assert not main.protected


def test_rule_that_our_own_app_may_pass_by_does_not_count(
    forge: ServedForge, filled_repo: str
) -> None:
    rex = int(forge.app("rex").app_id)
    by = {"actor_id": rex, "actor_type": "Integration", "bypass_mode": "always"}
    forge.operator.add_ruleset(OWNER, filled_repo, ruleset=ruleset(PULL_REQUEST, bypass=(by,)))

    with forge.client(filled_repo) as passing, forge.client(filled_repo, slug="qa") as bound:
        assert passing.branch_rules(OWNER, filled_repo, "main") == ()
        assert bound.branch_rules(OWNER, filled_repo, "main") == ("pull_request",)


def test_app_that_may_pass_by_still_does_not_reach_the_default_branch_and_the_alarm_rings(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    forge.may_ring = True
    _unprotect(forge, filled_repo)
    rex = int(forge.app("rex").app_id)
    by = {"actor_id": rex, "actor_type": "Integration", "bypass_mode": "always"}
    forge.operator.add_ruleset(OWNER, filled_repo, ruleset=ruleset(PULL_REQUEST, bypass=(by,)))
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    checkout.commit({"a": "1"})

    assert not checkout.push("HEAD:refs/heads/main").ok
    assert forge.operator.alarms()[-1].verb == "PUSH"


@pytest.mark.parametrize(
    "more",
    [
        {"enforcement": "disabled"},
        {"enforcement": "evaluate"},
        {"conditions": {"ref_name": {"include": ["refs/heads/release/*"], "exclude": []}}},
        {"conditions": {"ref_name": {"include": ["~ALL"], "exclude": ["refs/heads/main"]}}},
        {"conditions": {}},
        {"target": "tag"},
    ],
    ids=lambda more: str(next(iter(more.values())))[:40],
)
def test_ruleset_that_is_not_about_the_branch_binds_nothing(
    forge: ServedForge, filled_repo: str, more: dict[str, Any]
) -> None:
    forge.operator.add_ruleset(OWNER, filled_repo, ruleset=ruleset(PULL_REQUEST, **more))

    with forge.client(filled_repo) as client:
        assert client.branch_rules(OWNER, filled_repo, "main") == ()


def test_rules_bind_people_too_unless_they_may_pass_by(
    forge: ServedForge, filled_repo: str, checkout: Checkout
) -> None:
    number = forge.operator.add_ruleset(
        OWNER, filled_repo, ruleset=ruleset(PULL_REQUEST, {"type": "deletion"}, NO_FORCE)
    )
    assert "GH013" in checkout.push("HEAD:refs/heads/main").complaint()
    assert "- Cannot delete this branch" in checkout.push(":refs/heads/main").complaint()
    forge.operator.drop_ruleset(OWNER, filled_repo, number)
    admins = {"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}
    forge.operator.add_ruleset(OWNER, filled_repo, ruleset=ruleset(PULL_REQUEST, bypass=(admins,)))

    assert checkout.push("HEAD:refs/heads/main").ok


def test_history_that_a_rule_keeps_is_rewritten_by_nobody(
    forge: ServedForge, filled_repo: str, checkout: Checkout
) -> None:
    everywhere = {"ref_name": {"include": ["~ALL"], "exclude": []}}
    forge.operator.add_ruleset(OWNER, filled_repo, ruleset=ruleset(NO_FORCE, conditions=everywhere))
    assert checkout.git("reset", "--quiet", "--hard", "HEAD~1").ok
    checkout.commit({"a": "other"})

    assert "non-fast-forward" in checkout.push("HEAD:refs/heads/work", "--force").complaint()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"required_pull_request_reviews": {}}, "Changes must be made through a pull request."),
        (
            {"restrictions": {"users": [], "teams": [], "apps": []}},
            "You're not authorized to push to this branch.",
        ),
        ({"lock_branch": True}, "Cannot change this locked branch"),
        (
            {"required_status_checks": {"strict": False, "contexts": ["one", "two"]}},
            "2 of 2 required status checks are expected.",
        ),
    ],
)
def test_classic_protection_refuses_an_apps_push_in_githubs_words(
    forge: ServedForge,
    filled_repo: str,
    clone: CloneRepo,
    *,
    settings: dict[str, Any],
    sentence: str,
) -> None:
    nothing = {"required_status_checks": None, "enforce_admins": False}
    nothing |= {"required_pull_request_reviews": None, "restrictions": None}
    forge.operator.set_protection(
        OWNER, filled_repo, "release", enabled=True, settings=nothing | settings
    )
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    checkout.commit({"a": "1"})

    said = checkout.push("HEAD:refs/heads/release").complaint()

    assert "GH006: Protected branch update failed for refs/heads/release." in said
    assert f"- {sentence}" in said
    assert clone(filled_repo).push("HEAD:refs/heads/release").ok, "administrators may pass"


def test_check_counts_only_from_the_app_that_it_is_pinned_to(
    forge: ServedForge, filled_repo: str, checkout: Checkout, number: int
) -> None:
    approver = int(forge.app("qa-approver").app_id)
    forge.operator.add_ruleset(OWNER, filled_repo, ruleset=ruleset(required_check(approver)))
    head = checkout.git("rev-parse", "HEAD").text().strip()
    assert _state(forge, filled_repo, number) == (True, "blocked")

    _judge(forge, filled_repo, head, slug="rex", conclusion="success")
    assert _state(forge, filled_repo, number) == (True, "blocked")
    _judge(forge, filled_repo, head, slug="qa-approver", conclusion="failure")
    assert _state(forge, filled_repo, number) == (True, "blocked")
    _judge(forge, filled_repo, head, slug="qa-approver", conclusion="success")
    assert _state(forge, filled_repo, number) == (True, "clean")


def test_state_of_a_pull_request_says_what_stands_in_its_way(
    forge: ServedForge, filled_repo: str, checkout: Checkout, number: int
) -> None:
    head = checkout.git("rev-parse", "HEAD").text().strip()
    assert _state(forge, filled_repo, number) == (True, "clean")
    _judge(forge, filled_repo, head, slug="rex", conclusion="failure")
    assert _state(forge, filled_repo, number) == (True, "unstable")
    forge.operator.set_draft(OWNER, filled_repo, number, draft=True)
    assert _state(forge, filled_repo, number) == (True, "draft")
    forge.operator.set_draft(OWNER, filled_repo, number, draft=False)
    assert checkout.git("reset", "--quiet", "--hard", "HEAD~1").ok
    checkout.commit({"a": "something else"})
    assert checkout.push("HEAD:refs/heads/main").ok
    assert _state(forge, filled_repo, number) == (False, "dirty")
    with pytest.raises(RefusedByForge, match="Pull Request is not mergeable"):
        forge.operator.merge(OWNER, filled_repo, number)


def test_branch_that_must_be_up_to_date_falls_behind(
    forge: ServedForge, filled_repo: str, checkout: Checkout, number: int
) -> None:
    strict = {"strict": True, "contexts": []}
    settings = {"required_status_checks": strict, "enforce_admins": False}
    settings |= {"required_pull_request_reviews": None, "restrictions": None}
    forge.operator.set_protection(OWNER, filled_repo, "main", enabled=True, settings=settings)
    assert checkout.git("reset", "--quiet", "--hard", "HEAD~1").ok
    checkout.commit({"elsewhere": "1"})
    assert checkout.push("HEAD:refs/heads/main").ok

    assert _state(forge, filled_repo, number) == (True, "behind")


def test_person_merges_and_no_alarm_rings(
    forge: ServedForge, filled_repo: str, checkout: Checkout, number: int
) -> None:
    forge.operator.set_permission(OWNER, filled_repo, "maintainer", level="maintain")
    head = checkout.git("rev-parse", "HEAD").text().strip()

    made = forge.operator.merge(OWNER, filled_repo, number, sha=head, speaking_for="maintainer")

    found = forge.operator.ask("GET", f"api/v3/repos/{OWNER}/{filled_repo}/pulls/{number}")
    assert (found["merged"], found["state"], found["merge_commit_sha"]) == (True, "closed", made)
    assert found["merged_by"]["login"] == "maintainer"
    with forge.client(filled_repo) as client:
        main = client.branch(OWNER, filled_repo, "main")
        assert main is not None
        assert main.sha == made
        assert client.file(OWNER, filled_repo, "a", ref="main") == b"1"
        assert client.permission(OWNER, filled_repo, "maintainer") == "write"


def test_app_that_merges_rings_the_alarm_and_nothing_happens(
    forge: ServedForge, filled_repo: str, number: int
) -> None:
    forge.may_ring = True
    headers = {"Authorization": f"Bearer {forge.token(filled_repo).reveal()}"}
    url = f"{forge.api_url}/repos/{OWNER}/{filled_repo}/pulls/{number}/merge"

    assert forge.http.put(url, headers=headers, json={}).status_code == 405
    assert forge.http.put(url, json={}).status_code == 405
    assert [it.who for it in forge.operator.alarms()[-2:]] == ["rex[bot]", "nobody"]
    assert not forge.operator.pull(OWNER, filled_repo, number).merged


@pytest.mark.parametrize(
    ("prepare", "status", "message"),
    [
        ("stranger", 403, "push access"),
        ("draft", 405, "still a draft"),
        ("moved", 409, "Head branch was modified"),
        ("closed", 405, "not mergeable"),
        ("blocked", 405, f'Required status check "{CHECK}" is expected.'),
        ("approval", 405, "At least 1 approving review is required"),
    ],
)
def test_merge_of_a_person_is_refused_as_github_does(
    forge: ServedForge, filled_repo: str, number: int, *, prepare: str, status: int, message: str
) -> None:
    by, sha = "", ""
    match prepare:
        case "stranger":
            by = "stranger"
        case "draft":
            forge.operator.set_draft(OWNER, filled_repo, number, draft=True)
        case "moved":
            sha = "0" * 40
        case "closed":
            forge.operator.set_pull_state(OWNER, filled_repo, number, state="closed")
        case "blocked":
            forge.operator.add_ruleset(OWNER, filled_repo, ruleset=ruleset(required_check(0)))
        case _:
            wanted = {"required_approving_review_count": 1}
            rule = {"type": "pull_request", "parameters": wanted}
            forge.operator.add_ruleset(OWNER, filled_repo, ruleset=ruleset(rule))

    with pytest.raises(RefusedByForge, match=message) as caught:
        forge.operator.merge(OWNER, filled_repo, number, sha=sha, speaking_for=by)
    assert caught.value.status == status


def test_review_counts_only_from_who_may_write(
    forge: ServedForge, filled_repo: str, checkout: Checkout, number: int
) -> None:
    rule = {"type": "pull_request", "parameters": {"required_approving_review_count": 1}}
    forge.operator.add_ruleset(OWNER, filled_repo, ruleset=ruleset(rule))
    head = checkout.git("rev-parse", "HEAD").text().strip()
    forge.app("reader", {"contents": "read", "pull_requests": "write"})
    with forge.client(filled_repo, slug="reader", pull_requests="write") as reader:
        reader.add_review(OWNER, filled_repo, number, commit=head, event="APPROVE", body="")
    assert _state(forge, filled_repo, number) == (True, "blocked")
    forge.operator.ask(
        "POST",
        f"api/v3/repos/{OWNER}/{filled_repo}/pulls/{number}/reviews",
        body={"event": "APPROVE"},
    )
    assert _state(forge, filled_repo, number) == (True, "clean")


def test_armed_auto_merge_names_who_armed_it_and_withholds_the_approval(
    forge: ServedForge, filled_repo: str, number: int
) -> None:
    forge.operator.set_permission(OWNER, filled_repo, "bob", level="write")
    forge.operator.set_auto_merge(OWNER, filled_repo, number, enabled=True, speaking_for="bob")
    found = forge.operator.ask("GET", f"api/v3/repos/{OWNER}/{filled_repo}/pulls/{number}")
    with forge.client(filled_repo) as client:
        pull = client.pull(OWNER, filled_repo, number)
        reason = approval.withheld(pull, head_sha=pull.head_sha, approver="qa-approver")
        forge.operator.set_auto_merge(OWNER, filled_repo, number, enabled=False)
        calm = client.pull(OWNER, filled_repo, number)

    assert found["auto_merge"]["enabled_by"]["login"] == "bob"
    assert "auto-merge armed" in reason
    assert approval.withheld(calm, head_sha=calm.head_sha, approver="qa-approver") == ""


def test_closed_pull_request_opens_again_while_its_branches_are_there(
    forge: ServedForge, filled_repo: str, checkout: Checkout, number: int
) -> None:
    for state in ("closed", "open"):
        assert forge.operator.set_pull_state(OWNER, filled_repo, number, state=state).state == state
    assert checkout.push(":refs/heads/work").ok

    with pytest.raises(RefusedByForge, match="work branch has been deleted"):
        forge.operator.set_pull_state(OWNER, filled_repo, number, state="open")


@pytest.mark.parametrize(
    "body",
    [
        {"enforcement": "active"},
        {"name": "x", "enforcement": "maybe"},
        {"name": "x", "enforcement": "active", "rules": [{}]},
        {"name": "x", "enforcement": "active", "rules": [{"type": "required_status_checks"}]},
        {"name": "x", "enforcement": "active", "bypass_actors": [{"actor_type": "Everybody"}]},
        {"name": "x", "enforcement": "active", "conditions": []},
        {"name": "x", "enforcement": "active", "conditions": {"ref_name": []}},
        {"name": "x", "enforcement": "active", "conditions": {"ref_name": {"include": [7]}}},
    ],
)
def test_impossible_ruleset_is_refused(forge: ServedForge, repo: str, body: dict[str, Any]) -> None:
    with pytest.raises(RefusedByForge) as caught:
        forge.operator.add_ruleset(OWNER, repo, ruleset=body)
    assert caught.value.status == 422
