"""The alarm of the local forge rings for what must never be asked, and nothing happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # only names here: pytest hands the objects in
    from tests.contract.conftest import CloneRepo, ServedForge

OWNER = "captain"
RINGING = [
    ("PUT", "/api/v3/repos/captain/{repo}/pulls/{number}/merge", 405),
    ("PUT", "/api/v3/repos/captain/{repo}/pulls/{number}/merge-async", 405),
    ("PUT", "/api/v3/repos/captain/{repo}/pulls/{number}/update-branch", 403),
    ("PUT", "/api/v3/repos/captain/{repo}/pulls/{number}/auto-merge", 403),
    ("POST", "/api/v3/repos/captain/{repo}/merges", 403),
    ("POST", "/api/v3/repos/captain/{repo}/merge-upstream", 403),
    ("POST", "/api/v3/repos/captain/{repo}/merge-queue/enqueue", 403),
    ("PATCH", "/api/v3/repos/captain/{repo}/git/refs/heads/main", 403),
    ("DELETE", "/api/v3/repos/captain/{repo}/git/refs/heads/work", 403),
    ("PUT", "/api/v3/repos/captain/{repo}/contents/README.md", 403),
    ("DELETE", "/api/v3/repos/captain/{repo}/contents/README.md", 403),
    ("POST", "/api/v3/repos/captain/{repo}/branches/work/rename", 403),
    ("POST", "/api/v3/graphql", 403),
    ("POST", "/api/graphql", 403),
    ("POST", "/graphql", 403),
]


def test_forbidden_call_of_an_app_rings_and_changes_nothing(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    forge.may_ring = True
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    checkout.commit({"a": "1"})
    assert checkout.push("HEAD:refs/heads/work").ok
    headers = {"Authorization": f"Bearer {forge.token(filled_repo).reveal()}"}
    before = checkout.git("ls-remote", "origin").text()
    with forge.client(filled_repo) as client:
        pull = client.open_pull(OWNER, filled_repo, head="work", base="main", title="t", body="")
        for verb, shape, status in RINGING:
            path = shape.format(repo=filled_repo, number=pull.number)
            answer = forge.http.request(verb, path, headers=headers, json={"sha": pull.head_sha})

            assert answer.status_code == status, (verb, path)
            assert "recorded as an alarm" in answer.json()["message"]
            alarm = forge.operator.alarms()[-1]
            assert (alarm.who, alarm.verb, alarm.path) == ("rex[bot]", verb, path)
            assert alarm.time.endswith("Z")
        assert client.pull(OWNER, filled_repo, pull.number) == pull
    assert checkout.git("ls-remote", "origin").text() == before


def test_call_without_credentials_rings_too(forge: ServedForge) -> None:
    forge.may_ring = True

    assert forge.http.post(f"{forge.url}/graphql", json={}).status_code == 403
    assert forge.operator.alarms()[-1].who == "nobody"


def test_looking_whether_something_is_merged_rings_nothing(
    forge: ServedForge, filled_repo: str
) -> None:
    headers = {"Authorization": f"Bearer {forge.token(filled_repo).reveal()}"}
    url = f"{forge.api_url}/repos/{OWNER}/{filled_repo}"

    assert forge.http.get(f"{url}/pulls/1/merge", headers=headers).status_code == 404
    assert forge.http.get(f"{url}/git/refs/heads/main", headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/_pressplay/alarms"),
        ("GET", "/_pressplay/apps"),
        ("POST", "/_pressplay/apps"),
        ("POST", "/_pressplay/apps/rex/key"),
        ("PUT", "/_pressplay/repos/captain/{repo}/pulls/1/auto-merge"),
        ("GET", "/api/v3/user/repos"),
        ("POST", "/api/v3/user/repos"),
        ("PUT", "/api/v3/repos/captain/{repo}/collaborators/rex"),
        ("DELETE", "/api/v3/repos/captain/{repo}/branches/main/protection"),
    ],
)
def test_operators_side_is_closed_to_apps(
    forge: ServedForge, repo: str, *, verb: str, path: str
) -> None:
    url = forge.url + path.format(repo=repo)
    headers = {"Authorization": f"Bearer {forge.token(repo).reveal()}"}

    assert forge.http.request(verb, url, headers=headers).status_code == 403
    assert forge.http.request(verb, url).status_code == 401
