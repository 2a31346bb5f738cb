"""`/healthz` and `/api/items`."""

from conftest import Client


def test_the_service_is_healthy(client: Client) -> None:
    assert client.get("/healthz") == (200, {"status": "ok"})


def test_a_new_shelf_is_empty(client: Client) -> None:
    assert client.get("/api/items") == (200, {"items": []})


def test_an_item_is_kept_and_gets_an_id(client: Client) -> None:
    assert client.post("/api/items", {"name": "hammer"}) == (201, {"id": 1, "name": "hammer"})
    assert client.post("/api/items", {"name": "saw"}) == (201, {"id": 2, "name": "saw"})
    _, document = client.get("/api/items")
    assert document == {"items": [{"id": 1, "name": "hammer"}, {"id": 2, "name": "saw"}]}


def test_an_item_without_a_name_is_refused(client: Client) -> None:
    status, document = client.post("/api/items", {"name": "  "})
    assert status == 400
    assert document == {"error": "name must be a text that is not empty"}


def test_a_name_that_is_too_long_is_refused(client: Client) -> None:
    assert client.post("/api/items", {"name": "x" * 201})[0] == 400


def test_a_body_that_is_no_json_is_refused(client: Client) -> None:
    assert client.send("/api/items", b"{")[0] == 400


def test_an_unknown_path_is_not_found(client: Client) -> None:
    assert client.get("/nothing") == (404, {"error": "not found"})
    assert client.post("/nothing", {})[0] == 404
