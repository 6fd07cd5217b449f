"""Sealing of copies: AES-256-GCM under a data key, each part bound to the copy that it belongs to."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from onedallmail.copies.record import CopyError, Label

KEY_BYTES = 32
NONCE_BYTES = 12
"""Random: a data key seals far fewer than 2^32 parts in its hour (NIST SP 800-38D, 8.3)."""
TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient as the client named it, with its ESMTP parameters (NOTIFY, ORCPT)."""

    address: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """What came before the message; parameters are ESMTP's of MAIL (BODY, SMTPUTF8, RET, ENVID)."""

    sender: str
    recipients: tuple[Recipient, ...]
    parameters: tuple[str, ...] = ()
    user: str = ""
    """Who submitted it; empty for mail from outside."""
    service: str = field(default="")
    """Postfix's name of the service that took it."""


def seal(label: Label, key: bytes, envelope: Envelope, message: bytes) -> bytes:
    """Return the two sealed parts of a copy, of which the first has the label's envelope_bytes."""
    return _sealed(label, key, "envelope", envelope_bytes(envelope)) + _sealed(label, key, "message", message)


def sealed_size(plain: bytes) -> int:
    """Return how many bytes a part has when it is sealed."""
    return NONCE_BYTES + len(plain) + TAG_BYTES


def envelope_bytes(envelope: Envelope) -> bytes:
    """Return the envelope as it is sealed."""
    return json.dumps(asdict(envelope), separators=(",", ":")).encode()


def open_envelope(label: Label, key: bytes, parts: bytes) -> Envelope:
    """Return the envelope of a copy; raises CopyError."""
    try:
        return _envelope(json.loads(_opened(label, key, "envelope", parts[: label.envelope_bytes])))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, CopyError):
            raise
        msg = f"{label.name}: its envelope is not right: {error}"
        raise CopyError(msg) from error


def open_message(label: Label, key: bytes, parts: bytes) -> bytes:
    """Return the message of a copy; raises CopyError."""
    return _opened(label, key, "message", parts[label.envelope_bytes :])


def _envelope(raw: Mapping[str, Any]) -> Envelope:
    recipients = tuple(Recipient(str(r["address"]), tuple(map(str, r["parameters"]))) for r in raw["recipients"])
    parameters = tuple(map(str, raw["parameters"]))
    return Envelope(str(raw["sender"]), recipients, parameters, str(raw["user"]), str(raw["service"]))


def _bound(label: Label, part: str) -> bytes:
    return json.dumps([label.copy_id, label.origin, label.queue_id, part]).encode()


def _sealed(label: Label, key: bytes, part: str, plain: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, _bound(label, part))


def _opened(label: Label, key: bytes, part: str, sealed: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(label, part))
    except (InvalidTag, ValueError) as error:
        msg = f"{label.name}: its {part} can't be opened: it was changed, or is another copy's"
        raise CopyError(msg) from error
