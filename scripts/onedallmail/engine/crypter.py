"""Secrets at rest, as Pulumi's passphrase manager writes them: `v1:nonce:ciphertext`, AES-256-GCM, PBKDF2-SHA256.

The state of a manager is `v1:salt:` and the encrypted word "pulumi", which proves a passphrase.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .errors import EngineError
from .values import SECRET, SIGNATURE, is_secret, walk

ROUNDS = 1_000_000
KEY_BYTES, SALT_BYTES, NONCE_BYTES = 32, 8, 12
PROOF = "pulumi"


def passphrase(env: Mapping[str, str] | None = None) -> str:
    """Return the stack's passphrase from the environment, as the pulumi command looks for it.

    Raises:
        EngineError: no passphrase is configured, or its file can't be read.
    """
    env = os.environ if env is None else env
    if (value := env.get("PULUMI_CONFIG_PASSPHRASE")) is not None:
        return value
    if file := env.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            msg = f"PULUMI_CONFIG_PASSPHRASE_FILE names {file}, which can't be read: {error.strerror}"
            raise EngineError(msg) from error
    msg = (
        "the state's secrets need a passphrase: set PULUMI_CONFIG_PASSPHRASE, or PULUMI_CONFIG_PASSPHRASE_FILE "
        "to a file that holds it"
    )
    raise EngineError(msg)


@cache
def _key(phrase: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", phrase.encode(), salt, ROUNDS, KEY_BYTES)


class Crypter:
    """Encrypts and decrypts with one passphrase and one salt."""

    def __init__(self, phrase: str, state: str | None = None) -> None:
        """Open the manager of `state`, or make a new one with a fresh salt.

        Raises:
            EngineError: the passphrase is not the one that `state` was made with.
        """
        salt = _decode(state.split(":")[1]) if state else secrets.token_bytes(SALT_BYTES)
        self._gcm = AESGCM(_key(phrase, salt))
        if state and not self._proves(state.split(":", 2)[2]):
            msg = "incorrect passphrase: PULUMI_CONFIG_PASSPHRASE is not the one this stack was made with"
            raise EngineError(msg)
        self.state = state or f"v1:{_encode(salt)}:{self.encrypt(PROOF)}"

    def _proves(self, proof: str) -> bool:
        try:
            return self.decrypt(proof) == PROOF
        except InvalidTag:
            return False

    def encrypt(self, text: str) -> str:
        """Return `text` as `v1:nonce:ciphertext`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return f"v1:{_encode(nonce)}:{_encode(self._gcm.encrypt(nonce, text.encode(), None))}"

    def decrypt(self, cipher: str) -> str:
        """Return the text of `v1:nonce:ciphertext`; raises InvalidTag when it was changed or has another key."""
        _, nonce, body = cipher.split(":")
        return self._gcm.decrypt(_decode(nonce), _decode(body), None).decode()

    def seal(self, value: Any) -> Any:
        """Return `value` with its secrets encrypted."""
        return walk(value, self._seal_node)

    def open(self, value: Any) -> Any:
        """Return `value` with its secrets decrypted (still marked as secrets)."""
        return walk(value, self._open_node)

    def _seal_node(self, node: Any) -> Any:
        if is_secret(node) and "value" in node:
            return {SIGNATURE: SECRET, "ciphertext": self.encrypt(json.dumps(node["value"]))}
        return node

    def _open_node(self, node: Any) -> Any:
        if is_secret(node) and "value" not in node:
            text = self.decrypt(node["ciphertext"]) if "ciphertext" in node else node["plaintext"]
            return {SIGNATURE: SECRET, "value": json.loads(text)}
        return node


def open_crypter(salt: str | None) -> Crypter:
    """Return the crypter of the environment's passphrase and a manager's state."""
    return Crypter(passphrase(), salt)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text)
