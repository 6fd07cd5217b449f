"""What tests of copies share: labels, sealed copies, settings, a key service that can be away."""

import os
from dataclasses import replace
from pathlib import Path

from onedallmail.channel.settings import ChannelSettings
from onedallmail.copies.ingest_milter import Message
from onedallmail.copies.keys import DataKey, KeysAwayError
from onedallmail.copies.record import Label, WrappedKey, now
from onedallmail.copies.seal import Envelope, Recipient, envelope_bytes, seal, sealed_size
from onedallmail.copies.settings import Kms, Settings, WithoutSecondPlace

ARN = "arn:aws:kms:eu-a:123456789012:key/mrk-1"
KEY = bytes(range(32))
WRAPPED = WrappedKey(ARN, b"wrapped")
ID = "0123456789abcdef" * 2


class Keys:
    """A key service in memory."""

    def __init__(self) -> None:
        self.away = False
        self.plain: dict[WrappedKey, bytes] = {WRAPPED: KEY}
        self.calls = 0

    def generate(self) -> DataKey:
        self._check()
        key = DataKey(WrappedKey(ARN, os.urandom(16)), os.urandom(32))
        self.plain[key.wrapped] = key.plain
        return key

    def unwrap(self, key: WrappedKey) -> bytes:
        self._check()
        return self.plain[key]

    def _check(self) -> None:
        self.calls += 1
        if self.away:
            msg = "KMS gives no key"
            raise KeysAwayError(msg)


def envelope(*recipients: str, sender: str = "s@out.example") -> Envelope:
    return Envelope(sender, tuple(Recipient(address) for address in recipients))


def copy(
    *recipients: str, origin: str = "a1", holder: str = "b1", copy_id: str = ID, queue_id: str = "4QUEUE", at: str = ""
) -> tuple[Label, bytes]:
    """Return a sealed copy."""
    found = envelope(*(recipients or ("u@example.org",)))
    size = sealed_size(envelope_bytes(found))
    label = Label(copy_id, origin, queue_id, f"store-{origin}", holder, at or now(), WRAPPED, size)
    return label, seal(label, KEY, found, b"Subject: x\r\n\r\nbody\r\n")


def settings(directory: Path, channel: ChannelSettings, **changes: object) -> Settings:
    """Return settings of a server; its region is the first letter of its name, w1 is the witness."""
    regions = {name: name[0] for name in channel.addresses}
    base = Settings(
        channel=channel,
        sync_port=1,
        regions=regions,
        witnesses=tuple(name for name in regions if name.startswith("w")),
        kms=Kms((ARN,), {}),
        directory=directory,
        placement=directory / "placement",
        etcd=None,
        database="x",
        database_user="x",
        reinjection_port=1,
        socket=directory / "milter.sock",
        message_bytes=1 << 20,
        buffered_bytes=4 << 20,
        min_free_bytes=0,
        without_second_place=WithoutSecondPlace.REFUSE,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def message(body: bytes = b"body\r\n", *, queue_id: str = "4QUEUE", message_id: bytes = b" <1@out>") -> Message:
    headers = [(b"Message-ID", message_id), (b"Subject", b" x")] if message_id else [(b"Subject", b" x")]
    return Message(queue_id, b"<s@out.example>", envelope("u@example.org"), headers, [body], len(body))
