"""Who is let in, and with which words the others are not."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pressplay.base import clocks
from pressplay.base.redaction import Secret
from pressplay.forge import tokens
from pressplay.forge.local import apps
from pressplay.forge.local.actors import App, Installation, Person, covers
from pressplay.forge.local.answers import ProblemError
from pressplay.forge.local.apps import Gate, KeyPair
from pressplay.forge.local.rows import AppRow, InstallationRow, TokenRow
from pressplay.forge.local.storage import Storage

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OPERATOR_TOKEN = "operator-token-for-these-tests"


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return apps.new_key()


@pytest.fixture
def store(tmp_path: Path, pair: KeyPair) -> Iterator[Storage]:
    made = Storage(tmp_path / "forge.sqlite")
    made.one(
        AppRow,
        "add_app",
        slug="rex",
        name="Rex",
        permissions='{"contents": "write"}',
        public_key=pair.public_pem,
        now=clocks.to_text(NOW),
    )
    yield made
    made.close()


@pytest.fixture
def gate(store: Storage) -> Gate:
    return Gate(store, operator_login="captain", operator_token=OPERATOR_TOKEN)


def _sign(pair: KeyPair, claims: object, *, header: object = None) -> str:
    """A statement with any claims, signed by the right key."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(it).encode()).rstrip(b"=").decode()
        for it in (header or {"alg": "RS256"}, claims)
    ]
    key = serialization.load_pem_private_key(pair.private_pem.reveal().encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = key.sign(".".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
    return ".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=").decode()])


def _claims(**changed: object) -> dict[str, object]:
    moment = int(NOW.timestamp())
    return {"iss": "1", "iat": moment - 60, "exp": moment + 540, **changed}


def test_app_with_its_own_statement_is_let_in(gate: Gate, pair: KeyPair) -> None:
    jwt = tokens.app_jwt("1", pair.private_pem, NOW)

    actor = gate.actor(f"Bearer {jwt.reveal()}", now=NOW)

    assert isinstance(actor, App)
    assert actor.login == "rex[bot]"


def test_statement_signed_by_another_key_is_not(gate: Gate) -> None:
    jwt = tokens.app_jwt("1", apps.new_key().private_pem, NOW)

    with pytest.raises(ProblemError, match="could not be decoded") as caught:
        gate.actor(f"Bearer {jwt.reveal()}", now=NOW)
    assert caught.value.status == 401


def test_statement_is_worth_nothing_after_its_end(gate: Gate, pair: KeyPair) -> None:
    jwt = tokens.app_jwt("1", pair.private_pem, NOW)

    with pytest.raises(ProblemError, match="Expiration time"):
        gate.actor(f"Bearer {jwt.reveal()}", now=NOW + timedelta(seconds=540))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"iss": "2"}, "Integration not found"),
        ({"iss": ["1"]}, "Integration not found"),
        ({"iss": "9" * 40}, "Integration not found"),
        ({"iat": int(NOW.timestamp()) + 90}, "Issued at"),
        ({"iat": "soon"}, "Issued at"),
        ({"exp": int(NOW.timestamp()) + 700}, "too far in the future"),
        ({"exp": None}, "Expiration time"),
    ],
)
def test_statement_with_wrong_claims_is_refused(
    gate: Gate, pair: KeyPair, *, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(ProblemError, match=message):
        gate.actor(f"Bearer {_sign(pair, _claims(**changed))}", now=NOW)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS512"])
def test_other_algorithms_are_not_taken(gate: Gate, pair: KeyPair, algorithm: str) -> None:
    with pytest.raises(ProblemError, match="could not be decoded"):
        gate.actor(f"Bearer {_sign(pair, _claims(), header={'alg': algorithm})}", now=NOW)


@pytest.mark.parametrize("text", ["a.b.c", "..", "e30.e30.e30", "W10.W10.W10", "é.é.é"])
def test_three_parts_that_are_no_statement_are_refused(gate: Gate, text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        gate.actor(f"Bearer {text}", now=NOW)
    assert caught.value.status == 401


def _token(store: Storage, *, expires_at: datetime) -> str:
    token = apps.new_token()
    row = store.one(
        InstallationRow, "add_installation", app_id=1, account="captain", now=clocks.to_text(NOW)
    )
    store.one(
        TokenRow,
        "add_token",
        hash=apps.token_hash(token),
        installation_id=row.id,
        app_id=1,
        repositories="[7]",
        permissions='{"contents": "read"}',
        expires_at=clocks.to_text(expires_at),
    )
    return token


@pytest.mark.parametrize("scheme", ["Bearer", "token", "Basic"])
def test_token_carries_its_permissions_under_every_scheme(
    gate: Gate, store: Storage, scheme: str
) -> None:
    token = _token(store, expires_at=NOW + timedelta(hours=1))
    pair = base64.b64encode(f"x-access-token:{token}".encode()).decode()

    actor = gate.actor(f"{scheme} {pair if scheme == 'Basic' else token}", now=NOW)

    assert isinstance(actor, Installation)
    assert actor.repositories == {7}
    assert actor.may("contents", "read")
    assert not actor.may("contents", "write")
    assert not actor.may("issues", "read")


def test_token_is_worth_nothing_after_an_hour(gate: Gate, store: Storage) -> None:
    token = _token(store, expires_at=NOW + timedelta(hours=1))

    with pytest.raises(ProblemError, match="Bad credentials"):
        gate.actor(f"Bearer {token}", now=NOW + timedelta(hours=1))


def test_token_itself_is_not_stored(store: Storage, tmp_path: Path) -> None:
    token = _token(store, expires_at=NOW)

    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert files
    assert all(token.encode() not in content for content in files)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ghs_unknown", "Basic !!!", "Basic /w==", "Digest x", "Bearer é"],
)
def test_other_credentials_are_refused(gate: Gate, header: str) -> None:
    with pytest.raises(ProblemError) as caught:
        gate.actor(header, now=NOW)
    assert caught.value.status == 401


def test_operator_may_play_somebody_elses_part(gate: Gate) -> None:
    header = f"Bearer {OPERATOR_TOKEN}"

    assert gate.actor(header, now=NOW) == Person("captain", is_operator=True)
    assert gate.actor(header, now=NOW, speaking_for="Captain") == Person("captain", True)
    assert gate.actor(header, now=NOW, speaking_for="bob") == Person("bob", is_operator=False)


def test_nobody_else_may(gate: Gate, store: Storage) -> None:
    token = _token(store, expires_at=NOW + timedelta(hours=1))

    with pytest.raises(ProblemError, match="Only the operator"):
        gate.actor(f"Bearer {token}", now=NOW, speaking_for="captain")


def test_key_is_of_the_kind_that_github_hands_out(pair: KeyPair) -> None:
    assert pair.private_pem.reveal().startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert tokens.app_jwt("1", Secret(pair.private_pem.reveal()), NOW)


def test_write_covers_read_and_everybody_reads_metadata() -> None:
    assert covers({"checks": "write"}, name="checks", level="read")
    assert not covers({"checks": "read"}, name="checks", level="write")
    assert covers({}, name="metadata", level="read")
    assert not covers({"checks": "write"}, name="checks", level="owner")
    assert not covers({"checks": "all"}, name="checks", level="read")
