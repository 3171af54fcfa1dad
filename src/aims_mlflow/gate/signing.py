"""Ed25519 signatures (RFC 8032) in DSSE envelopes (Dead Simple Signing Envelope, v1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aims_mlflow.errors import InputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_VARIABLE = "AIMS_SIGNING_KEY"
"""Path of a private key in PEM, or the PEM itself: what the process signs its assessments and approvals with."""
_PREFIX = "ed25519:"


@dataclass(frozen=True)
class SigningKey:
    """A private key; its text never shows in a repr or a log."""

    _private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"SigningKey({self.public})"

    @property
    def public(self) -> str:
        """The public key as ``ed25519:`` and base64."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        raw = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return _PREFIX + base64.b64encode(raw).decode()

    def sign(self, content: bytes) -> str:
        """The signature in base64."""
        return base64.b64encode(self._private.sign(content)).decode()

    def pem(self) -> bytes:
        """The private key, PKCS 8, not encrypted."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def new_key() -> SigningKey:
    """A fresh key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return SigningKey(Ed25519PrivateKey.generate())


def write_key(path: Path) -> SigningKey:
    """Make a key and write it where only its owner may read it.

    Raises:
        InputError: a file is there already, or it cannot be written. A key is never replaced.
    """
    key = new_key()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise InputError("a key is there already", where=str(path), remedy="Name another file.") from error
    except OSError as error:
        raise InputError(f"the key cannot be written ({error.strerror})", where=str(path)) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.pem())
    return key


def read_key(source: str | Path) -> SigningKey:
    """A private key from a PEM file, or from the PEM text.

    Raises:
        InputError: there is none, or it is not an Ed25519 key without a password.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    is_text = isinstance(source, str) and source.lstrip().startswith("-----BEGIN")
    where = "the signing key given" if is_text else str(source)
    try:
        pem = str(source).encode() if is_text else Path(source).expanduser().read_bytes()
        private = load_pem_private_key(pem, password=None)
    except OSError as error:
        raise InputError(f"the signing key cannot be read ({error.strerror})", where=where) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError("not a private key in PEM without a password", where=where, remedy=_MAKE_ONE) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError("not an Ed25519 key", where=where, remedy=_MAKE_ONE)
    return SigningKey(private)


_MAKE_ONE = "Make one with `aims keygen`."


def own_key() -> SigningKey | None:
    """The key this process signs with, named by ``AIMS_SIGNING_KEY``; None where it is unset.

    Raises:
        InputError: it is set and cannot be used.
    """
    source = os.environ.get(KEY_VARIABLE, "").strip()
    return read_key(source) if source else None


def is_signed_by(public: str, content: bytes, signature: str) -> bool:
    """Whether the signature over the content was made with the key. Anything malformed is no signature."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        raw = base64.b64decode(public.removeprefix(_PREFIX), validate=True)
        Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def is_public_key(text: str) -> bool:
    """Whether it is a public key as ``SigningKey.public`` gives it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix(_PREFIX), validate=True))
    except (ValueError, binascii.Error):
        return False
    return text.startswith(_PREFIX)


def key_id(public: str) -> str:
    """A short name of a public key: 16 hex digits of its SHA-256."""
    return hashlib.sha256(public.encode()).hexdigest()[:16]


# DSSE


def envelope(payload: bytes, payload_type: str, key: SigningKey | None) -> dict[str, Any]:
    """The payload in a DSSE envelope; without a key it has no signature, which says no more than the payload itself."""
    signatures = []
    if key is not None:
        signatures.append({"keyid": key_id(key.public), "sig": key.sign(pre_authentication(payload_type, payload))})
    return {"payloadType": payload_type, "payload": base64.b64encode(payload).decode(), "signatures": signatures}


def open_envelope(text: str, payload_type: str, *, limit: int) -> tuple[bytes, tuple[str, ...]]:
    """The payload and the signatures of an envelope, nothing of it verified.

    Raises:
        ValueError: it is none.
    """
    if len(text) > limit:
        msg = "too long"
        raise ValueError(msg)
    outer = json.loads(text)
    if not isinstance(outer, dict) or outer.get("payloadType") != payload_type:
        msg = "not an envelope of this type"
        raise ValueError(msg)
    payload, signatures = outer.get("payload"), outer.get("signatures", [])
    if not isinstance(payload, str) or not isinstance(signatures, list):
        msg = "not an envelope"
        raise ValueError(msg)
    made = tuple(s["sig"] for s in signatures[:8] if isinstance(s, dict) and isinstance(s.get("sig"), str))
    return base64.b64decode(payload, validate=True), made


def carries_signature(text: str) -> bool:
    """Whether an envelope holds any signature, by whomever."""
    try:
        outer = json.loads(text)
    except ValueError:
        return False
    return isinstance(outer, dict) and bool(outer.get("signatures"))


def signer(payload: bytes, payload_type: str, signatures: tuple[str, ...], keys: Mapping[str, str]) -> str | None:
    """Name of the first of the keys (name to public key) that signed the payload; None if none did."""
    content = pre_authentication(payload_type, payload)
    for name, public in keys.items():
        if any(is_signed_by(public, content, signature) for signature in signatures):
            return name
    return None


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """What DSSE signs: type and payload with their lengths, so that neither can be mistaken for the other."""
    kind = payload_type.encode()
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])
