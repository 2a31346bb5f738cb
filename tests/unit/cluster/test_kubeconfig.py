from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pressplay.base.errors import Refused, Unavailable
from pressplay.cluster import access, kubeconfig


@pytest.fixture(scope="module")
def pem() -> dict[str, str]:
    """A certificate that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")])
    moment = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(moment - timedelta(days=1))
        .not_valid_after(moment + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "certificate": made.public_bytes(serialization.Encoding.PEM).decode(),
        "key": private.decode(),
    }


def _data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _write(path: Path, **parts: Any) -> Path:
    """A kubeconfig with one cluster, one user and a context for the two of them."""
    cluster = {"server": "https://one.example:6443"} | parts.pop("cluster", {})
    config = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": parts.pop("user", {"token": "secret-token"})}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "here",
    }
    path.write_text(yaml.safe_dump(config | parts))
    return path


def _verify(found: access.Access) -> ssl.SSLContext:
    assert isinstance(found.verify, ssl.SSLContext)
    return found.verify


def test_token_and_authority_stand_in_the_file(tmp_path: Path, pem: dict[str, str]) -> None:
    cluster = {"certificate-authority-data": _data(pem["certificate"])}
    found = kubeconfig.read([_write(tmp_path / "config", cluster=cluster)])
    assert (found.url, found.current().reveal()) == ("https://one.example:6443", "secret-token")
    (authority,) = _verify(found).get_ca_certs()
    assert authority["subject"] == ((("commonName", "cluster"),),)
    assert "secret-token" not in repr(found)


def test_paths_count_from_the_files_own_folder(tmp_path: Path, pem: dict[str, str]) -> None:
    folder = tmp_path / "kube"
    folder.mkdir()
    (folder / "ca.crt").write_text(pem["certificate"])
    (folder / "token").write_text("first\n")
    path = _write(
        folder / "config",
        cluster={"certificate-authority": "ca.crt"},
        user={"tokenFile": "token"},
    )
    found = kubeconfig.read([path])
    assert len(_verify(found).get_ca_certs()) == 1
    assert found.current().reveal() == "first"
    (folder / "token").write_text("second\n")
    assert found.current().reveal() == "second"
    (folder / "token").unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        found.current()


def test_user_may_be_known_by_a_certificate(tmp_path: Path, pem: dict[str, str]) -> None:
    user = {
        "client-certificate-data": _data(pem["certificate"]),
        "client-key-data": _data(pem["key"]),
    }
    found = kubeconfig.read([_write(tmp_path / "config", user=user)])
    assert not found.current()
    (tmp_path / "mine.crt").write_text(pem["certificate"])
    (tmp_path / "mine.key").write_text(pem["key"])
    user = {"client-certificate": "mine.crt", "client-key": "mine.key"}
    assert not kubeconfig.read([_write(tmp_path / "config", user=user)]).current()
    user = {"client-certificate-data": _data("no certificate")}
    with pytest.raises(Refused, match="certificate of u cannot be read"):
        kubeconfig.read([_write(tmp_path / "config", user=user)])


def test_unchecked_tls_is_only_for_who_asks_for_it(tmp_path: Path) -> None:
    assert _verify(kubeconfig.read([_write(tmp_path / "a")])).verify_mode == ssl.CERT_REQUIRED
    open_one = _write(tmp_path / "b", cluster={"insecure-skip-tls-verify": True})
    assert _verify(kubeconfig.read([open_one])).verify_mode == ssl.CERT_NONE


def test_first_of_several_files_counts_and_others_complete_it(tmp_path: Path) -> None:
    first = _write(tmp_path / "first", users=[], **{"current-context": "here"})
    second = _write(
        tmp_path / "second",
        cluster={"server": "https://two.example"},
        user={"token": "second"},
        contexts=[{"name": "there", "context": {"cluster": "c", "user": "u"}}],
    )
    found = kubeconfig.read([tmp_path / "none", first, second])
    assert (found.url, found.current().reveal()) == ("https://one.example:6443", "second")
    assert kubeconfig.read([first, second], context="there").url == "https://one.example:6443"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"current-context": ""}, "no current-context"),
        ({"current-context": "x"}, "no context 'x'"),
        ({"clusters": []}, "no cluster 'c'"),
        ({"users": None}, "no user 'u'"),
        ({"cluster": {"server": "one.example"}}, "begins with https://"),
        ({"cluster": {"certificate-authority-data": "%%"}}, "is no base64 text"),
        ({"cluster": {"certificate-authority-data": _data("x")}}, "authority in the settings"),
        ({"cluster": {"certificate-authority": "none.crt"}}, "none.crt cannot be read"),
        ({"user": {"exec": {"command": "aws"}}}, r"by a program \(exec\).*kubectl create token"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, parts: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        kubeconfig.read([_write(tmp_path / "config", **parts)])


@pytest.mark.parametrize("text", ["{", "[]", "a: &a [*a, *b]"])
def test_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(Refused, match=r"The kubeconfig .*config"):
        kubeconfig.read([tmp_path / "config"])
    with pytest.raises(Refused, match="No kubeconfig at"):
        kubeconfig.read([tmp_path / "none"])
