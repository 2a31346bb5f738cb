"""Installation tokens of a GitHub App: short-lived, for one repository, with a step's permissions.

There is no other way to a token: where minting fails, the step fails, and nobody's personal token
steps in. Source: GitHub's "Authenticating as a GitHub App" and "Generating an installation access
token".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from pressplay.base import clocks
from pressplay.base.clocks import Clock
from pressplay.base.errors import Refused
from pressplay.base.redaction import Secret
from pressplay.forge import records, session
from pressplay.forge.errors import RefusedByForge

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

BACKDATED_S = 60
"""The forge's clock may be behind ours."""

LIFETIME_S = 540
"""GitHub allows ten minutes; nine leave room for a clock that runs ahead."""

_ID_KEYS = ("app-id", "appId", "APP_ID", "GITHUB_APP_ID")
_PEM_KEYS = ("private-key", "privateKey", "PRIVATE_KEY", "GITHUB_APP_PRIVATE_KEY")


@dataclass(frozen=True)
class AppKey:
    """A GitHub App's id and its private key in PEM."""

    app_id: str
    private_key: Secret


@dataclass(frozen=True)
class Token:
    """An installation token and when it ends (UTC)."""

    value: Secret
    expires_at: datetime


@dataclass(frozen=True)
class Installation:
    """Where an App may work; `slug` is the App's name in addresses and on check runs."""

    id: int
    slug: str


def read_app_key(folder: Path) -> AppKey:
    """The App's key from a mounted secret, under any of the spellings that are in use.

    Raises Refused.
    """
    app_id = _first(folder, _ID_KEYS).strip()
    if not app_id:
        raise Refused(f"No App id in {folder}; the secret needs the key {_ID_KEYS[0]}")
    pem = _first(folder, _PEM_KEYS).replace("\\n", "\n").strip()
    if not pem:
        raise Refused(f"No private key in {folder}; the secret needs the key {_PEM_KEYS[0]}")
    return AppKey(app_id=app_id, private_key=Secret(f"{pem}\n"))


def app_jwt(app_id: str, private_key_pem: Secret, now: datetime) -> Secret:
    """The signed statement (RS256) with which an App speaks for itself for nine minutes."""
    moment = int(now.timestamp())
    claims = {"iss": app_id, "iat": moment - BACKDATED_S, "exp": moment + LIFETIME_S}
    signed = f"{_encode(_json({'alg': 'RS256', 'typ': 'JWT'}))}.{_encode(_json(claims))}"
    signature = _sign(_private_key(private_key_pem), signed.encode("ascii"))
    return Secret(f"{signed}.{_encode(signature)}")


def mint(
    *,
    api_url: str,
    app: AppKey,
    owner: str,
    repo: str,
    permissions: Mapping[str, str],
    clock: Clock,
    transport: httpx2.BaseTransport | None = None,
) -> Token:
    """A token for this one repository with no more than these permissions.

    Raises Refused with what to do, or Unavailable.
    """
    proof = app_jwt(app.app_id, app.private_key, clock.now())
    with session.Session(api_url=api_url, token=proof, transport=transport) as speaking:
        try:
            found = speaking.ask("installation", {"owner": owner, "repo": repo})
            number = records.read(lambda it: int(it["id"]), session.json_of(found))
            made = speaking.ask(
                "access_token",
                {"id": number},
                body={"repositories": [repo], "permissions": dict(permissions)},
            )
        except RefusedByForge as error:
            advice = _advice(error.status, app_id=app.app_id, where=f"{owner}/{repo}")
            raise RefusedByForge(f"{error}. {advice}", status=error.status) from error
        return records.read(_token, session.json_of(made))


def find_installation(
    *,
    api_url: str,
    app: AppKey,
    owner: str,
    repo: str,
    clock: Clock,
    transport: httpx2.BaseTransport | None = None,
) -> Installation:
    """The App's installation on a repository. Raises RefusedByForge (404: none), Unavailable."""
    proof = app_jwt(app.app_id, app.private_key, clock.now())
    with session.Session(api_url=api_url, token=proof, transport=transport) as speaking:
        found = speaking.ask("installation", {"owner": owner, "repo": repo})
        return records.read(_installation, session.json_of(found))


def _installation(document: dict[str, Any]) -> Installation:
    return Installation(id=int(document["id"]), slug=str(document["app_slug"]))


def _token(document: dict[str, str]) -> Token:
    return Token(
        value=Secret(document["token"]), expires_at=clocks.from_text(document["expires_at"])
    )


def _advice(status: int, *, app_id: str, where: str) -> str:
    match status:
        case 401:
            return (
                f"Check that private-key belongs to App {app_id}, that app-id is right, "
                "and that this machine's clock is"
            )
        case 403:
            return f"The installation of App {app_id} may be suspended; look at its settings"
        case 404:
            return f"Install App {app_id} on {where}, or check the repository's name"
        case 422:
            return (
                f"App {app_id} lacks a permission that this step asks for, or {where} is not among "
                "its repositories; grant it in the App's settings and accept it on the installation"
            )
        case _:
            return f"Check App {app_id} and its installation on {where}"


def _first(folder: Path, names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return (folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"Cannot read {name} in {folder}: {type(error).__name__}") from error
    return ""


def _sign(key: rsa.RSAPrivateKey, text: bytes) -> bytes:
    """The signature, tried with the public half: one from a damaged key would give the key away."""
    # Imported here: a command that speaks to the local forge alone starts without it, and sooner.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

    signature = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    try:
        key.public_key().verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise Refused("The App's private key is damaged; download it again") from error
    return signature


def _private_key(pem: Secret) -> rsa.RSAPrivateKey:
    # Imported here, as above.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    try:
        # Proving that the numbers are prime takes 60 ms of every token step; see _sign instead.
        key = serialization.load_pem_private_key(
            pem.reveal().encode(), password=None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refused(
            "The App's private key is not a PEM key without a passphrase; download it again"
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Refused("The App's private key must be RSA, as GitHub makes it")
    return key


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encode(data: bytes) -> str:
    """Base64url without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
