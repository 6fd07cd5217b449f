"""What the ledger says about the files of a bundle: which are entered, which changed since, and the excerpt to carry.

Used both when a bundle is built and when it is verified, so that the two can only agree.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from onedallmail.evidence import canonical
from onedallmail.evidence.collect import RESULTS
from onedallmail.evidence.ledger import GENESIS, Entry
from onedallmail.evidence.run_folder import RUN_FILE, TESTS


def is_entered(path: str) -> bool:
    """Return whether the ledger keeps this file's hash: run documents and test records (which hash their artefacts)."""
    parts = path.split("/")
    return parts[0] == RESULTS and (parts[2:] == [RUN_FILE] or (len(parts) == 4 and parts[2] == TESTS))  # noqa: PLR2004


def new_entries(files: Mapping[str, bytes], entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return the payloads for files whose present content the ledger does not hold yet."""
    known = set(_entered(entries))
    payloads = []
    for path in sorted(filter(is_entered, files)):
        digest = canonical.sha256(files[path])
        if (path, digest) not in known:
            payloads.append({"type": "file", "path": path, "sha256": digest, "size_bytes": len(files[path])})
    return payloads


def changed_files(files: Mapping[str, bytes], entries: Iterable[Entry]) -> set[str]:
    """Return the test records that are not what the ledger entered first (run documents grow until their run ends)."""
    first: dict[str, str] = {}
    for path, digest in _entered(entries):
        first.setdefault(path, digest)
    return {
        path
        for path, content in files.items()
        if is_entered(path) and not path.endswith(f"/{RUN_FILE}") and path in first
        if first[path] != canonical.sha256(content)
    }


def not_entered(files: Mapping[str, bytes], entries: Iterable[Entry]) -> list[str]:
    """Return the files that ought to be in the ledger as they are now and are not."""
    return [str(payload["path"]) for payload in new_entries(files, entries)]


def absent_runs(files: Mapping[str, bytes], entries: Iterable[Entry]) -> list[str]:
    """Return runs that the ledger knows and the files do not hold."""
    known = {path.split("/")[1] for path, _ in _entered(entries) if is_entered(path)}
    here = {path.split("/")[1] for path in files if is_entered(path)}
    return sorted(known - here)


def excerpt(entries: Sequence[Entry], files: Mapping[str, bytes]) -> tuple[Sequence[Entry], dict[str, Any]]:
    """Return the unbroken end of the ledger from the first entry about these files on, and the facts that anchor it."""
    start = next((index for index, entry in enumerate(entries) if entry.payload.get("path") in files), len(entries) - 1)
    part = entries[max(start, 0) :]
    proof = {
        "first_sequence": part[0].sequence if part else 1,
        "anchor": part[0].previous if part else GENESIS,
        "last_sequence": part[-1].sequence if part else 0,
        "head": part[-1].hash if part else GENESIS,
    }
    return part, proof


def _entered(entries: Iterable[Entry]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        path, digest = entry.payload.get("path"), entry.payload.get("sha256")
        if entry.payload.get("type") == "file" and isinstance(path, str) and isinstance(digest, str):
            yield path, digest
