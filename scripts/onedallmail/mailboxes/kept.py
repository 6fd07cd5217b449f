"""What must survive a crash in the midst of a merge or a take-over: a file a group or a user, flushed."""

import hashlib
import json
import logging
import threading
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from onedallmail.mailboxes import durable
from onedallmail.mailboxes.rules import Message
from onedallmail.placement.map import Placement, PlacementMap

MERGING = "merging.json"
FROZEN = "frozen.json"
RAISED = "raised"
TAKEN = "taken"
READABLE = 0o644

log = logging.getLogger("mailboxes.kept")


class Merging:
    """Groups whose merge into this standby has begun and is not declared ready: it must not become their home.

    Its mailboxes lack what the merge dropped, and may not have the home's yet. The placement service reads the file.
    """

    def __init__(self, directory: Path) -> None:
        """Read what an earlier run left; a file that can't be read stays in the way of nothing."""
        self._path = directory / MERGING
        self._lock = threading.Lock()
        self._groups: frozenset[int] = frozenset()
        try:
            self._groups = frozenset(int(group) for group in json.loads(self._path.read_bytes())["groups"])
        except FileNotFoundError:
            self._write(self._groups)
        except (ValueError, KeyError, TypeError) as error:
            log.error("%s can't be read (%s): it is written anew", self._path, error)  # noqa: TRY400
            self._write(self._groups)

    @property
    def groups(self) -> frozenset[int]:
        """The groups in it."""
        return self._groups

    def begin(self, group: int) -> None:
        """Add a group; raises OSError."""
        with self._lock:
            if group not in self._groups:
                self._write(self._groups | {group})

    def end(self, groups: Iterable[int]) -> None:
        """Take groups out; raises OSError."""
        over = frozenset(groups)
        with self._lock:
            if self._groups & over:
                self._write(self._groups - over)

    def tidy(self, me: str, placements: PlacementMap) -> None:
        """Take groups out whose mailboxes this server does not receive: there it does not matter. Raises OSError."""
        if placements:
            self.end(n for n in self._groups if n not in placements or me not in placements[n].receiving)

    def _write(self, groups: frozenset[int]) -> None:
        durable.replace(self._path, json.dumps({"groups": sorted(groups)}).encode() + b"\n", mode=READABLE)
        self._groups = groups


class Frozen:
    """Groups whose standby is told nothing more, for the server that joins is about to take its place.

    It outlives this service: the map may be changed after it was told that it may be.
    """

    def __init__(self, directory: Path) -> None:
        """Read what an earlier run left; a file that can't be read is as none."""
        self._path = directory / FROZEN
        self._lock = threading.Lock()
        self._groups: dict[int, tuple[int, str]] = {}
        try:
            found = json.loads(self._path.read_bytes())["groups"]
            self._groups = {int(n): (int(epoch), str(server)) for n, (epoch, server) in found.items()}
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("%s can't be read (%s): no group is frozen", self._path, error)  # noqa: TRY400

    def server(self, group: int, placement: Placement) -> str | None:
        """Return who is about to become standby of a group in this place; None while nobody is."""
        epoch, server = self._groups.get(group, (0, ""))
        return server if server and (epoch, server) == (placement.epoch, placement.joining) else None

    @property
    def any(self) -> bool:
        """Whether a group is."""
        return bool(self._groups)

    def begin(self, group: int, epoch: int, server: str) -> None:
        """Freeze a group; raises OSError."""
        with self._lock:
            if self._groups.get(group) != (epoch, server):
                self._write({**self._groups, group: (epoch, server)})

    def end(self, group: int) -> None:
        """Tell the standby everything again; raises OSError."""
        with self._lock:
            if group in self._groups:
                self._write({n: entry for n, entry in self._groups.items() if n != group})

    def tidy(self, me: str, placements: PlacementMap) -> None:
        """Forget groups that the map shows switched, given up, or with another home; raises OSError."""
        for group in tuple(self._groups):
            placement = placements.get(group)
            if placement is not None and (placement.home != me or self.server(group, placement) is None):
                self.end(group)

    def _write(self, groups: Mapping[int, tuple[int, str]]) -> None:
        document = {"groups": {str(n): list(entry) for n, entry in sorted(groups.items())}}
        durable.replace(self._path, json.dumps(document).encode())
        self._groups = dict(groups)


class Raised:
    """With which UID each folder of a group's users began when this server became home."""

    def __init__(self, directory: Path) -> None:
        """Keep the directory."""
        self._directory = directory / RAISED
        self._directory.mkdir(parents=True, exist_ok=True)

    def write(self, group: int, uids: Mapping[str, Mapping[str, int]]) -> None:
        """Keep the first UID by folder GUID, by user; raises OSError."""
        durable.replace(self._directory / f"{group}.json", json.dumps(uids).encode())

    def read(self, group: int) -> dict[str, dict[str, int]]:
        """Return them; nothing for a group of which this server has always been home. Raises OSError, ValueError."""
        try:
            found = json.loads((self._directory / f"{group}.json").read_bytes())
        except FileNotFoundError:
            return {}
        return {str(user): {str(guid): int(uid) for guid, uid in uids.items()} for user, uids in found.items()}


class Taken:
    """Messages that a merge is bringing to this home, until their ids are recorded and what crossed is gone."""

    def __init__(self, directory: Path) -> None:
        """Keep the directory."""
        self._directory = directory / TAKEN
        self._directory.mkdir(parents=True, exist_ok=True)

    def _path(self, user: str) -> Path:
        return self._directory / f"{hashlib.sha256(user.encode()).hexdigest()[:32]}.json"

    def read(self, user: str) -> list[Message]:
        """Return what earlier merges of a mailbox left; raises OSError, ValueError."""
        try:
            found = json.loads(self._path(user).read_bytes())
        except FileNotFoundError:
            return []
        return [Message(str(mailbox), str(guid), str(ingest_id)) for mailbox, guid, ingest_id in found["messages"]]

    def write(self, user: str, messages: Collection[Message]) -> None:
        """Keep messages; raises OSError."""
        entries = sorted({(m.mailbox, m.guid, m.ingest_id) for m in messages if m.ingest_id})
        durable.replace(self._path(user), json.dumps({"user": user, "messages": entries}).encode())

    def forget(self, user: str) -> None:
        """The merge is at its end; raises OSError."""
        durable.remove(self._path(user))
