"""Ed25519 keys of the evidence: made once a stack, private part 0600, public part as a PEM file to hand out.

Signatures are over named purposes, so that one made for the ledger can never stand for a manifest (RFC 8032).
"""

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from onedallmail.evidence.canonical import sha256

PRIVATE_NAME = "evidence.key.pem"
PUBLIC_NAME = "evidence.pub.pem"
SIGNATURE_BYTES = 64


class KeyFileError(ValueError):
    """A key file is missing, unreadable or of another kind; the message names the file."""


def ensure_keys(folder: Path) -> Ed25519PrivateKey:
    """Return the private key in `folder`; make both key files (0600 and 0644) when there are none yet."""
    private_path = folder / PRIVATE_NAME
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not private_path.exists():
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(private_path, pem)
    key = load_private(private_path)
    public_path = folder / PUBLIC_NAME
    pem = public_pem(key.public_key())
    if not public_path.exists() or public_path.read_bytes() != pem:
        public_path.write_bytes(pem)
        public_path.chmod(0o644)
    return key


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, complete or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_private(path: Path) -> Ed25519PrivateKey:
    """Return the Ed25519 private key of a PEM file; raise KeyFileError when it is none or open to others."""
    if path.stat().st_mode & 0o077:
        message = f"{path}: others can read this private key; chmod 600 it, and replace it if they may have read it"
        raise KeyFileError(message)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        message = f"{path}: not a PEM private key: {error}"
        raise KeyFileError(message) from error
    if not isinstance(key, Ed25519PrivateKey):
        message = f"{path}: an Ed25519 key is needed, this is another kind"
        raise KeyFileError(message)
    return key


def load_public(path: Path) -> Ed25519PublicKey:
    """Return the Ed25519 public key of a PEM file; raise KeyFileError when it is missing or none."""
    try:
        return parse_public(path.read_bytes())
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise KeyFileError(message) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        message = f"{path}: not a PEM file with an Ed25519 public key ({error})"
        raise KeyFileError(message) from error


def parse_public(pem: bytes) -> Ed25519PublicKey:
    """Return the Ed25519 public key in PEM bytes; raise ValueError when there is none."""
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        message = "another kind of key"
        raise ValueError(message)  # noqa: TRY004 - content of a file, not a type of an argument
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """Return the PEM form of a public key."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of the key's 32 raw bytes, in hex: what people compare by telephone."""
    return sha256(key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))


def sign(key: Ed25519PrivateKey, purpose: str, data: bytes) -> bytes:
    """Return the 64-byte signature over a purpose and data."""
    return key.sign(_bound(purpose, data))


def is_signed(key: Ed25519PublicKey, purpose: str, data: bytes, signature: bytes) -> bool:
    """Return whether `signature` is the key's over this purpose and data."""
    try:
        key.verify(signature, _bound(purpose, data))
    except InvalidSignature:
        return False
    return True


def _bound(purpose: str, data: bytes) -> bytes:
    return f"1dallmail evidence {purpose}\0".encode() + data
