"""A migration on disk: who, from where, and how far each mailbox is; by rename, so that a kill loses nothing."""

import fcntl
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from onedallmail.paths import state_dir

from .errors import MigrationError
from .users import Mover

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class Stage(StrEnum):
    """How far a mailbox is; each stage may be repeated, none is skipped."""

    PLANNED = "planned"
    COPYING = "copying"
    COPIED = "copied"
    FINISHING = "finishing"
    FINISHED = "finished"


NEXT = {
    Stage.PLANNED: {Stage.PLANNED, Stage.COPYING},
    Stage.COPYING: {Stage.COPYING, Stage.COPIED, Stage.PLANNED},
    Stage.COPIED: {Stage.COPIED, Stage.COPYING, Stage.FINISHING, Stage.PLANNED},
    Stage.FINISHING: {Stage.FINISHING, Stage.FINISHED, Stage.COPYING},
    Stage.FINISHED: {Stage.FINISHED, Stage.FINISHING},
}


@dataclass(frozen=True)
class Progress:
    """One mailbox."""

    source: str
    target: str
    stage: Stage = Stage.PLANNED
    runs: int = 0
    error: str = ""
    at: str = ""
    folders: tuple[str, ...] = ()
    messages: int = 0
    equal: bool | None = None


@dataclass(frozen=True)
class Migration:
    """All that a later stage must know; never a password."""

    source: dict[str, Any]
    movers: dict[str, Progress] = field(default_factory=dict)
    version: int = 1


def advanced(progress: Progress, stage: Stage, **changes: Any) -> Progress:
    """Return a mailbox in its next stage; raises MigrationError for one that may not follow."""
    if stage not in NEXT[progress.stage]:
        hint = "copy it first" if progress.stage in {Stage.PLANNED, Stage.COPYING} else "finish it again"
        msg = f"{progress.target} is {progress.stage} and can't be {stage} now: {hint}"
        raise MigrationError(msg)
    return replace(progress, stage=stage, at=datetime.now(UTC).isoformat(timespec="seconds"), **changes)


class Book:
    """The file of one migration; may be used from any thread of the one process that holds its lock."""

    def __init__(self, stack: str, name: str) -> None:
        """Read nothing yet; raises MigrationError for a name that can't be a folder's."""
        if not NAME.fullmatch(name):
            msg = f"{name!r} can't name a migration: small letters, digits and hyphens, at most 40"
            raise MigrationError(msg)
        self.folder = state_dir(stack) / "migrations" / name
        self._name = name
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "state.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no other process run a stage of this migration; the lock ends with the process."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                msg = f"another command works on migration {self._name}: wait for its end"
                raise MigrationError(msg) from error
            yield

    def exists(self) -> bool:
        """Whether it has been planned."""
        return self.path.exists()

    def read(self) -> Migration:
        """Return the migration; raises MigrationError."""
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            movers = {
                target: Progress(**{**row, "stage": Stage(row["stage"]), "folders": tuple(row["folders"])})
                for target, row in document["movers"].items()
            }
            return Migration(document["source"], movers, document["version"])
        except FileNotFoundError as error:
            msg = f"there is no migration {self._name}: `onedallmail migrate imap plan {self._name} ...` begins one"
            raise MigrationError(msg) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{self.path} can't be read ({error}): move it away and plan anew; copies go on where they were"
            raise MigrationError(msg) from error

    def write(self, migration: Migration) -> None:
        """Replace the file."""
        self.save("state.json", asdict(migration))

    def load(self, name: str) -> Any:
        """Return a document that `save` wrote, None when there is none; raises MigrationError."""
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            msg = f"{self.folder / name} can't be read ({error}): move it away; removals until now stay at the target"
            raise MigrationError(msg) from error

    def save(self, name: str, document: Any) -> Path:
        """Write a document beside the state, for its owner only, by rename; return its path."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / name
        made = path.with_suffix(".new")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        made.rename(path)
        return path

    def advance(self, target: str, stage: Stage, **changes: Any) -> Progress:
        """Put one mailbox into its next stage."""
        with self._lock:
            migration = self.read()
            migration.movers[target] = advanced(migration.movers[target], stage, **changes)
            self.write(migration)
            return migration.movers[target]

    def note(self, target: str, error: str) -> None:
        """Keep why a mailbox stays in its stage."""
        self._change(target, error=error)

    def found(self, target: str, *, equal: bool) -> None:
        """Keep what the last report said."""
        self._change(target, equal=equal)

    def _change(self, target: str, **changes: Any) -> None:
        with self._lock:
            migration = self.read()
            migration.movers[target] = replace(migration.movers[target], **changes)
            self.write(migration)


def planned(source: dict[str, Any], movers: tuple[Mover, ...], before: Migration | None) -> Migration:
    """Return a migration for these users; what is known of a mailbox from before is kept."""
    known = before.movers if before else {}
    rows = {}
    for mover in movers:
        kept = known.get(mover.target)
        same = kept is not None and kept.source == mover.source
        rows[mover.target] = kept if kept and same else Progress(mover.source, mover.target)
    return Migration(source, rows)
