"""What the client makes of answers that a well-behaved forge rarely gives."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.forge import client
from pressplay.forge.client import Forge
from pressplay.forge.errors import RefusedByForge

API = "https://forge.example/api/v3"
TOKEN = Secret("ghs_0123456789abcdefghij0123456789abcdef")
COMMENT = {"user": {"login": "a"}, "body": "b", "created_at": "1", "updated_at": "2"}


def _forge(handler: Callable[[httpx2.Request], httpx2.Response]) -> Forge:
    return Forge(api_url=API, token=TOKEN, transport=httpx2.MockTransport(handler))


def _always(status: int, document: object) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _request: httpx2.Response(status, json=document)


def test_long_thread_is_read_page_by_page() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        page, size = int(request.url.params["page"]), int(request.url.params["per_page"])
        numbers = range((page - 1) * size, min(page * size, 250))
        return httpx2.Response(200, json=[COMMENT | {"id": number + 1} for number in numbers])

    with _forge(answer) as forge:
        assert [it.id for it in forge.issue_comments("o", "r", 1)] == list(range(1, 251))


def test_endless_list_is_refused_and_not_cut() -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json=[COMMENT | {"id": 1}] * client.PAGE)

    with _forge(answer) as forge, pytest.raises(Refused, match="too many to read"):
        forge.issue_comments("o", "r", 1)
    assert len(asked) == client.MOST_PAGES


def test_refusal_carries_the_forges_words_and_its_status() -> None:
    document = {
        "message": "Validation Failed",
        "errors": [{"resource": "PullRequest", "message": "No commits between main and x"}, "also"],
    }

    with _forge(_always(422, document)) as forge, pytest.raises(RefusedByForge) as caught:
        forge.open_pull("o", "r", head="x", base="main", title="t", body="")
    assert "Validation Failed; No commits between main and x; also" in str(caught.value)
    assert caught.value.status == 422


def test_secret_in_a_forges_message_is_starred() -> None:
    document = {"message": f"what is {TOKEN.reveal()}?"}

    with _forge(_always(403, document)) as forge, pytest.raises(Refused) as caught:
        forge.repository("o", "r")
    assert TOKEN.reveal() not in str(caught.value)


@pytest.mark.parametrize(
    "response",
    [
        httpx2.Response(200, text="<html>welcome</html>"),
        httpx2.Response(200, json=[]),
        httpx2.Response(200, json={"id": "x"}),
    ],
)
def test_answer_without_githubs_shape_points_at_the_address(response: httpx2.Response) -> None:
    with _forge(lambda _request: response) as forge, pytest.raises(Refused, match="GITHUB_API_URL"):
        forge.repository("o", "r")


def test_comment_of_a_deleted_account_is_the_ghosts() -> None:
    with _forge(_always(200, COMMENT | {"id": 3, "user": None})) as forge:
        assert forge.comment("o", "r", 3).author == "ghost"


def test_folder_is_not_mistaken_for_a_file() -> None:
    with _forge(_always(200, [])) as forge, pytest.raises(Refused, match="is a folder"):
        forge.file("o", "r", "src", ref="main")


def test_ref_that_is_missing_is_no_file() -> None:
    with _forge(_always(404, {"message": "No commit found for the ref"})) as forge:
        assert forge.file("o", "r", "a.txt", ref="gone") is None


def test_unknown_person_has_no_permission() -> None:
    with _forge(_always(404, {"message": "x is not a user"})) as forge:
        assert forge.permission("o", "r", "x") == "none"


def test_token_is_sent_as_a_header_and_shown_nowhere() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(404, json={})

    with _forge(answer) as forge:
        assert forge.branch("o", "r", "a/b") is None
    assert seen[0].headers["authorization"] == f"Bearer {TOKEN.reveal()}"
    assert seen[0].url.raw_path == b"/api/v3/repos/o/r/branches/a%2Fb"
