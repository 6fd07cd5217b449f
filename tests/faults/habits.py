"""What users do with their mail: flags, moves and deletions, and what must be left of them at the end.

Promised is what the standbys had when the next fault began, which the mailboxes services tell
(status.json). What a user does during a fault only adds to the load.
"""

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from typing import Any

from tests.faults.journal import BROKEN, Journal
from tests.lab import MAIL, on_all, run_on
from tests.mail.clients import Imap, imap, search

STATUS = "/var/lib/onedallmail/mailboxes/status.json"
ACTS_WITHIN_S = 20
"""Before the first fault mail must have arrived, and after one a server may still boot."""
STORED_WITHIN_S = 20
FLAGGED, MOVED, DELETED = "flagged", "moved", "deleted"
Entry = tuple[str, str]


@dataclass
class Habits:
    """Acts of users on messages of one journal; entries are (user, Message-ID)."""

    journal: Journal
    users: Sequence[str]
    promised: dict[Entry, str] = field(default_factory=dict)
    touched: set[Entry] = field(default_factory=set)
    unstored: int = 0
    """Rounds whose acts the standbys did not have in time."""

    def act_and_wait(self) -> None:
        """Let every user flag, move and delete one message each, and wait until the standbys have that."""
        done: dict[Entry, str] = {}
        end, servers = time.monotonic() + ACTS_WITHIN_S, cycle(MAIL)
        for user in self.users:
            while not (acts := self.act(next(servers), user, (FLAGGED, MOVED, DELETED))) and time.monotonic() < end:
                time.sleep(0.3)
            done |= acts
        if done and standbys_have_all(STORED_WITHIN_S):
            self.promised |= done
        else:
            self.unstored += 1

    def act(self, through: str, user: str, what: Sequence[str]) -> dict[Entry, str]:
        """Let a user do something with as many untouched messages; return what the server said OK to."""
        done: dict[Entry, str] = {}
        try:
            with imap(through, user) as client:
                for act, (uid, identity) in zip(what, self._untouched(client, user), strict=False):
                    self.touched.add((user, identity))
                    if act == DELETED:
                        self.journal.deleted.add((user, identity))
                    if _do(client, act, uid):
                        done[user, identity] = act
        except (*BROKEN, Imap.error):
            return {}
        return done

    def wrong(self, through: str) -> list[str]:
        """Return a sentence for each promised act that is not as the user left it."""
        found = []
        for user in self.users:
            with imap(through, user) as client:
                for (owner, identity), act in self.promised.items():
                    if owner == user and (now := _state(client, identity)) != act:
                        found.append(f"{user}: {identity} was {act}, and is now {now}")
        return found

    def _untouched(self, client: Imap, user: str) -> list[tuple[str, str]]:
        client.select("INBOX")
        _, found = client.uid("SEARCH", "UNFLAGGED", "SUBJECT", f'"Journal {self.journal.run}"')
        uids = found[0].decode().split()[:12] if found and found[0] else []
        if not uids:
            return []
        _, parts = client.uid("FETCH", ",".join(uids), "(UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        fetched = [part for part in parts if isinstance(part, tuple)]
        pairs = [(re.search(rb"UID (\d+)", start), re.search(rb"<\S+>", header)) for start, header in fetched]
        named = [(uid[1].decode(), identity[0].decode()) for uid, identity in pairs if uid and identity]
        return [(uid, identity) for uid, identity in named if (user, identity) not in self.touched]


def standbys_have_all(within_s: float) -> bool:
    """Return whether, within the bound, each server says that its standbys have all until now."""
    begun, end = time.time() + 1, time.monotonic() + within_s
    while time.monotonic() < end:
        outputs = on_all(MAIL, lambda name: run_on(name, f"cat {STATUS}"))
        found = [json.loads(output.stdout) for output in outputs.values() if output.code == 0 and output.stdout]
        if len(found) == len(MAIL) and all(_has_all_until(status, begun) for status in found):
            return True
        time.sleep(0.5)
    return False


def _has_all_until(status: dict[str, Any], moment: float) -> bool:
    """Return whether the standbys of a server's mailboxes have every change until a moment, as the server says."""
    oldest_waiting = datetime.fromisoformat(status["at"]).timestamp() - status["oldest_dirty_s"]
    return oldest_waiting >= moment and not (status["groups_not_ready"] or status["reconciling"])


def _do(client: Imap, act: str, uid: str) -> bool:
    if act == FLAGGED:
        return client.uid("STORE", uid, "+FLAGS.SILENT", r"(\Flagged)")[0] == "OK"
    if act == MOVED:
        return client.uid("MOVE", uid, "Junk")[0] == "OK"
    stored = client.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")[0] == "OK"
    return stored and client.uid("EXPUNGE", uid)[0] == "OK"


def _state(client: Imap, identity: str) -> str:
    if search(client, "Junk", identity):
        return MOVED
    uids = search(client, "INBOX", identity)
    if not uids:
        return DELETED
    _, found = client.uid("SEARCH", "UID", uids[0], "FLAGGED")
    return FLAGGED if found and found[0] else "not flagged"
