"""Which mailboxes have changes that their standby does not have yet: a table on disk, so that memory stays bounded."""

import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS dirty (
  user TEXT PRIMARY KEY,
  first REAL NOT NULL,   -- time of the oldest change that is not synchronised
  last REAL NOT NULL,    -- time of the newest
  attempts INTEGER NOT NULL DEFAULT 0,
  next_try REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dirty_by_next_try ON dirty (next_try, first);
"""
POSTPONED_S = 2.0
"""How soon a mailbox that may not be synchronised at present is looked at again, unless somebody wakes it."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 60.0
PAGE = 500


@dataclass(frozen=True, slots=True)
class Dirty:
    """A mailbox with changes since `first` (Unix time), tried in vain so many times."""

    user: str
    first: float
    last: float
    attempts: int


def pause_s(attempts: int) -> float:
    """Return how long to wait after that many attempts in vain: doubled each time, at most LONGEST_PAUSE_S."""
    return float(min(FIRST_PAUSE_S * 2 ** min(max(attempts, 1) - 1, 16), LONGEST_PAUSE_S))


class DirtyTable:
    """The table, and which of its mailboxes have a worker now. May be used from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or make the table; raises sqlite3.Error."""
        self._lock = threading.Lock()
        # After a crash of the machine every mailbox is marked again: the log of this file need not be flushed.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(SCHEMA)
        self._busy: dict[str, float | None] = {}
        """User with a worker -> time of the first change since the worker took it."""

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def mark(self, users: Iterable[str], at: float) -> None:
        """Note a change of these mailboxes at a time."""
        with self._lock:
            rows = []
            for user in users:
                if user in self._busy and self._busy[user] is None:
                    self._busy[user] = at
                rows.append((user, at, at))
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT INTO dirty (user, first, last) VALUES (?, ?, ?)"
                " ON CONFLICT (user) DO UPDATE SET last = max(last, excluded.last)",
                rows,
            )
            self._db.execute("COMMIT")

    def claim(self, now: float, limit: int, may: Callable[[Dirty], bool | None]) -> list[Dirty]:
        """Return up to `limit` mailboxes that are due, each for one worker until done() or failed().

        `may` says whether a mailbox may be synchronised now: False postpones it, None forgets it.
        """
        with self._lock:
            claimed: list[Dirty] = []
            while len(claimed) < limit:
                found = self._due(now, PAGE)
                if not found:
                    break
                self._judge(found, now, limit, may, claimed)
            return claimed

    def _due(self, now: float, limit: int) -> list[Dirty]:
        rows = self._db.execute(
            "SELECT user, first, last, attempts FROM dirty WHERE next_try <= ? ORDER BY next_try, first LIMIT ?",
            (now, limit + len(self._busy)),
        )
        return [Dirty(*row) for row in rows if row[0] not in self._busy]

    def _judge(
        self, found: list[Dirty], now: float, limit: int, may: Callable[[Dirty], bool | None], to: list[Dirty]
    ) -> None:
        postponed, gone = [], []
        for entry in found:
            if len(to) >= limit:
                break
            verdict = may(entry)
            if verdict is None:
                gone.append((entry.user,))
            elif verdict:
                self._busy[entry.user] = None
                to.append(entry)
            else:
                postponed.append((now + POSTPONED_S, entry.user))
        self._db.executemany("DELETE FROM dirty WHERE user = ?", gone)
        self._db.executemany("UPDATE dirty SET next_try = ? WHERE user = ?", postponed)

    def done(self, user: str) -> None:
        """Take a synchronised mailbox out, or keep it for the changes since it was claimed."""
        with self._lock:
            since = self._busy.pop(user, None)
            if since is None:
                self._db.execute("DELETE FROM dirty WHERE user = ?", (user,))
            else:
                self._db.execute("UPDATE dirty SET first = ?, attempts = 0, next_try = 0 WHERE user = ?", (since, user))

    def failed(self, user: str, now: float) -> float:
        """Keep a mailbox for another attempt; return the pause before it."""
        with self._lock:
            self._busy.pop(user, None)
            row = self._db.execute("SELECT attempts FROM dirty WHERE user = ?", (user,)).fetchone()
            attempts = (row[0] if row else 0) + 1
            wait_s = pause_s(attempts)
            self._db.execute(
                "UPDATE dirty SET attempts = ?, next_try = ? WHERE user = ?", (attempts, now + wait_s, user)
            )
            return wait_s

    def released(self, user: str) -> None:
        """Give a claimed mailbox back as it was."""
        with self._lock:
            self._busy.pop(user, None)

    def wake(self, users: Iterable[str] | None = None) -> None:
        """Make mailboxes due at once (all without users): what they waited for has come."""
        with self._lock:
            if users is None:
                self._db.execute("UPDATE dirty SET next_try = 0")
            else:
                self._db.execute("BEGIN")
                self._db.executemany("UPDATE dirty SET next_try = 0 WHERE user = ?", [(user,) for user in users])
                self._db.execute("COMMIT")

    def count(self) -> int:
        """Return how many mailboxes have changes."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM dirty").fetchone()[0])

    def oldest(self) -> float | None:
        """Return the time of the oldest change that is not synchronised."""
        with self._lock:
            found: float | None = self._db.execute("SELECT min(first) FROM dirty").fetchone()[0]
            return found
