"""A folder of Apps' keys as a person fills it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pressplay.base.clocks import SystemClock
from pressplay.base.errors import Refused
from pressplay.forge import app_keys


@pytest.fixture(scope="module")
def pem() -> str:
    """A key as GitHub makes them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def _put(folder: Path, name: str, app_id: str, pem: str) -> None:
    (folder / name).mkdir()
    (folder / name / "app-id").write_text(app_id)
    (folder / name / "private-key").write_text(pem)


def test_one_working_app_serves_for_all_that_have_none_of_their_own(
    tmp_path: Path, pem: str
) -> None:
    _put(tmp_path, "agent", "1", pem)
    _put(tmp_path, "qa", "2", pem)
    _put(tmp_path, "qa-approver", "3", pem)
    found = app_keys.read_folders(tmp_path, clock=SystemClock())
    assert {name: key.app_id for name, key in found.items()} == {
        **dict.fromkeys(("rex", "clippy", "triage", "security"), "1"),
        "qa": "2",
        "qa-approver": "3",
    }


def test_what_is_missing_is_named(tmp_path: Path, pem: str) -> None:
    _put(tmp_path, "rex", "1", pem)
    with pytest.raises(Refused, match=r"lacks clippy, qa, qa-approver; it needs a folder with one"):
        app_keys.read_folders(tmp_path, clock=SystemClock())
    with pytest.raises(Refused, match=r"gone is not there; give a folder with one folder for each"):
        app_keys.read_folders(tmp_path / "gone", clock=SystemClock())


def test_the_approver_is_another_app_than_those_that_work(tmp_path: Path, pem: str) -> None:
    _put(tmp_path, "agent", "1", pem)
    _put(tmp_path, "qa-approver", "1", pem)
    with pytest.raises(Refused, match="no App may approve its own pull request"):
        app_keys.read_folders(tmp_path, clock=SystemClock())


@pytest.mark.parametrize(
    ("app_id", "key", "complaint"),
    [
        ("", "PEM", "No App id in"),
        ("1", "", "No private key in"),
        ("1", "no key", "not a PEM key"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_its_folder(
    tmp_path: Path, pem: str, app_id: str, key: str, complaint: str
) -> None:
    _put(tmp_path, "agent", "1", pem)
    _put(tmp_path, "qa-approver", app_id, pem if key == "PEM" else key)
    with pytest.raises(Refused, match=complaint) as refused:
        app_keys.read_folders(tmp_path, clock=SystemClock())
    assert str(tmp_path / "qa-approver") in str(refused.value)
