"""Apps as GitHub has them: keys, signed statements, installations, tokens for an hour.

Source: GitHub's "Generating a JSON Web Token for a GitHub App" and "Create an installation access
token".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pressplay.base import clocks
from pressplay.base.redaction import Secret
from pressplay.forge.local.actors import Actor, App, Installation, Person
from pressplay.forge.local.answers import ProblemError
from pressplay.forge.local.rows import AppRow, TokenRow
from pressplay.forge.local.storage import Storage

TOKEN_LIFETIME = timedelta(hours=1)
LONGEST_STATEMENT_S = 600
LEEWAY_S = 60
_LETTERS = string.ascii_letters + string.digits
_BAD = "Bad credentials"
_UNREADABLE = "A JSON web token could not be decoded"


@dataclass(frozen=True)
class KeyPair:
    """A fresh RSA key: the private half for the App's owner, the public half for us."""

    private_pem: Secret
    public_pem: str


def new_key() -> KeyPair:
    """2048 bits, in the PKCS #1 form in which GitHub hands keys out."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return KeyPair(private_pem=Secret(private.decode()), public_pem=public.decode())


def new_token() -> str:
    """With the shape of GitHub's own (`ghs_`), so that redaction knows it."""
    return "ghs_" + "".join(secrets.choice(_LETTERS) for _ in range(36))


def token_hash(token: str) -> str:
    """What is stored in a token's place."""
    return hashlib.sha256(token.encode()).hexdigest()


class Gate:
    """Turns an Authorization header into an actor, or into 401."""

    def __init__(self, store: Storage, *, operator_login: str, operator_token: str) -> None:
        self._store = store
        self._operator_login = operator_login
        self._operator_token = operator_token

    def actor(self, authorization: str, *, now: datetime, speaking_for: str = "") -> Actor:
        """Who sent this header. `speaking_for` is a login whose part the operator plays."""
        token = _token_of(authorization)
        if hmac.compare_digest(token.encode(), self._operator_token.encode()):
            same = speaking_for.lower() in ("", self._operator_login.lower())
            login = self._operator_login if same else speaking_for
            return Person(login=login, is_operator=same)
        if speaking_for:
            raise ProblemError(403, "Only the operator may speak for somebody else")
        if token.count(".") == 2:
            return App(self._app_of(token, now=now))
        return self._holder(token, now=now)

    def _holder(self, token: str, *, now: datetime) -> Installation:
        row = self._store.find(TokenRow, "find_token", hash=token_hash(token))
        if row is None or clocks.from_text(row.expires_at) <= now:
            raise ProblemError(401, _BAD)
        app = self._store.one(AppRow, "find_app", id=row.app_id)
        return Installation(app, row.repository_ids(), row.allowed())

    def _app_of(self, token: str, *, now: datetime) -> AppRow:
        header, claims, signed, signature = _parts(token)
        if header.get("alg") != "RS256":
            raise ProblemError(401, _UNREADABLE)
        name = str(claims.get("iss", ""))
        number = int(name) if name.isascii() and name.isdigit() and len(name) < 18 else 0
        app = self._store.find(AppRow, "find_app", id=number)
        if app is None:
            raise ProblemError(401, "Integration not found")
        _check_signature(app.public_key, signed=signed, signature=signature)
        _check_times(claims, now=int(now.timestamp()))
        return app


def _token_of(authorization: str) -> str:
    """The secret of a Bearer, token or Basic header; the name that git sends means nothing."""
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer" | "token":
            return value.strip()
        case "basic":
            try:
                pair = base64.b64decode(value, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise ProblemError(401, _BAD) from error
            return pair.partition(":")[2]
        case _:
            raise ProblemError(401, "Requires authentication")


def _parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any], bytes, bytes]:
    first, second, third = token.split(".")
    try:
        header, claims = (json.loads(_decode(part)) for part in (first, second))
        signature = _decode(third)
    except ValueError as error:
        raise ProblemError(401, _UNREADABLE) from error
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise ProblemError(401, _UNREADABLE)
    return header, claims, f"{first}.{second}".encode(), signature


def _decode(part: str) -> bytes:
    """Base64url without padding (RFC 7515)."""
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _check_signature(public_pem: str, *, signed: bytes, signature: bytes) -> None:
    key = serialization.load_pem_public_key(public_pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("an App's stored key is always RSA")
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise ProblemError(401, _UNREADABLE) from error


def _check_times(claims: Mapping[str, Any], *, now: int) -> None:
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or issued > now + LEEWAY_S:
        raise ProblemError(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the "
            "assertion was issued",
        )
    if not isinstance(expires, int) or expires <= now:
        raise ProblemError(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time "
            "at which the assertion expires",
        )
    if expires > now + LONGEST_STATEMENT_S + LEEWAY_S:
        raise ProblemError(401, "'Expiration time' claim ('exp') is too far in the future")
