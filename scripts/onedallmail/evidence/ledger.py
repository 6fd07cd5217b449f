"""The append-only ledger: one JSON line an entry, each bound to the one before by hash and signed with Ed25519.

A line that a crash tore moves to a quarantine file, and the ledger says so; anything else wrong is an error.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from onedallmail.evidence import canonical, signing
from onedallmail.evidence.records import Sha256

LOG = logging.getLogger(__name__)
GENESIS = "0" * 64
LEDGER_NAME = "ledger.jsonl"
HEAD_NAME = "ledger.head"


class LedgerError(ValueError):
    """The ledger's chain does not hold; the message names the entry."""


class Entry(BaseModel):
    """One line of the ledger. `hash` is over all fields but `hash` and `signature`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sequence: int = Field(ge=1)
    time: AwareDatetime
    previous: Sha256
    payload: dict[str, Any]
    hash: Sha256
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")


def seal(key: Ed25519PrivateKey, *, sequence: int, time: datetime, previous: str, payload: dict[str, Any]) -> bytes:
    """Return the ledger line (newline included) of a new entry."""
    body = {"sequence": sequence, "time": time.astimezone(UTC).isoformat(), "previous": previous, "payload": payload}
    digest = canonical.sha256(canonical.encode(body))
    signature = signing.sign(key, "ledger", bytes.fromhex(digest)).hex()
    return canonical.encode({**body, "hash": digest, "signature": signature}) + b"\n"


def check_chain(
    data: bytes, key: Ed25519PublicKey, *, first: int = 1, anchor: str = GENESIS
) -> tuple[list[Entry], list[str]]:
    """Return the entries of ledger lines and every problem: form, order, links to the entry before, signatures."""
    if not data:
        return [], []
    problems = [] if data.endswith(b"\n") else ["the last line is torn: it has no end"]
    lines = data.split(b"\n")[:-1] if data.endswith(b"\n") else data.split(b"\n")
    entries: list[Entry] = []
    expected, previous = first, anchor
    for number, line in enumerate(lines, start=1):
        try:
            entry, own = _check_line(line, key, sequence=expected, previous=previous)
        except LedgerError as error:
            problems.append(f"line {number}: {error}")
            return entries, problems
        problems += [f"line {number}: {problem}" for problem in own]
        entries.append(entry)
        expected, previous = entry.sequence + 1, entry.hash
    return entries, problems


def _check_line(line: bytes, key: Ed25519PublicKey, *, sequence: int, previous: str) -> tuple[Entry, list[str]]:
    try:
        document = canonical.decode(line)
        entry = Entry.model_validate(document)
    except (canonical.CanonicalError, ValidationError) as error:
        message = f"no ledger entry ({str(error).splitlines()[0]})"
        raise LedgerError(message) from error
    problems = []
    if canonical.encode(document) != line:
        problems.append("not in canonical form")
    if entry.sequence != sequence:
        problems.append(f"has number {entry.sequence}, {sequence} was expected: an entry is missing or moved")
    if entry.previous != previous:
        problems.append("does not follow from the entry before it")
    body = {name: document[name] for name in ("sequence", "time", "previous", "payload")}
    if canonical.sha256(canonical.encode(body)) != entry.hash:
        problems.append("its content does not fit its hash")
    if not signing.is_signed(key, "ledger", bytes.fromhex(entry.hash), bytes.fromhex(entry.signature)):
        problems.append("its signature is not of this key")
    return entry, problems


class Ledger:
    """The ledger of one stack, in a folder with mode 0700."""

    def __init__(self, folder: Path, key: Ed25519PrivateKey) -> None:
        self._folder = folder
        self._path = folder / LEDGER_NAME
        self._key = key

    def entries(self) -> list[Entry]:
        """Return all entries after checking the whole chain; raise LedgerError when it does not hold."""
        with self._locked():
            return self._read()

    def lines(self) -> bytes:
        """Return the raw lines after checking the whole chain; raise LedgerError when it does not hold."""
        with self._locked():
            self._read()
            return self._path.read_bytes() if self._path.exists() else b""

    def append(self, payloads: Sequence[dict[str, Any]], *, time: datetime | None = None) -> list[Entry]:
        """Add entries, on disk before this returns; raise LedgerError when the chain so far does not hold."""
        with self._locked():
            chain = self._read()
            self._write(chain, payloads, time or datetime.now(UTC))
            return self._read()[len(chain) :]

    def _read(self) -> list[Entry]:
        data = self._path.read_bytes() if self._path.exists() else b""
        torn = data[data.rfind(b"\n") + 1 :]
        whole = data[: len(data) - len(torn)]
        entries, problems = check_chain(whole, self._key.public_key())
        if problems:
            message = f"{self._path}: {problems[0]}. Keep the file as it is and find out who changed it."
            raise LedgerError(message)
        self._check_head(entries)
        if torn:
            self._quarantine(entries, torn, len(whole))
            return self._read()
        return entries

    def _write(self, chain: Sequence[Entry], payloads: Sequence[dict[str, Any]], time: datetime) -> None:
        sequence, previous = (chain[-1].sequence, chain[-1].hash) if chain else (0, GENESIS)
        block = b""
        for payload in payloads:
            sequence += 1
            line = seal(self._key, sequence=sequence, time=time, previous=previous, payload=payload)
            previous = canonical.decode(line)["hash"]
            block += line
        if not block:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as stream:
            stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        signing.write_private(self._folder / HEAD_NAME, f"{sequence} {previous}\n".encode())

    def _check_head(self, entries: Sequence[Entry]) -> None:
        path = self._folder / HEAD_NAME
        if not path.exists():
            return
        number, _, digest = path.read_text(encoding="ascii").strip().partition(" ")
        position = int(number) if number.isdecimal() else 0
        if position < 1 or len(entries) < position or entries[position - 1].hash != digest:
            message = f"{self._path}: entry {number} was written and is not there: the end was cut off or replaced"
            raise LedgerError(message)

    def _quarantine(self, entries: Sequence[Entry], torn: bytes, keep_bytes: int) -> None:
        digest = canonical.sha256(torn)
        place = self._folder / f"ledger.torn-{len(entries) + 1}-{digest[:8]}"
        signing.write_private(place, torn)
        with self._path.open("r+b") as stream:
            stream.truncate(keep_bytes)
            os.fsync(stream.fileno())
        LOG.warning(
            "%s: the last line was torn (%d bytes); it is kept in %s and noted in the ledger",
            self._path,
            len(torn),
            place.name,
        )
        note = {"type": "torn-line", "file": place.name, "sha256": digest, "size_bytes": len(torn)}
        self._write(entries, [note], datetime.now(UTC))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / ".ledger.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
