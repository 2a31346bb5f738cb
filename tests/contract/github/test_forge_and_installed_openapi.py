"""The table, the client and the local forge against GitHub's own description of its API.

Every test installs @octokit/openapi into the tests' cache, once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.routing import Match, Mount, Route

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.forge import calls, session, tokens, transport
from pressplay.forge.calls import Call, Rule
from pressplay.forge.client import Forge
from pressplay.forge.local import alarms, rest
from pressplay.forge.local.app import build

if TYPE_CHECKING:  # only names here: pytest hands the objects in
    from tests.contract.conftest import CloneRepo, ServedForge
    from tests.contract.github.conftest import Description, Operation

OWNER = "captain"
OPERATOR_TOKEN = Secret("operator-token-for-these-tests-only")
LINE = {"body": "why?", "path": "a", "line": 1, "side": "RIGHT"}
SHA = "0123456789abcdef0123456789abcdef01234567"
NEVER = Path(__file__).with_name("never.txt")
RULESET = {
    "name": "default branch",
    "target": "branch",
    "enforcement": "active",
    "bypass_actors": [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}],
    "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
    "rules": [
        {"type": "deletion"},
        {
            "type": "required_status_checks",
            "parameters": {
                "strict_required_status_checks_policy": False,
                "required_status_checks": [{"context": "pressplay/verdict"}],
            },
        },
    ],
}
BASE = httpx2.URL("https://api.github.com")


class Recording(httpx2.BaseTransport):
    """Passes everything on and keeps what was said."""

    def __init__(self, url: str) -> None:
        self._inner = session.direct(url)
        self.said: list[tuple[httpx2.Request, httpx2.Response]] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._inner.handle_request(request)
        response.read()
        self.said.append((request, response))
        return response

    def close(self) -> None:
        self._inner.close()


def _operation(description: Description, call: Call) -> Operation:
    key = (call.verb, "".join("/{}" if "{" in it else f"/{it}" for it in call.path.split("/")[1:]))
    assert key in description.operations, f"GitHub has no {call.verb} {call.path}"
    return description.operations[key]


@pytest.mark.parametrize("call", calls.CALLS, ids=lambda call: call.name)
def test_call_of_the_table_is_an_operation_of_the_installed_description(
    description: Description, call: Call
) -> None:
    operation = _operation(description, call)

    assert call.query <= set(description.parameters(operation, "query"))
    if call.fields:
        schema = description.resolve(description.body(operation))
        _check_rules(description, call.fields, schema, at=call.name)
        assert set(schema.get("required", ())) <= call.required


def _check_rules(
    description: Description, fields: Mapping[str, Rule], schema: Any, *, at: str
) -> None:
    """Every field that may be sent is one that GitHub reads, with no value that it does not."""
    for name, rule in fields.items():
        known = description.resolve(schema["properties"].get(name, {}))
        assert known, f"{at}: GitHub reads no {name}"
        if isinstance(rule, Mapping):
            _check_rules(description, rule, known, at=f"{at}.{name}")
        elif isinstance(rule, frozenset):
            assert rule <= set(known["enum"]), f"{at}.{name}"


def test_nothing_of_the_installed_description_passes_but_the_table(
    description: Description,
) -> None:
    passed = {
        operation.key
        for operation in description.operations.values()
        for request in _requests(description, operation)
        if _passes(request)
    }

    assert len(description.operations) > 1_000
    assert passed == {_operation(description, call).key for call in calls.CALLS}


def test_whatever_merges_moves_refs_or_configures_in_the_installed_description_is_refused(
    description: Description,
) -> None:
    """`never.txt` names them as GitHub does, so that a new name of an old danger is noticed."""
    named = {operation.name: operation for operation in description.operations.values()}

    for name in NEVER.read_text().splitlines():
        assert name in named, f"{name} is gone from the description; what took its place?"
        for request in _requests(description, named[name]):
            assert not _passes(request), name


def test_writing_operation_of_a_repository_in_the_installed_description_is_judged_by_name(
    description: Description,
) -> None:
    """A version that brings a new way to write to contents, pulls or protection must be seen."""
    allowed = {_operation(description, call).name for call in calls.CALLS}
    never = set(NEVER.read_text().splitlines())
    watched = ("/pulls", "/git", "/merge", "/branches", "/contents", "/rulesets")

    writing = {
        operation.name
        for operation in description.operations.values()
        if operation.verb != "GET"
        and operation.path.startswith("/repos/{owner}/{repo}")
        and operation.path.removeprefix("/repos/{owner}/{repo}").startswith(watched)
    }

    assert writing <= allowed | never


def _requests(description: Description, operation: Operation) -> list[httpx2.Request]:
    """The operation with likely and with spiteful parameters, with an empty and a full body."""
    names = description.parameters(operation, "path")
    bodies = [None, *_bodies(description, operation)]
    made = []
    for guess in ("7", "main", SHA, "a%2Fb", "heads/main"):
        path = operation.path
        for name in names:
            known = {"owner": "o", "repo": "r", "path": "README.md"}
            path = path.replace(f"{{{name}}}", known.get(name, guess))
        made += [httpx2.Request(operation.verb, f"{BASE}{path}", json=body) for body in bodies]
    return made


def _bodies(description: Description, operation: Operation) -> list[object]:
    """{} and what the table's own body for this operation would be."""
    call = next((it for it in calls.CALLS if _operation(description, it) is operation), None)
    if call is None or not call.fields:
        return [{}]
    return [{}, {name: _example(call.fields[name]) for name in call.required}]


def _example(rule: Rule) -> object:
    if isinstance(rule, Mapping):
        return {}
    return min(rule) if isinstance(rule, frozenset) else rule()


def _passes(request: httpx2.Request) -> bool:
    try:
        transport.check(request, base=BASE)
    except Refused:
        return False
    return True


def test_graphql_is_refused_wherever_it_might_be(description: Description) -> None:
    assert ("POST", "/graphql") not in description.operations
    for path in ("/graphql", "/api/graphql", "/api/v3/graphql", "/repos/o/graphql"):
        for verb in ("GET", "POST"):
            assert not _passes(httpx2.Request(verb, f"{BASE}{path}", json={"query": "{}"}))


def test_client_and_local_forge_speak_as_the_installed_description_says(
    description: Description, forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    checkout = clone(filled_repo)
    checkout.commit({"a": "1"})
    assert checkout.push("HEAD:refs/heads/work").ok
    said = [
        *_mint(forge, filled_repo),
        *_life(forge, filled_repo),
    ]

    spoken = {found.name for it, _ in said if (found := calls.match(it.method, _path(it)))}
    assert spoken == {call.name for call in calls.CALLS}, "a call of the table was not tried"
    complaints = [_complaint(description, *exchange) for exchange in said]
    assert "".join(complaints) == ""


def _mint(forge: ServedForge, repo: str) -> list[tuple[httpx2.Request, httpx2.Response]]:
    recording = Recording(forge.url)
    tokens.mint(
        api_url=forge.api_url,
        app=forge.app("rex"),
        owner=OWNER,
        repo=repo,
        permissions={"contents": "write", "metadata": "read"},
        clock=forge.clock,
        transport=recording,
    )
    return recording.said


def _life(forge: ServedForge, repo: str) -> list[tuple[httpx2.Request, httpx2.Response]]:
    """Every call of the client that a token may make, most with several answers."""
    recording, second = Recording(forge.url), Recording(forge.url)
    issue = forge.operator.open_issue(OWNER, repo, title="t", labels=["bug"]).number
    forge.operator.add_ruleset(OWNER, repo, ruleset=RULESET)
    with (
        Forge(api_url=forge.api_url, token=forge.token(repo), transport=recording) as rex,
        Forge(api_url=forge.api_url, token=forge.token(repo, slug="qa"), transport=second) as qa,
    ):
        assert rex.repository(OWNER, repo).name == repo
        branch = rex.branch(OWNER, repo, "work")
        assert branch is not None
        assert rex.branch(OWNER, repo, "gone") is None
        assert rex.branch_rules(OWNER, repo, "main") == ("deletion", "required_status_checks")
        with pytest.raises(Refused):
            rex.has_protection(OWNER, repo, "main")
        assert rex.permission(OWNER, repo, OWNER) == "admin"
        assert rex.permission(OWNER, repo, "nobody-here") == "none"
        rex.issue(OWNER, repo, issue)
        comment = rex.add_comment(OWNER, repo, issue, body="hello")
        rex.edit_comment(OWNER, repo, comment.id, body="ho")
        rex.comment(OWNER, repo, comment.id)
        rex.issue_comments(OWNER, repo, issue)
        assert rex.file(OWNER, repo, "a", ref="work") == b"1"
        assert rex.file(OWNER, repo, "none", ref="work") is None
        pull = rex.open_pull(OWNER, repo, head="work", base="main", title="t", body="b")
        with pytest.raises(Refused):
            rex.open_pull(OWNER, repo, head="work", base="main", title="t", body="b")
        rex.edit_pull(OWNER, repo, pull.number, title="u", body="c")
        rex.issue(OWNER, repo, pull.number)
        rex.pulls(OWNER, repo, head_branch="work")
        with pytest.raises(Refused):
            rex.add_review(OWNER, repo, pull.number, commit=branch.sha, event="APPROVE", body="")
        qa.add_review(OWNER, repo, pull.number, commit=branch.sha, event="APPROVE", body="ok")
        qa.reviews(OWNER, repo, pull.number)
        check = qa.add_check_run(
            OWNER, repo, name="pressplay/verdict", sha=branch.sha, status="in_progress",
            conclusion="", external_id="run", title="t", summary="s",
        )  # fmt: skip
        qa.edit_check_run(
            OWNER, repo, check.id, status="completed", conclusion="success", title="t", summary="s"
        )
        qa.check_runs(OWNER, repo, branch.sha)
        forge.operator.set_auto_merge(OWNER, repo, pull.number, enabled=True)
        rex.pull(OWNER, repo, pull.number)
        forge.operator.set_pull_state(OWNER, repo, pull.number, state="closed")
        rex.pull(OWNER, repo, pull.number)
    return [*recording.said, *second.said]


def test_every_endpoint_of_the_local_forge_answers_as_the_installed_description_says(
    description: Description, forge: ServedForge, filled_repo: str, clone: CloneRepo, tmp_path: Path
) -> None:
    checkout = clone(filled_repo)
    checkout.commit({"a": "1\n2\n"})
    assert checkout.push("HEAD:refs/heads/work").ok
    recording = Recording(forge.url)
    token = forge.token(filled_repo)
    app = tokens.app_jwt(forge.app("rex").app_id, forge.app("rex").private_key, forge.clock.now())
    with httpx2.Client(transport=recording) as http:
        for speaker, verb, path, body, status in _script(filled_repo):
            secret = {"operator": OPERATOR_TOKEN, "token": token, "app": app}[speaker].reveal()
            known = {name: _seen(recording, name) for name in ("hook", "delivery", "ruleset")}
            known |= {name: _seen(recording, name) for name in ("comment", "run", "note", "app")}
            answer = http.request(
                verb,
                f"{forge.api_url}{path.format(**known)}",
                headers={"Authorization": f"Bearer {secret}"},
                json=body,
            )
            assert answer.status_code == status, (verb, path, answer.text)

    complaints = [_complaint(description, *exchange) for exchange in recording.said]
    assert "".join(complaints) == ""
    assert _untried(recording, tmp_path) == []


SEEN = {
    "hook": "/hooks", "delivery": "/deliveries", "ruleset": "/rulesets", "comment": "/comments",
    "run": "/check-runs", "note": "/pulls/2/comments", "app": "/installation",
}  # fmt: skip
"""Where the id comes from that a later path of the script holds."""


def _seen(recording: Recording, name: str) -> int:
    for request, response in reversed(recording.said):
        if request.url.path.endswith(SEEN[name]) and response.is_success:
            document = response.json()
            found = document[0] if isinstance(document, list) else document
            return int(found.get("id", 0))
    return 0


def _script(repo: str) -> list[tuple[str, str, str, Any, int]]:
    """Who asks what with which body, and the status of the answer."""
    at = f"/repos/{OWNER}/{repo}"
    protection = {
        "required_status_checks": {
            "strict": True,
            "contexts": [],
            "checks": [{"context": "v", "app_id": 1}],
        },
        "enforce_admins": True,
        "required_pull_request_reviews": {"required_approving_review_count": 1},
        "restrictions": {"users": [OWNER], "teams": [], "apps": []},
    }
    hook = {"name": "web", "events": ["*"], "config": {"url": "http://127.0.0.1:9/", "secret": "x"}}
    check = {"name": "v", "head_sha": "HEAD", "status": "queued"}
    pull = {"title": "t", "head": "work", "base": "main"}
    return [
        ("operator", "GET", "/user/repos", None, 200),
        ("operator", "POST", "/user/repos", {"name": f"{repo}-new"}, 201),
        ("app", "GET", "/app", None, 200),
        ("app", "GET", f"{at}/installation", None, 200),
        ("app", "POST", "/app/installations/{app}/access_tokens", {}, 201),
        ("app", "GET", "/app/hook/config", None, 404),
        ("app", "PATCH", "/app/hook/config", {"url": "http://127.0.0.1:9/"}, 404),
        ("app", "GET", "/app/hook/deliveries", None, 404),
        ("app", "GET", "/app/hook/deliveries/1", None, 404),
        ("app", "POST", "/app/hook/deliveries/1/attempts", None, 404),
        ("token", "GET", at, None, 200),
        ("operator", "PUT", f"{at}/collaborators/bob", {"permission": "maintain"}, 204),
        ("token", "GET", f"{at}/collaborators/bob/permission", None, 200),
        ("operator", "DELETE", f"{at}/collaborators/bob", None, 204),
        ("operator", "POST", f"{at}/hooks", hook, 201),
        ("operator", "GET", f"{at}/hooks", None, 200),
        ("operator", "GET", f"{at}/hooks/{{hook}}", None, 200),
        ("operator", "PATCH", f"{at}/hooks/{{hook}}", {"active": True}, 200),
        ("operator", "POST", f"{at}/hooks/{{hook}}/pings", None, 204),
        ("token", "POST", f"{at}/issues", {"title": "t", "labels": ["bug"]}, 201),
        ("token", "GET", f"{at}/issues/1", None, 200),
        ("operator", "PATCH", f"{at}/issues/1", {"state": "closed"}, 200),
        ("operator", "POST", f"{at}/issues/1/labels", {"labels": ["x"]}, 200),
        ("token", "GET", f"{at}/issues?state=all", None, 200),
        ("token", "POST", f"{at}/issues/1/comments", {"body": "hi"}, 201),
        ("token", "GET", f"{at}/issues/1/comments", None, 200),
        ("token", "GET", f"{at}/issues/comments/{{comment}}", None, 200),
        ("token", "PATCH", f"{at}/issues/comments/{{comment}}", {"body": "ho"}, 200),
        ("token", "POST", f"{at}/pulls", pull, 201),
        ("token", "GET", f"{at}/pulls", None, 200),
        ("token", "GET", f"{at}/pulls/2", None, 200),
        ("token", "PATCH", f"{at}/pulls/2", {"body": "b"}, 200),
        ("operator", "POST", f"{at}/pulls/2/reviews", {"event": "APPROVE"}, 200),
        ("token", "GET", f"{at}/pulls/2/reviews", None, 200),
        ("token", "GET", f"{at}/commits/work/check-runs", None, 200),
        ("token", "GET", f"{at}/check-runs/1", None, 404),
        ("token", "PATCH", f"{at}/check-runs/1", {"status": "queued"}, 404),
        ("token", "POST", f"{at}/check-runs", check, 422),
        ("token", "GET", f"{at}/branches/main", None, 200),
        ("token", "GET", f"{at}/contents/a?ref=work", None, 200),
        ("token", "GET", f"{at}/contents/src", None, 200),
        ("operator", "PUT", f"{at}/branches/main/protection", protection, 200),
        ("operator", "GET", f"{at}/branches/main/protection", None, 200),
        ("token", "GET", f"{at}/branches/main", None, 200),
        ("operator", "DELETE", f"{at}/branches/main/protection", None, 204),
        ("operator", "GET", f"{at}/branches/main/protection", None, 404),
        ("operator", "POST", f"{at}/rulesets", RULESET, 201),
        ("token", "GET", f"{at}/rulesets/{{ruleset}}", None, 200),
        ("operator", "PUT", f"{at}/rulesets/{{ruleset}}", {"name": "renamed"}, 200),
        ("token", "GET", f"{at}/rulesets", None, 200),
        ("token", "GET", f"{at}/rules/branches/main", None, 200),
        ("operator", "DELETE", f"{at}/rulesets/{{ruleset}}", None, 204),
        ("operator", "POST", f"{at}/pulls/2/comments", LINE | {"commit_id": SHA}, 201),
        ("token", "GET", f"{at}/pulls/2/comments", None, 200),
        ("token", "GET", f"{at}/pulls/comments/{{note}}", None, 200),
        ("operator", "PUT", f"{at}/pulls/2/merge", {"merge_method": "squash"}, 405),
        ("operator", "PUT", f"{at}/pulls/2/merge", {"sha": SHA}, 409),
        ("operator", "PUT", f"{at}/pulls/2/merge", {}, 200),
        ("token", "GET", f"{at}/pulls/2", None, 200),
        ("operator", "GET", f"{at}/hooks/{{hook}}/deliveries", None, 200),
        ("operator", "GET", f"{at}/hooks/{{hook}}/deliveries/{{delivery}}", None, 200),
        ("operator", "POST", f"{at}/hooks/{{hook}}/deliveries/{{delivery}}/attempts", None, 202),
        ("operator", "DELETE", f"{at}/hooks/{{hook}}", None, 204),
    ]


def _untried(recording: Recording, directory: Path) -> list[str]:
    """The local forge's endpoints below its REST address that the script leaves out."""
    application = build(
        directory=directory,
        operator_login=OWNER,
        operator_token=OPERATOR_TOKEN.reveal(),
        clock=SystemClock(),
        base_url=lambda: "http://127.0.0.1",
    )
    (mount,) = (it for it in application.routes if isinstance(it, Mount) and it.path == rest.API)
    routes = [it for it in mount.routes if isinstance(it, Route)]
    tried = set()
    for request, _ in recording.said:
        scope = {"type": "http", "method": request.method, "path": _path(request)}
        found = (it for it in routes if it.matches(scope)[0] is Match.FULL)
        tried.add(next(found).path + request.method)
    alarms_only = {(verb, path) for verb, path in alarms.REST}
    return sorted(
        f"{verb} {route.path}"
        for route in routes
        for verb in (route.methods or set()) - {"HEAD"}
        if (verb, route.path) not in alarms_only and route.path + verb not in tried
    )


def _path(request: httpx2.Request) -> str:
    raw = request.url.raw_path.decode().partition("?")[0]
    return raw.removeprefix("/api/v3")


def _complaint(description: Description, request: httpx2.Request, response: httpx2.Response) -> str:
    """What GitHub's description says against a request and its answer; empty if nothing."""
    operation = description.find(request.method, request.url.path.removeprefix("/api/v3"))
    found = sorted(set(request.url.params) - set(description.parameters(operation, "query")))
    if request.content:
        schema = description.body(operation)
        found += ["a body"] if schema is None else []
        found += description.problems(schema or {}, json.loads(request.content))
    schema = description.answer(operation, response.status_code)
    is_json = response.headers.get("content-type", "").startswith("application/json")
    if schema is not None and is_json:
        found += description.problems(schema, response.json())
    elif is_json or (schema is None and response.content):
        found += [f"answers {response.content[:80]!r}"]
    where = f"{operation.name} {response.status_code}"
    return "".join(f"{where}: {complaint}\n" for complaint in found)
