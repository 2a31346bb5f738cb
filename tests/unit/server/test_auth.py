from __future__ import annotations

import base64

import pytest

from pressplay.server.auth import Accounts

ACCOUNTS = Accounts(server_key="key", operator_token="secret")


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header", ["Bearer secret", "bearer  secret ", _basic("operator:secret"), _basic(":secret")]
)
def test_operator_is_known_by_the_token(header: str) -> None:
    identity = ACCOUNTS.identify(header)
    assert identity is not None
    assert identity.is_operator
    assert identity.name == "operator"


def test_account_is_known_by_the_token_that_it_was_given() -> None:
    identity = ACCOUNTS.identify(f"Bearer {ACCOUNTS.token('agents', 'sealer')}")
    assert identity is not None
    assert identity.name == "system:serviceaccount:agents:sealer"
    assert "system:serviceaccounts:agents" in identity.groups
    assert not identity.is_operator


def test_token_outlives_a_restart_under_the_same_key() -> None:
    token = ACCOUNTS.token("agents", "sealer")
    assert Accounts(server_key="key", operator_token="other").identify(f"Bearer {token}")
    assert Accounts(server_key="other", operator_token="secret").identify(f"Bearer {token}") is None


def test_signature_of_one_account_does_not_fit_another() -> None:
    sealer, approver = (
        ACCOUNTS.token("agents", name).split(".") for name in ("sealer", "approver")
    )
    forged = ".".join([approver[0], approver[1], sealer[2]])
    assert ACCOUNTS.identify(f"Bearer {forged}") is None


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer secre",
        "secret",
        "Digest secret",
        "Basic secret",
        _basic("secret"),
        "Bearer psa..",
        "Bearer psa.YQ.x",
        "Bearer psa.é.x",
        "Bearer a.b.c.d",
    ],
)
def test_anything_else_is_nobody(header: str) -> None:
    assert ACCOUNTS.identify(header) is None
