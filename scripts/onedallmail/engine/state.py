"""The state of a stack on disk: a snapshot (deployment v3) that is replaced whole, and a journal of what came after.

Each step is appended to the journal and synced before the next; a crash loses at most the line it was writing.
"""

import contextlib
import hashlib
import itertools
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from .crypter import Crypter
from .errors import EngineError
from .values import SECRET, SIGNATURE, is_secret, walk

Resource = dict[str, Any]
Key = tuple[str, str, int]
"""URN, id, and a number: 0, or 1 and up for those that wait for deletion beside successors of the same URN and id."""


def timestamp() -> str:
    """Return the time as the deployment format has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def key_of(resource: Resource) -> Key:
    """Return the key of a resource that does not wait for its deletion."""
    return resource["urn"], resource.get("id", ""), 0


def keyed(resources: Iterable[Resource]) -> dict[Key, Resource]:
    """Return resources by key, in their order."""
    found: dict[Key, Resource] = {}
    for resource in resources:
        found[_doomed_key(resource, found) if resource.get("delete") else key_of(resource)] = resource
    return found


def _doomed_key(resource: Resource, others: Mapping[Key, Resource]) -> Key:
    urn, identifier, _ = key_of(resource)
    return next((urn, identifier, n) for n in itertools.count(1) if (urn, identifier, n) not in others)


class State:
    """Resources of one stack: `olds` from before this run, `news` (by URN) as this run leaves them.

    What `record` is given belongs to the state from then on: nobody changes it any more.
    """

    def __init__(self, folder: Path, open_crypter: Callable[[str | None], Crypter], *, durable: bool = True) -> None:
        """Read snapshot and journal; with `durable` unset (a preview), records change the memory only."""
        self._durable, self._lock = durable, threading.RLock()
        self._path, self._journal_path = folder / "state.json", folder / "journal.jsonl"
        self._journal: IO[bytes] | None = None
        raw = self._path.read_bytes() if self._path.exists() else b""
        self._base = hashlib.sha256(raw).hexdigest()
        deployment = parse_deployment(raw, self._path) if raw else {}
        salt = ((deployment.get("secrets_providers") or {}).get("state") or {}).get("salt")
        self.crypter = open_crypter(salt or self._journalled_salt())
        self.olds = keyed(self.crypter.open(r) for r in deployment.get("resources") or [])
        self.pending = _kept(self.crypter.open(p) for p in deployment.get("pending_operations") or [])
        self.news: dict[str, Resource] = {}
        self._renamed: dict[str, str] = {}
        self._replay()
        self.pending = _kept(self.pending)

    def all(self) -> list[Resource]:
        """Return every resource in the order of a deployment, under the URNs that this run gave them."""
        with self._lock:
            return [*self.news.values(), *(rename(r, self._renamed) for r in self.olds.values())]

    def _journalled_salt(self) -> str | None:
        """Return the salt of a first run that died before there was any snapshot."""
        if not self._journal_path.exists():
            return None
        try:
            first = json.loads(self._journal_path.read_bytes().partition(b"\n")[0])
        except json.JSONDecodeError:  # torn while it was written: nothing followed it
            return None
        return first["salt"] if first.get("base") == self._base else None

    def _replay(self) -> None:
        """Apply a journal that continues the snapshot; its entries are idempotent only in order, and once."""
        lines = self._journal_path.read_bytes().split(b"\n") if self._journal_path.exists() else []
        *whole, torn = lines or [b""]
        for number, line in enumerate(whole, 1):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError as error:
                if number == len(whole) and not torn:  # the file system may keep the end of a torn line only
                    break
                msg = f"{self._journal_path} is damaged at line {number} ({error.msg}): restore the file from a copy"
                raise EngineError(msg) from error
            if number == 1:
                if entry.get("base") != self._base:  # it was merged already; only its removal did not happen
                    return
                continue
            self._apply(self.crypter.open(entry))
        self._merge()

    def _merge(self) -> None:
        self.olds, self.news, self._renamed = keyed(self.all()), {}, {}

    def _apply(self, entry: dict[str, Any]) -> None:
        if begun := entry.get("begin"):
            self.pending.append(begun)
        if ended := entry.get("end"):
            kind, urn = ended
            self.pending = [
                p for p in self.pending if (p["type"], p["resource"]["urn"]) != (kind, urn) or p.get("kept")
            ]
        for key in entry.get("drop", ()):
            self.olds.pop(tuple(key), None)
        for mark in ("delete", "pendingReplacement"):
            for key in entry.get(mark, ()):
                self._mark(tuple(key), mark)
        if put := entry.get("put"):
            self.news.pop(put["urn"], None)
            self.news[put["urn"]] = put
        if (outs := entry.get("outputs")) and outs[0] in self.news:
            self.news[outs[0]] = {**self.news[outs[0]], "outputs": outs[1]}
        for key, resource in entry.get("replace", ()):
            self.olds[tuple(key)] = resource
        if urn := entry.get("settled"):
            self.pending = [p for p in self.pending if p["resource"]["urn"] != urn]
        if made := entry.get("adopt"):
            self.olds = keyed([*self.olds.values(), made])
        self._renamed |= entry.get("renamed", {})

    def _mark(self, key: Key, mark: str) -> None:
        if key not in self.olds:
            return
        marked = {**self.olds[key], mark: True}
        new_key = _doomed_key(marked, self.olds) if mark == "delete" else key
        self.olds = {new_key if k == key else k: marked if k == key else r for k, r in self.olds.items()}

    def record(self, **entry: Any) -> None:
        """Append one entry durably, then apply it.

        Entries: `begin` and `end` of a pending operation; `put` what this run leaves; `drop`, `delete` and
        `pendingReplacement`: keys of old resources that go or are marked so; `outputs` of a URN; `renamed` URNs; of a
        refresh: `replace` old resources by others, by key, `adopt` one more, `settled` a pending create.
        """
        with self._lock:
            if self._durable:
                self._write(entry)
            self._apply(entry)

    def _write(self, entry: dict[str, Any]) -> None:
        if self._journal is None:
            self._journal = self._journal_path.open("wb")
            self._journal_path.chmod(0o600)
            self._append({"base": self._base, "salt": self.crypter.state})
        self._append(self.crypter.seal(entry))

    def _append(self, entry: dict[str, Any]) -> None:
        assert self._journal is not None  # noqa: S101 - opened by `_write`, for mypy
        self._journal.write(json.dumps(entry).encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def settle_pending(self) -> None:
        """Forget interrupted updates and deletes, which simply run again; a create may have made something."""
        self.pending = [p for p in self.pending if p["type"] == "creating"]

    def deployment(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the state as `pulumi stack export` gives it; secrets sealed, or in clear on request."""
        render = _in_clear if show_secrets else self.crypter.seal
        with self._lock:
            body: dict[str, Any] = {
                "manifest": {"time": timestamp(), "magic": "", "version": ""},
                "secrets_providers": {"type": "passphrase", "state": {"salt": self.crypter.state}},
                "resources": [render(r) for r in self.all()],
                "metadata": {},
            }
            if self.pending:
                body["pending_operations"] = [render(_plain(p)) for p in self.pending]
        return {"version": 3, "deployment": body}

    def save(self) -> None:
        """Make snapshot and journal one again."""
        with self._lock:
            data = json.dumps(self.deployment(), indent=1).encode()
            replace_file(self._path, data)
            self._base = hashlib.sha256(data).hexdigest()
            if self._journal:
                self._journal.close()
                self._journal = None
            self._journal_path.unlink(missing_ok=True)
            self._merge()


def rename(resource: Resource, names: Mapping[str, str]) -> Resource:
    """Return a resource with its own URN, and those that it refers to, under their new names."""
    if not names:
        return resource
    changed = {**resource, "urn": names.get(resource["urn"], resource["urn"])}
    for field in ("parent", "deletedWith"):
        if field in resource:
            changed[field] = names.get(resource[field], resource[field])
    if "dependencies" in resource:
        changed["dependencies"] = sorted(names.get(u, u) for u in resource["dependencies"])
    if by_property := resource.get("propertyDependencies"):
        changed["propertyDependencies"] = {k: sorted(names.get(u, u) for u in v) for k, v in by_property.items()}
    provider, mark, identifier = resource.get("provider", "").rpartition("::")
    if provider in names:
        changed["provider"] = names[provider] + mark + identifier
    return changed


def _kept(pending: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mark operations of runs that were interrupted: a later success of the same URN is not theirs."""
    return [{**p, "kept": True} for p in pending]


def _plain(pending: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in pending.items() if k != "kept"}


def _in_clear(value: Any) -> Any:
    def clear(node: Any) -> Any:
        return {SIGNATURE: SECRET, "plaintext": json.dumps(node["value"])} if is_secret(node) else node

    return walk(value, clear)


def parse_deployment(raw: bytes, source: Path) -> dict[str, Any]:
    """Return the deployment of an exported file or a snapshot.

    Raises:
        EngineError: it is no JSON, no deployment, or of another version than 3.
    """
    try:
        document = json.loads(raw)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        msg = f"{source} is no JSON ({error}): give a file that `stack export` wrote"
        raise EngineError(msg) from error
    version = document.get("version") if isinstance(document, dict) else None
    deployment = document.get("deployment") if isinstance(document, dict) else None
    if version != 3 or not isinstance(deployment, dict):  # noqa: PLR2004 - the format's own number
        msg = f"{source} is no deployment of version 3 (version: {version}): give a file that `stack export` wrote"
        raise EngineError(msg)
    return deployment


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file by `data`, durably and all or nothing, with mode 0600."""
    temporary = path.with_name(path.name + ".new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
