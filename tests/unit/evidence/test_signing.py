"""Signatures are Ed25519 over DSSE, and an envelope can be written in one way only."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pressplay.base.errors import Refused
from pressplay.evidence import signing
from pressplay.evidence.signing import PublicKey, SigningKey


def test_the_encoding_is_the_one_in_the_dsse_specification() -> None:
    encoded = signing.pre_authentication_encoding(
        b"hello world", payload_type="http://example.com/HelloWorld"
    )
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_a_signature_is_verified_by_any_ed25519_implementation() -> None:
    key = SigningKey.generate()
    envelope = json.loads(signing.seal(b"payload", key))
    public = serialization.load_pem_public_key(key.public.pem.encode())
    assert isinstance(public, Ed25519PublicKey)
    public.verify(
        base64.b64decode(envelope["signatures"][0]["sig"]),
        b"DSSEv1 28 application/vnd.in-toto+json 7 payload",
    )
    assert envelope["signatures"][0]["keyid"] == key.public.keyid


def test_what_was_sealed_is_unsealed() -> None:
    key = SigningKey.generate()
    assert signing.unseal(signing.seal(b"payload", key), key.public) == b"payload"


def test_another_key_does_not_unseal() -> None:
    envelope = signing.seal(b"payload", SigningKey.generate())
    with pytest.raises(Refused, match="the signature is not that of key"):
        signing.unseal(envelope, SigningKey.generate().public)


def test_no_byte_of_an_envelope_can_change() -> None:
    key = SigningKey.generate()
    envelope = signing.seal(b"payload", key)
    for position in range(len(envelope)):
        for flip in (0x01, 0x20, 0x80):
            changed = bytearray(envelope)
            changed[position] ^= flip
            with pytest.raises(Refused):
                signing.unseal(bytes(changed), key.public)


@pytest.mark.parametrize(
    "envelope",
    [b"", b"[]", b"{}", b'{"payload": 1, "signatures": []}', b'{"payload": "", "signatures": 3}'],
)
def test_what_is_no_envelope_is_refused(envelope: bytes) -> None:
    with pytest.raises(Refused, match="envelope"):
        signing.unseal(envelope, SigningKey.generate().public)


def test_a_key_is_read_from_its_secret_under_every_spelling(tmp_path: Path) -> None:
    key = SigningKey.generate()
    for name in signing.KEY_FILES:
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(key.private_pem().replace(b"\n", b"\\n"))
        assert SigningKey.from_folder(folder).public == key.public
    assert SigningKey.from_pem(signing.generate_key()).public != key.public
    with pytest.raises(Refused, match=r"No signing key in .* evidence-signing"):
        SigningKey.from_folder(tmp_path)


def test_other_keys_are_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    pem = other.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(Refused, match="no Ed25519 key"):
        SigningKey.from_pem(pem)
    public = other.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(Refused, match="no Ed25519 key"):
        PublicKey.from_pem(public)
    for nonsense in (b"", b"x", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        with pytest.raises(Refused, match="no PEM"):
            PublicKey.from_pem(nonsense)
        with pytest.raises(Refused, match="no PEM"):
            SigningKey.from_pem(nonsense)


def test_a_signing_key_does_not_show_itself() -> None:
    key = SigningKey.generate()
    body = key.private_pem().decode().splitlines()[1]
    assert body not in repr(key) + str(key) + str(vars(key))
