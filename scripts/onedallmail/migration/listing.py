"""What a mailbox holds, as a value: digests of folders, and what differs between source and target. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN = 20
"""Messages that are named for each kind of difference of a folder; all are counted."""


@dataclass(frozen=True, order=True)
class Entry:
    """A message: its Message-ID, or `sha256:` and the digest of header and body; its lasting flags; its size."""

    key: str
    flags: tuple[str, ...]
    size_bytes: int


Listing = Mapping[str, Sequence[Entry]]
"""Messages by the folder's name at the target (separator /)."""


def lasting(flags: Iterable[str]) -> tuple[str, ...]:
    """Return flags in one spelling, without \\Recent, which belongs to a session (RFC 3501, 2.3.2)."""
    return tuple(sorted({flag.lower() for flag in flags} - {"\\recent"}))


def message_key(message_id: str) -> str | None:
    """Return a Message-ID in one spelling, None when there is none."""
    found = " ".join(message_id.split())
    return found or None


def content_key(raw: bytes) -> str:
    """Return the digest of header and body, without what servers differ in: line ends and last empty lines."""
    return "sha256:" + hashlib.sha256(raw.replace(b"\r\n", b"\n").rstrip(b"\n")).hexdigest()


def digest(entries: Iterable[Entry]) -> str:
    """Return SHA-256 over the sorted pairs of key and flags."""
    found = hashlib.sha256()
    for entry in sorted(entries):
        found.update(f"{entry.key}\0{' '.join(entry.flags)}\n".encode())
    return found.hexdigest()


def summary(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return count, sum of sizes and digest of a folder."""
    return {
        "messages": len(entries),
        "bytes": sum(entry.size_bytes for entry in entries),
        "digest": digest(entries),
    }


def compare(source: Listing, target: Listing) -> dict[str, Any]:
    """Return a mailbox's report: each folder with both sides and its differences; `equal` says whether there are none.

    A folder that only the target has and that is empty is no difference: every mailbox here is made with some.
    """
    folders = {}
    for name in sorted({*source, *target}):
        here, there = source.get(name), target.get(name)
        if here is None and not there:
            continue
        folders[name] = {
            "source": None if here is None else summary(here),
            "target": None if there is None else summary(there),
            "differences": differences(here or (), there or ())
            + ([{"kind": "folder is missing at the target", "count": 1, "messages": []}] if there is None else []),
        }
    return {"equal": not any(f["differences"] for f in folders.values()), "folders": folders}


def differences(source: Sequence[Entry], target: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return what differs in a folder, by kind, each with its count and the first messages."""
    left, right = Counter(source), Counter(target)
    only_source, only_target = left - right, right - left
    flags, sizes = list[str](), list[str]()
    for entry in sorted(only_source.elements()):
        twins = [other for other in only_target.elements() if other.key == entry.key]
        if not twins:
            continue
        twin = min(twins, key=lambda other: (other.flags != entry.flags, other.size_bytes != entry.size_bytes))
        only_source[entry] -= 1
        only_target[twin] -= 1
        if twin.flags != entry.flags:
            flags.append(f"{entry.key}: {' '.join(entry.flags) or 'none'} / {' '.join(twin.flags) or 'none'}")
        if twin.size_bytes != entry.size_bytes:
            sizes.append(f"{entry.key}: {entry.size_bytes} / {twin.size_bytes}")
    kinds = (
        ("only at the source", sorted(e.key for e in (+only_source).elements())),
        ("only at the target", sorted(e.key for e in (+only_target).elements())),
        ("other flags", flags),
        ("other size", sizes),
    )
    return [{"kind": kind, "count": len(found), "messages": found[:SHOWN]} for kind, found in kinds if found]
