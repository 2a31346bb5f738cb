"""Which requests are gated, and where they go."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from pressplay.api.policy import Acceptance, Endpoint
from pressplay.base.errors import Refused
from pressplay.evidence import targets
from pressplay.evidence.targets import Address, Urls


def address(host: str, path: str) -> Address:
    return Address(host, path=path, url=f"http://{host}{path}", connect="127.0.0.1:1")


def test_urls_are_read_back_as_they_were_written(scene: Any) -> None:
    written = json.loads(json.dumps(scene.urls.to_json()))
    assert Urls.from_json(written) == scene.urls


def test_each_endpoint_is_asked_where_its_path_is_named_else_at_the_first_address(
    scene: Any,
) -> None:
    urls = dataclasses.replace(
        scene.urls,
        endpoints=(
            address("a.example", "/"),
            address("b.example", "/"),
            address("c.example", "/x"),
        ),
    )
    acceptance = Acceptance(endpoints=(Endpoint("/"), Endpoint("/x"), Endpoint("/y", "POST")))
    assert [str(target) for target in targets.targets(acceptance, urls)] == [
        "GET / at a.example",
        "GET / at b.example",
        "GET /x at c.example",
        "POST /y at a.example",
    ]


def test_an_address_that_is_listed_twice_is_one_target(scene: Any) -> None:
    urls = dataclasses.replace(scene.urls, endpoints=scene.urls.endpoints * 2)
    assert len(targets.targets(scene.acceptance, urls)) == 1


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("connect", "127.0.0.1"),
        ("connect", "user@host:80"),
        ("connect", "host:80/path"),
        ("host", "host/path"),
        ("host", "a b"),
        ("url", "ftp://host/"),
        ("path", "no-slash"),
    ],
)
def test_an_address_that_could_lead_elsewhere_is_refused(
    scene: Any, place: str, value: str
) -> None:
    written = scene.urls.to_json()
    written["endpoints"][0][place] = value
    with pytest.raises(Refused, match=rf"urls: endpoints\[0\]\.{place}"):
        Urls.from_json(written)


def test_a_preview_without_addresses_is_refused(scene: Any) -> None:
    with pytest.raises(Refused, match="endpoints"):
        Urls.from_json(scene.urls.to_json() | {"endpoints": []})
