"""Real git against the local forge, with installation tokens."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest

from pressplay.base.redaction import Secret

if TYPE_CHECKING:  # only names here: pytest hands the objects in
    from pathlib import Path

    from tests.contract.conftest import Checkout, CloneRepo, ServedForge

OWNER = "captain"
BRANCH = "pressplay/issue-1"


def _heads(checkout: Checkout) -> dict[str, str]:
    listed = checkout.git("ls-remote", "--heads", "origin")
    assert listed.ok, listed.complaint()
    pairs = (line.split("\t") for line in listed.text().splitlines())
    return {ref.removeprefix("refs/heads/"): sha for sha, ref in pairs}


def test_app_clones_with_a_token_that_only_reads(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo, contents="read"))

    assert (checkout.folder / "README.md").read_text() == "hello\n"


def test_app_fetches_a_commit_by_its_sha(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    first = checkout.git("rev-parse", "HEAD").text().strip()
    checkout.commit({"a": "1"})
    assert checkout.push(f"HEAD:refs/heads/{BRANCH}").ok

    fetched = checkout.git("fetch", "--depth=1", "origin", first)

    assert fetched.ok, fetched.complaint()


def test_app_pushes_a_new_branch_and_moves_it_forward(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    for content in "12":
        sha = checkout.commit({"a": content})
        pushed = checkout.push(f"HEAD:refs/heads/{BRANCH}")
        assert pushed.ok, pushed.complaint()
        assert _heads(checkout)[BRANCH] == sha


def test_head_of_a_pull_request_follows_its_branch(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    checkout.commit({"a": "1"})
    assert checkout.push(f"HEAD:refs/heads/{BRANCH}").ok

    with forge.client(filled_repo) as client:
        pull = client.open_pull(OWNER, filled_repo, head=BRANCH, base="main", title="t", body="")
        sha = checkout.commit({"a": "2"})
        assert checkout.push(f"HEAD:refs/heads/{BRANCH}").ok
        moved = client.pull(OWNER, filled_repo, pull.number)

    assert (moved.head_sha, moved.base_sha) == (sha, pull.base_sha)


def test_push_without_contents_write_is_refused(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    token = forge.token(filled_repo, contents="read", pull_requests="write")
    checkout = clone(filled_repo, token=token)
    checkout.commit({"a": "1"})

    pushed = checkout.push(f"HEAD:refs/heads/{BRANCH}")

    assert not pushed.ok
    assert "403" in pushed.complaint()
    assert BRANCH not in _heads(checkout)


def test_clone_without_contents_read_is_refused(
    forge: ServedForge, filled_repo: str, tmp_path: Path, clone: CloneRepo
) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo, contents="read"))
    weak = type(checkout)(tmp_path, forge.url, forge.token(filled_repo, issues="write"))

    listed = weak.git("ls-remote", f"{forge.url}/{OWNER}/{filled_repo}.git")

    assert not listed.ok
    assert "lacks contents:read" in listed.complaint()


def test_wrong_token_is_refused_without_a_question(
    forge: ServedForge, filled_repo: str, tmp_path: Path, clone: CloneRepo
) -> None:
    checkout = type(clone(filled_repo))(tmp_path, forge.url, Secret("ghs_wrong"))

    listed = checkout.git("ls-remote", f"{forge.url}/{OWNER}/{filled_repo}.git")

    assert not listed.ok
    assert "terminal prompts disabled" in listed.complaint()


def test_token_of_one_repository_does_not_clone_another(
    forge: ServedForge, filled_repo: str, tmp_path: Path, clone: CloneRepo
) -> None:
    other = forge.operator.ensure_repository(f"{filled_repo}-other").name
    checkout = type(clone(filled_repo))(tmp_path, forge.url, forge.token(filled_repo))

    listed = checkout.git("ls-remote", f"{forge.url}/{OWNER}/{other}.git")

    assert not listed.ok
    assert "not found" in listed.complaint()


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_app_does_not_push_to_the_default_branch(
    forge: ServedForge, filled_repo: str, clone: CloneRepo, *, options: tuple[str, ...]
) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    before = _heads(checkout)
    checkout.commit({"a": "1"})

    pushed = checkout.push("HEAD:refs/heads/main", *options)

    assert not pushed.ok
    assert "remote: error: GH006: Protected branch update failed for refs/heads/main" in (
        pushed.complaint()
    )
    assert "protected branch hook declined" in pushed.complaint()
    assert _heads(checkout) == before


def test_default_branch_stays_closed_without_its_protection(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    forge.may_ring = True
    forge.operator.set_protection(OWNER, filled_repo, "main", enabled=False)
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    checkout.commit({"a": "1"})

    assert not checkout.push("HEAD:refs/heads/main").ok
    # GitHub would have let it through: that is what the alarm is for.
    alarm = forge.operator.alarms()[-1]
    assert (alarm.who, alarm.verb) == ("rex[bot]", "PUSH")
    assert alarm.path == f"/{OWNER}/{filled_repo}.git refs/heads/main"


def test_app_does_not_push_to_a_protected_branch(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    forge.operator.set_protection(OWNER, filled_repo, "release/1", enabled=True)
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    checkout.commit({"a": "1"})

    assert not checkout.push("HEAD:refs/heads/release/1").ok
    forge.operator.set_protection(OWNER, filled_repo, "release/1", enabled=False)
    assert checkout.push("HEAD:refs/heads/release/1").ok


def test_one_protected_branch_spoils_the_whole_push(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    checkout.commit({"a": "1"})

    pushed = checkout.git("push", "origin", f"HEAD:refs/heads/{BRANCH}", "HEAD:refs/heads/main")

    assert not pushed.ok
    assert BRANCH not in _heads(checkout)


def test_app_rewrites_no_branch(forge: ServedForge, filled_repo: str, clone: CloneRepo) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    kept = checkout.commit({"a": "1"})
    assert checkout.push(f"HEAD:refs/heads/{BRANCH}").ok
    assert checkout.git("reset", "--quiet", "--hard", "HEAD~1").ok
    checkout.commit({"a": "other"})

    pushed = checkout.push(f"HEAD:refs/heads/{BRANCH}", "--force")

    assert not pushed.ok
    assert "non-fast-forward" in pushed.complaint()
    assert _heads(checkout)[BRANCH] == kept


def test_app_deletes_no_branch(forge: ServedForge, filled_repo: str, clone: CloneRepo) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    checkout.commit({"a": "1"})
    assert checkout.push(f"HEAD:refs/heads/{BRANCH}").ok

    pushed = checkout.push(f":refs/heads/{BRANCH}")

    assert not pushed.ok
    assert "an App deletes no ref" in pushed.complaint()
    assert BRANCH in _heads(checkout)


def test_app_makes_a_tag_and_moves_none(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    assert checkout.push("HEAD:refs/tags/v1").ok
    checkout.commit({"a": "1"})

    assert not checkout.push("HEAD:refs/tags/v1", "--force").ok
    assert not checkout.push("HEAD:refs/pull/1/head").ok


def test_person_pushes_to_main_and_the_pull_request_counts_as_merged(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    person = clone(filled_repo)
    person.commit({"a": "1"})
    assert person.push(f"HEAD:refs/heads/{BRANCH}").ok
    with forge.client(filled_repo) as client:
        number = client.open_pull(
            OWNER, filled_repo, head=BRANCH, base="main", title="t", body=""
        ).number
        assert person.push("HEAD:refs/heads/main").ok
        pull = client.pull(OWNER, filled_repo, number)

    assert (pull.state, pull.merged) == ("closed", True)


def test_pull_request_whose_branch_is_gone_is_closed_unmerged(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    person = clone(filled_repo)
    sha = person.commit({"a": "1"})
    assert person.push(f"HEAD:refs/heads/{BRANCH}").ok
    with forge.client(filled_repo) as client:
        number = client.open_pull(
            OWNER, filled_repo, head=BRANCH, base="main", title="t", body=""
        ).number
        assert person.push(f":refs/heads/{BRANCH}").ok
        pull = client.pull(OWNER, filled_repo, number)

    assert (pull.state, pull.merged, pull.head_sha) == ("closed", False, sha)


def test_pushes_at_the_same_moment_all_arrive(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    token = forge.token(filled_repo)
    checkouts = [clone(filled_repo, token=token) for _ in range(4)]
    shas = [it.commit({f"file-{index}": "x"}) for index, it in enumerate(checkouts)]

    with ThreadPoolExecutor(4) as pool:
        pushed = list(
            pool.map(lambda it: it[1].push(f"HEAD:refs/heads/b{it[0]}"), enumerate(checkouts))
        )

    assert all(it.ok for it in pushed), [it.complaint() for it in pushed]
    heads = _heads(checkouts[0])
    assert [heads[f"b{index}"] for index in range(4)] == shas


def test_of_two_pushes_to_one_branch_one_wins(
    forge: ServedForge, filled_repo: str, clone: CloneRepo
) -> None:
    token = forge.token(filled_repo)
    checkouts = [clone(filled_repo, token=token) for _ in range(2)]
    shas = [it.commit({"file": str(index)}) for index, it in enumerate(checkouts)]

    with ThreadPoolExecutor(2) as pool:
        pushed = list(pool.map(lambda it: it.push(f"HEAD:refs/heads/{BRANCH}").ok, checkouts))

    assert sorted(pushed) == [False, True]
    assert _heads(checkouts[0])[BRANCH] == shas[pushed.index(True)]


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_every_version_of_the_protocol_is_spoken(
    forge: ServedForge, filled_repo: str, clone: CloneRepo, version: str
) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    sha = checkout.commit({"a": "1"})
    speaking = ("-c", f"protocol.version={version}")

    pushed = checkout.git(*speaking, "push", "origin", f"HEAD:refs/heads/{BRANCH}")
    assert pushed.ok, pushed.complaint()
    listed = checkout.git(*speaking, "ls-remote", "origin", BRANCH)
    assert listed.text().split()[:1] == [sha]
    fetched = checkout.git(*speaking, "fetch", "--refetch", "origin", sha)
    assert fetched.ok, fetched.complaint()


def test_what_git_can_do_is_told_to_those_alone_who_may_read(
    forge: ServedForge, filled_repo: str
) -> None:
    def ask(repo: str, **permissions: str) -> int:
        token = forge.token(filled_repo, **permissions).reveal()
        return forge.http.get(
            f"{forge.url}/{OWNER}/{repo}.git/info/refs?service=git-upload-pack",
            headers={"Authorization": f"Bearer {token}", "Git-Protocol": "version=2"},
        ).status_code

    # The second time from memory, and no less guarded.
    assert [ask(filled_repo, contents="read") for _ in range(2)] == [200, 200]
    assert ask(filled_repo, issues="read") == 403
    assert ask("no-such-repo", contents="read") == 404


def test_large_fetch_passes_through(forge: ServedForge, filled_repo: str, clone: CloneRepo) -> None:
    token = forge.token(filled_repo)
    noise = "".join(format(number * 2654435761 % 2**64, "x") for number in range(400_000))
    checkout = clone(filled_repo, token=token)
    sha = checkout.commit({"noise": noise})
    assert checkout.push(f"HEAD:refs/heads/{BRANCH}").ok

    fetched = checkout.git("fetch", "--refetch", "origin", sha)

    assert fetched.ok, fetched.complaint()


def test_large_push_passes_through(forge: ServedForge, filled_repo: str, clone: CloneRepo) -> None:
    checkout = clone(filled_repo, token=forge.token(filled_repo))
    noise = "".join(format(number * 2654435761 % 2**64, "x") for number in range(400_000))
    sha = checkout.commit({"noise": noise})

    pushed = checkout.push(f"HEAD:refs/heads/{BRANCH}")

    assert pushed.ok, pushed.complaint()
    assert _heads(checkout)[BRANCH] == sha


def _post(forge: ServedForge, repo: str, *, content: bytes, encoding: str) -> httpx2.Response:
    return forge.http.post(
        f"{forge.url}/{OWNER}/{repo}.git/git-upload-pack",
        content=content,
        headers={
            "Authorization": f"Bearer {forge.token(repo, contents='read').reveal()}",
            "Content-Type": "application/x-git-upload-pack-request",
            "Content-Encoding": encoding,
            "Git-Protocol": "version=2",
        },
    )


def test_gzipped_request_is_understood(forge: ServedForge, filled_repo: str) -> None:
    lines = b"0014command=ls-refs\n00010000"

    plain = _post(forge, filled_repo, content=lines, encoding="identity")
    packed = _post(forge, filled_repo, content=gzip.compress(lines), encoding="gzip")

    assert b"refs/heads/main" in plain.content
    assert packed.content == plain.content


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 400), ("br", 415)])
def test_body_that_cannot_be_unpacked_is_refused(
    forge: ServedForge, filled_repo: str, *, encoding: str, status: int
) -> None:
    assert (
        _post(forge, filled_repo, content=b"no gzip at all", encoding=encoding).status_code
        == status
    )


def test_body_of_another_kind_is_refused(forge: ServedForge, filled_repo: str) -> None:
    answer = forge.http.post(
        f"{forge.url}/{OWNER}/{filled_repo}.git/git-upload-pack",
        content=b"0000",
        headers={
            "Authorization": f"Bearer {forge.token(filled_repo, contents='read').reveal()}",
            "Content-Type": "text/plain",
        },
    )

    assert answer.status_code == 415


def test_dumb_protocol_is_not_spoken(forge: ServedForge, filled_repo: str) -> None:
    headers = {"Authorization": f"Bearer {forge.token(filled_repo).reveal()}"}
    base = f"{forge.url}/{OWNER}/{filled_repo}.git"

    assert forge.http.get(f"{base}/info/refs", headers=headers).status_code == 403
    for path in ("HEAD", "config", "objects/info/packs", "../forge.sqlite"):
        assert forge.http.get(f"{base}/{path}", headers=headers).status_code == 404
