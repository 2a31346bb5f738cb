"""Who asks: the operator, or a service account with the token that its pods are given.

An account's token is made from the server's key, so that it outlives a restart without a record.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

OPERATOR = "operator"
_PREFIX = "psa"


@dataclass(frozen=True)
class Identity:
    """Somebody who asks; `account` is a service account's namespace and name, or None.

    Names and groups follow Kubernetes' page "Authenticating".
    """

    name: str
    groups: frozenset[str]
    account: tuple[str, str] | None = None

    @property
    def is_operator(self) -> bool:
        """Whether no rule binds this identity."""
        return "system:masters" in self.groups

    @classmethod
    def operator(cls) -> Identity:
        """Whoever holds the operator's token."""
        return cls(OPERATOR, frozenset({"system:masters", "system:authenticated"}))

    @classmethod
    def service_account(cls, namespace: str, name: str) -> Identity:
        """A service account."""
        groups = {
            "system:authenticated",
            "system:serviceaccounts",
            f"system:serviceaccounts:{namespace}",
        }
        return cls(
            f"system:serviceaccount:{namespace}:{name}", frozenset(groups), (namespace, name)
        )


class Accounts:
    """Gives out tokens and knows them again; both keys are secrets of the state folder."""

    def __init__(self, *, server_key: str, operator_token: str) -> None:
        self._key = server_key.encode()
        self._operator_token = operator_token.encode()

    def token(self, namespace: str, account: str) -> str:
        """The bearer token of a service account; the same for ever under the same key."""
        who = base64.urlsafe_b64encode(f"{namespace}/{account}".encode()).decode().rstrip("=")
        return f"{_PREFIX}.{who}.{self._sign(who)}"

    def identify(self, authorization: str) -> Identity | None:
        """Whose token an Authorization header holds; None for nobody's.

        Whether the account still exists is for the caller to ask.
        """
        token = _token(authorization)
        if not token:
            return None
        if hmac.compare_digest(token.encode(), self._operator_token):
            return Identity.operator()
        parts = token.split(".")
        if len(parts) != 3 or parts[0] != _PREFIX:
            return None
        if not hmac.compare_digest(parts[2].encode(), self._sign(parts[1]).encode()):
            return None
        return _account(parts[1])

    def _sign(self, who: str) -> str:
        # The name of the purpose keeps the signature from serving any other one.
        text = f"pressplay service account {who}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


def _token(authorization: str) -> str:
    """The token in a header, which may also come as the password of basic authentication.

    kubectl sends no bearer token over plain HTTP, but does send what stands in a server's URL.
    """
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                text = base64.b64decode(value.strip(), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                return ""
            return text.partition(":")[2]
        case _:
            return ""


def _account(who: str) -> Identity | None:
    try:
        text = base64.urlsafe_b64decode(who + "=" * (-len(who) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    namespace, _, name = text.partition("/")
    return Identity.service_account(namespace, name)
