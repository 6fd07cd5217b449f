"""A copy as a file: a line of JSON (its label), then two sealed parts, envelope and message."""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

VERSION = 1
MAX_LINE_BYTES = 8192
NAME = re.compile(r"(?P<id>[0-9a-f]{32})-(?P<queue>[A-Za-z0-9]{1,40})-(?P<origin>[a-z0-9][a-z0-9-]{0,62})")


class CopyError(ValueError):
    """What should be a copy is none; says which and why."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """The data key of a copy as the key service wrapped it."""

    arn: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Label:
    """What everybody may know of a copy."""

    copy_id: str
    """The ingest id of its message."""
    origin: str
    """The server that accepted the message."""
    queue_id: str
    """Of the origin's Postfix."""
    store: str
    """Identity of the origin's store: a new disk has another."""
    holder: str
    """The remote server that keeps it; empty where there was none."""
    at: str
    """When the message was accepted (ISO 8601, UTC)."""
    key: WrappedKey
    envelope_bytes: int
    """Size of the first sealed part."""

    @property
    def name(self) -> str:
        """The name of its file: one message may come in twice."""
        return f"{self.copy_id}-{self.queue_id}-{self.origin}"

    @property
    def accepted_at(self) -> datetime:
        """When the message was accepted."""
        return datetime.fromisoformat(self.at)

    def held_by(self, server: str) -> "Label":
        """Return the label with another holder."""
        return replace(self, holder=server)

    def as_record(self) -> dict[str, Any]:
        """Return the label as a JSON object."""
        return {
            "version": VERSION,
            "id": self.copy_id,
            "origin": self.origin,
            "queue_id": self.queue_id,
            "store": self.store,
            "holder": self.holder,
            "at": self.at,
            "key": {"arn": self.key.arn, "data": b64encode(self.key.data).decode()},
            "envelope": self.envelope_bytes,
        }


def from_record(record: object) -> Label:
    """Return the label that as_record made; raises CopyError."""
    if not isinstance(record, Mapping) or record.get("version") != VERSION:
        msg = f"a copy's label must be an object of version {VERSION}"
        raise CopyError(msg)
    try:
        key = record["key"]
        label = Label(
            copy_id=_text(record, "id"),
            origin=_text(record, "origin"),
            queue_id=_text(record, "queue_id"),
            store=_text(record, "store"),
            holder=_text(record, "holder"),
            at=_text(record, "at"),
            key=WrappedKey(_text(key, "arn"), b64decode(_text(key, "data"), validate=True)),
            envelope_bytes=int(record["envelope"]),
        )
        aware = label.accepted_at.tzinfo is not None
    except (KeyError, TypeError, ValueError) as error:
        msg = f"a copy's label is not right: {type(error).__name__}: {error}"
        raise CopyError(msg) from error
    if not NAME.fullmatch(label.name) or not aware or label.envelope_bytes < 0:
        msg = f"a copy's label is not right: id, queue id, origin, time or size of {label.name[:200]!r}"
        raise CopyError(msg)
    return label


def encode(label: Label, parts: bytes) -> bytes:
    """Return the content of a copy's file."""
    return json.dumps(label.as_record(), separators=(",", ":")).encode() + b"\n" + parts


def decode_line(line: bytes) -> Label:
    """Return the label of a file's first line; raises CopyError."""
    try:
        return from_record(json.loads(line))
    except ValueError as error:
        if isinstance(error, CopyError):
            raise
        msg = f"the first line is no label ({error})"
        raise CopyError(msg) from error


def now() -> str:
    """Return the present time as a label has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record[name]
    if not isinstance(value, str):
        msg = f"{name} must be a string"
        raise TypeError(msg)
    return value
