from __future__ import annotations

from pathlib import Path

import pytest

from pressplay.base.errors import Refused
from pressplay.stages.relays import upstream


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", "-")).write_text(text)
    return folder


def test_a_key_alone_opens_the_public_service(tmp_path: Path) -> None:
    found = upstream.find(write(tmp_path, api_key="sk-1\n"))
    assert found is not None
    assert (found.url, found.key.reveal()) == (upstream.DEFAULT_URL, "sk-1")


def test_an_address_alone_is_a_service_without_a_key(tmp_path: Path) -> None:
    found = upstream.find(write(tmp_path, base_url="https://models.example/x/\n"))
    assert found is not None
    assert (found.url, bool(found.key)) == ("https://models.example/x", False)


def test_without_a_secret_there_is_no_service(tmp_path: Path) -> None:
    assert upstream.find(tmp_path) is None
    assert upstream.find(write(tmp_path, api_key="", base_url=" \n")) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "https://a.example:8443/v",
        "http://127.0.0.1:9",
        "http://localhost:9",
        "http://[::1]:9/x",
        "http://127.9.9.9",
    ],
)
def test_a_key_goes_over_https_or_stays_on_this_machine(url: str) -> None:
    assert upstream.check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://10.0.0.1",
        "ftp://a.example",
        "a.example",
        "https://",
        "https://user:pw@a.example",
        "https://a b",
        "http://127.0.0.1@a.example",
        "https://a.example\nx",
        "http://0.0.0.0",
    ],
)
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(Refused, match="base-url"):
        upstream.check_url(url)


def test_a_service_does_not_print_its_key(tmp_path: Path) -> None:
    assert "sk-1" not in repr(upstream.find(write(tmp_path, api_key="sk-1")))
