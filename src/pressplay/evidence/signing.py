"""The key that signs bundles, and the envelope that carries a signature.

Ed25519 (RFC 8032) over DSSE v1's pre-authentication encoding: the type of what is signed is
signed with it, so that a signature made for one thing can never be shown for another.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pressplay.base import documents
from pressplay.base.errors import Refused

PAYLOAD_TYPE = "application/vnd.in-toto+json"

KEY_FILES = ("private-key", "privateKey", "PRIVATE_KEY", "key.pem")
"""What the key may be called in its secret: the same spellings as an App's, or `key.pem`."""


@dataclass(frozen=True)
class PublicKey:
    """Who signed; `keyid` is the sha256 of the key's DER form."""

    pem: str

    @classmethod
    def from_pem(cls, pem: str | bytes) -> PublicKey:
        """The key in its one canonical text. Raises Refused for what is no Ed25519 public key."""
        return cls(_public_pem(_load_public(pem)))

    @property
    def keyid(self) -> str:
        der = _load_public(self.pem).public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(der).hexdigest()

    def verifies(self, signature: bytes, payload: bytes) -> bool:
        """Whether `signature` is this key's over `payload`."""
        try:
            _load_public(self.pem).verify(signature, pre_authentication_encoding(payload))
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """The private half; it signs and never shows itself."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(_public_pem(key.public_key()))

    def __repr__(self) -> str:
        return f"SigningKey({self.public.keyid[:12]})"

    @classmethod
    def generate(cls) -> SigningKey:
        """A fresh key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """The key in PKCS 8 PEM, its line breaks perhaps written as backslash n. Raises Refused."""
        try:
            key = serialization.load_pem_private_key(pem.replace(b"\\n", b"\n"), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise Refused("The signing key is no PEM private key without password") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise Refused(
                "The signing key is no Ed25519 key; try: openssl genpkey -algorithm ed25519"
            )
        return cls(key)

    @classmethod
    def from_folder(cls, folder: Path) -> SigningKey:
        """The key of a mounted secret (see KEY_FILES). Raises Refused where there is none."""
        for name in KEY_FILES:
            if (folder / name).is_file():
                return cls.from_pem((folder / name).read_bytes())
        raise Refused(
            f"No signing key in {folder}; the secret evidence-signing needs the key {KEY_FILES[0]}"
        )

    def private_pem(self) -> bytes:
        """The private key in PKCS 8 PEM, for the one who stores it."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def sign(self, payload: bytes) -> bytes:
        """The raw signature (64 bytes) over the encoded `payload`."""
        return self._key.sign(pre_authentication_encoding(payload))


def generate_key() -> bytes:
    """A fresh private key in PKCS 8 PEM, for the one who stores it in the secret."""
    return SigningKey.generate().private_pem()


def pre_authentication_encoding(payload: bytes, *, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """What is signed for `payload`. Source: DSSE v1.0.0, protocol.md, PAE()."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, key: SigningKey) -> bytes:
    """The envelope with `payload` and its signature, in canonical JSON."""
    return _envelope(payload, key.sign(payload), key.public.keyid)


def unseal(envelope: bytes, key: PublicKey) -> bytes:
    """The payload of an envelope that `key` signed.

    DSSE lets an envelope be written in many ways; ours has exactly one, so that no byte of a
    bundle can change unseen. Raises Refused.
    """
    value = documents.read_json(envelope, source="envelope")
    try:
        given = cast("dict[str, Any]", value)
        payload = base64.b64decode(given["payload"], validate=True)
        signature = base64.b64decode(given["signatures"][0]["sig"], validate=True)
    except (LookupError, TypeError, ValueError) as error:
        raise Refused("envelope: no payload and signature in it") from error
    if not key.verifies(signature, payload):
        raise Refused(f"envelope: the signature is not that of key {key.keyid[:12]}")
    if _envelope(payload, signature, key.keyid) != envelope:
        raise Refused("envelope: not in its canonical form")
    return payload


def _envelope(payload: bytes, signature: bytes, keyid: str) -> bytes:
    return documents.canonical_json(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
        }
    )


def _load_public(pem: str | bytes) -> Ed25519PublicKey:
    try:
        data = pem.encode() if isinstance(pem, str) else pem
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused("The public key is no PEM public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Refused("The public key is no Ed25519 key")
    return key


def _public_pem(key: Ed25519PublicKey) -> str:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
