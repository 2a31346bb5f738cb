"""App keys as they are mounted, statements as GitHub checks them, advice as people need it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret, has_secret
from pressplay.forge import tokens
from pressplay.forge.tokens import AppKey

API = "https://forge.example/api/v3"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class _StandingClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_statement_is_signed_with_the_apps_key(key: rsa.RSAPrivateKey, pem: str) -> None:
    header, claims, signature = tokens.app_jwt("42", Secret(pem), NOW).reveal().split(".")

    key.public_key().verify(
        _decode(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    assert json.loads(_decode(header)) == {"alg": "RS256", "typ": "JWT"}


def test_statement_is_backdated_a_minute_and_lives_nine(pem: str) -> None:
    claims = json.loads(_decode(tokens.app_jwt("42", Secret(pem), NOW).reveal().split(".")[1]))

    moment = int(NOW.timestamp())
    assert claims == {"iss": "42", "iat": moment - 60, "exp": moment + 540}


def test_statement_has_a_shape_that_redaction_knows(pem: str) -> None:
    assert has_secret(tokens.app_jwt("42", Secret(pem), NOW).reveal())


@pytest.mark.parametrize(
    "spelling",
    [
        ("app-id", "private-key"),
        ("appId", "privateKey"),
        ("APP_ID", "PRIVATE_KEY"),
        ("GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY"),
    ],
)
def test_every_spelling_of_the_secret_is_read(
    tmp_path: Path, pem: str, spelling: tuple[str, str]
) -> None:
    (tmp_path / spelling[0]).write_text("42\n")
    (tmp_path / spelling[1]).write_text(pem)

    read = tokens.read_app_key(tmp_path)

    assert (read.app_id, read.private_key.reveal()) == ("42", pem)


def test_key_with_literal_backslash_n_is_unfolded(tmp_path: Path, pem: str) -> None:
    (tmp_path / "app-id").write_text("42")
    (tmp_path / "private-key").write_text(pem.replace("\n", "\\n"))

    assert tokens.read_app_key(tmp_path).private_key.reveal() == pem


@pytest.mark.parametrize("present", ["app-id", "private-key"])
def test_missing_half_of_the_secret_is_named(tmp_path: Path, present: str) -> None:
    (tmp_path / present).write_text("x")
    missing = {"app-id": "private-key", "private-key": "app-id"}[present]

    with pytest.raises(Refused, match=f"needs the key {missing}"):
        tokens.read_app_key(tmp_path)


def test_text_that_is_no_key_is_refused_without_showing_it() -> None:
    with pytest.raises(Refused, match="not a PEM key") as caught:
        tokens.app_jwt("42", Secret("hunter2"), NOW)
    assert "hunter2" not in str(caught.value)


def test_damaged_key_signs_nothing(key: rsa.RSAPrivateKey) -> None:
    numbers = key.private_numbers()
    damaged = rsa.RSAPrivateNumbers(
        p=numbers.p,
        q=numbers.q,
        d=numbers.d ^ 2,
        dmp1=numbers.dmp1 ^ 2,
        dmq1=numbers.dmq1,
        iqmp=numbers.iqmp,
        public_numbers=numbers.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)
    pem = damaged.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )

    with pytest.raises(Refused, match="damaged"):
        tokens.app_jwt("42", Secret(pem.decode()), NOW)


def test_key_that_is_not_rsa_is_refused() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

    with pytest.raises(Refused, match="must be RSA"):
        tokens.app_jwt("42", Secret(curve.decode()), NOW)


def _mint(pem: str, handler: Callable[[httpx2.Request], httpx2.Response]) -> tokens.Token:
    return tokens.mint(
        api_url=API,
        app=AppKey(app_id="42", private_key=Secret(pem)),
        owner="o",
        repo="r",
        permissions={"contents": "read"},
        clock=_StandingClock(),
        transport=httpx2.MockTransport(handler),
    )


def test_token_is_narrowed_to_one_repository_and_the_permissions(pem: str) -> None:
    bodies: list[object] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(200, json={"id": 5})
        bodies.append(json.loads(request.content))
        assert request.url.path == "/api/v3/app/installations/5/access_tokens"
        return httpx2.Response(201, json={"token": "ghs_x", "expires_at": "2026-01-02T04:04:05Z"})

    token = _mint(pem, answer)

    assert bodies == [{"repositories": ["r"], "permissions": {"contents": "read"}}]
    assert token.value.reveal() == "ghs_x"
    assert (token.expires_at - NOW).total_seconds() == 3600
    assert "ghs_x" not in repr(token)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "private-key belongs to App 42.*clock"),
        (403, "suspended"),
        (404, "Install App 42 on o/r"),
        (422, "lacks a permission.*grant it"),
    ],
)
def test_refusal_says_what_to_do(pem: str, status: int, advice: str) -> None:
    def refuse(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, json={"message": "no"})

    with pytest.raises(Refused, match=advice):
        _mint(pem, refuse)


def test_minting_asks_the_forge_and_nobody_else_when_it_fails(pem: str) -> None:
    asked: list[str] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.path}")
        return httpx2.Response(404, json={"message": "Not Found"})

    with pytest.raises(Refused):
        _mint(pem, refuse)
    assert asked == ["GET /api/v3/repos/o/r/installation"]
