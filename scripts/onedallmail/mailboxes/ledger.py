"""Dovecot's record of what Sieve has delivered to a user (~/.dovecot.lda-dupes): read, merged, written.

Format: lib-storage/mail-duplicate.c of Dovecot 2.4.1. Ids of Sieve's `duplicate`: ext-duplicate-common.c of Pigeonhole.
"""

import hashlib
import logging
import struct
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from onedallmail.mailboxes.dotlock import dotlock

NAME = ".dovecot.lda-dupes"
BROKEN = ".broken"
"""Ending of the copy that is kept of a file that could not be read."""
VERSION = 2
MAX_PART_BYTES = 4096
"""DUPLICATE_BUFSIZE: Dovecot takes a file with a longer id or user for broken."""
_HEADER = struct.Struct("<I")
_RECORD = struct.Struct("<III")

log = logging.getLogger("mailboxes.ledger")

Key = tuple[bytes, bytes]
"""Id and user, the user in lower case: Dovecot compares users without regard to case (ASCII)."""
Ledger = dict[Key, int]
"""Until when (seconds since 1970) each record holds."""


class LedgerError(ValueError):
    """A ledger that can't be read to its end; `read` are the records before the damage."""

    def __init__(self, reason: str, read: Ledger) -> None:
        """Keep the readable part."""
        super().__init__(reason)
        self.read = read


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge into a file found there before, and what the file says now."""

    before: Ledger
    after: Ledger


def ingest_key(ingest_id: str, user: str) -> Key:
    """Return the key under which Sieve's `duplicate :header "X-Ingest-Id"` records an id for a user."""
    digest = hashlib.md5(b"sieve duplicate+default" + ingest_id.encode(), usedforsecurity=False).digest()
    return digest, user.encode().lower()


def parse(data: bytes) -> Ledger:
    """Return the records of a file's content, of equal ones the newest; nothing for no content. Raises LedgerError."""
    ledger: Ledger = {}
    if not data:
        return ledger
    if len(data) < _HEADER.size:
        msg = f"ledger: {len(data)} bytes are no header"
        raise LedgerError(msg, ledger)
    version: int = _HEADER.unpack_from(data)[0]
    if version != VERSION:
        msg = f"ledger: version {version} is unknown, {VERSION} is what Dovecot 2.4 writes"
        raise LedgerError(msg, ledger)
    at = _HEADER.size
    while at < len(data):
        at = _take(data, at, ledger)
    return ledger


def _take(data: bytes, at: int, ledger: Ledger) -> int:
    """Add the record at an offset and return the offset of the next; raises LedgerError."""
    if at + _RECORD.size > len(data):
        msg = f"ledger: it ends within a record's header at byte {at}"
        raise LedgerError(msg, ledger)
    sizes: tuple[int, int, int] = _RECORD.unpack_from(data, at)
    stamp, id_size, user_size = sizes
    if not (0 < id_size <= MAX_PART_BYTES and 0 < user_size <= MAX_PART_BYTES):
        msg = f"ledger: a record at byte {at} says {id_size} bytes of id and {user_size} of user"
        raise LedgerError(msg, ledger)
    begin = at + _RECORD.size
    end = begin + id_size + user_size
    if end > len(data):
        msg = f"ledger: it ends within the record at byte {at}"
        raise LedgerError(msg, ledger)
    key = data[begin : begin + id_size], data[begin + id_size : end].lower()
    ledger[key] = max(stamp, ledger.get(key, 0))
    return end


def dump(ledger: Mapping[Key, int]) -> bytes:
    """Return the content of a file with these records, in an order that depends on them alone."""
    records = (
        _RECORD.pack(stamp, len(identity), len(user)) + identity + user
        for (identity, user), stamp in sorted(ledger.items())
    )
    return _HEADER.pack(VERSION) + b"".join(records)


def merge(one: Mapping[Key, int], other: Mapping[Key, int]) -> Ledger:
    """Return the records of both; of equal ones the one that holds longer."""
    merged = dict(one)
    for key, stamp in other.items():
        merged[key] = max(stamp, merged.get(key, 0))
    return merged


def lasting(ledger: Mapping[Key, int], now: float) -> Ledger:
    """Return the records that still hold (Dovecot: a stamp before now has expired)."""
    return {key: stamp for key, stamp in ledger.items() if stamp >= int(now)}


def read(path: Path) -> Ledger:
    """Return the records of a file that still hold; none without a file. Of a damaged one, its readable part."""
    try:
        return lasting(parse(path.read_bytes()), time.time())
    except FileNotFoundError:
        return {}
    except LedgerError as error:
        log.error("%s: %s; its %d readable records are used", path, error, len(error.read))  # noqa: TRY400
        return lasting(error.read, time.time())


def merge_into(path: Path, records: Mapping[Key, int]) -> Merged:
    """Add records to a file under Dovecot's lock and flush it; returns what was there and what is there now.

    A damaged file is kept beside as NAME.broken; what can be read of it is merged. Nothing new, nothing written.
    Raises LockedError when the lock can't be had, OSError.
    """
    with dotlock(path) as lock:
        before = _before(path)
        after = lasting(merge(before, records), time.time())
        if after != before or not path.exists():
            lock.replace(dump(after))
    return Merged(before=before, after=after)


def remove_from(path: Path, keys: Collection[Key]) -> None:
    """Take records out of a file under Dovecot's lock and flush it. Raises LockedError, OSError."""
    if not keys or not path.exists():
        return
    with dotlock(path) as lock:
        before = _before(path)
        after = {key: stamp for key, stamp in before.items() if key not in keys}
        if after != before:
            lock.replace(dump(after))


def _before(path: Path) -> Ledger:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        return parse(content)
    except LedgerError as error:
        beside = path.with_name(path.name + BROKEN)
        beside.write_bytes(content)
        log.error("%s: %s; kept as %s, its %d records go on", path, error, beside.name, len(error.read))  # noqa: TRY400
        return error.read
