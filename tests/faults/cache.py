"""A mail program that keeps what it has seen of a folder, and asks a server only for what changed since (RFC 7162).

Like all such programs it relies on this: a UID names one message for ever, and new messages have larger ones.
"""

import re
from dataclasses import dataclass, field

from tests.mail.clients import Imap, imap

NAMED = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
Listing = dict[int, tuple[str, frozenset[str]]]
"""Message-ID and flags by UID."""


@dataclass
class Cache:
    """One folder of one user as the program has it."""

    user: str
    folder: str
    uid_validity: int = 0
    modseq: int = 0
    messages: Listing = field(default_factory=dict)
    history: dict[int, str] = field(default_factory=dict)
    """Message-ID of every UID that was ever seen."""

    def resync(self, through: str) -> list[str]:
        """Ask a server for what changed, and return a sentence for everything that is not as a cache must find it."""
        with imap(through, self.user) as client:
            client.enable("QRESYNC")
            known = max(self.history, default=0)
            opened = self._select(client)
            wrong = self._judge_state(opened)
            vanished, changed, fresh = self._changes(opened), self._flags(opened), self._fresh(client, known)
            wrong += [f"UID {uid} of a new message is not above {known}" for uid in fresh if uid <= known]
            self._take(vanished, changed, fresh)
            return wrong + self._judge(_listing(client, "1:*"))

    def _select(self, client: Imap) -> dict[str, list[bytes]]:
        """Open the folder as one that the program knows; return what the server said unasked, by its kind."""
        for kind in list(client.untagged_responses):
            client.response(kind)
        words = [f'"{self.folder}"']
        if self.uid_validity:
            words.append(f"(QRESYNC ({self.uid_validity} {self.modseq}))")
        kind, said = client._simple_command("SELECT", *words)
        assert kind == "OK", f"{self.user} {self.folder}: {said}"
        client.state = "SELECTED"
        return {kind: _flat(said) for kind, said in client.untagged_responses.items()}

    def _judge_state(self, opened: dict[str, list[bytes]]) -> list[str]:
        validity, modseq = (int(opened[kind][-1]) for kind in ("UIDVALIDITY", "HIGHESTMODSEQ"))
        wrong = []
        if self.uid_validity and validity != self.uid_validity:
            wrong.append(f"UIDVALIDITY was {self.uid_validity}, and is now {validity}")
        if modseq < self.modseq:
            wrong.append(f"HIGHESTMODSEQ was {self.modseq}, and is now {modseq}")
        self.uid_validity, self.modseq = validity, modseq
        return wrong

    @staticmethod
    def _changes(opened: dict[str, list[bytes]]) -> set[int]:
        """Return the UIDs that the server says have gone."""
        return {uid for line in opened.get("VANISHED", []) for uid in _numbers(line.decode().rpartition(" ")[2])}

    @staticmethod
    def _flags(opened: dict[str, list[bytes]]) -> dict[int, frozenset[str]]:
        return dict(_uid_and_flags(line.decode()) for line in opened.get("FETCH", []))

    @staticmethod
    def _fresh(client: Imap, known: int) -> Listing:
        """Return what is above the largest UID that the program knows; `n:*` always names the last message, too."""
        return {uid: found for uid, found in _listing(client, f"{known + 1}:*").items() if uid > known}

    def _take(self, vanished: set[int], changed: dict[int, frozenset[str]], fresh: Listing) -> None:
        for uid in vanished:
            self.messages.pop(uid, None)
        for uid, flags in changed.items():
            if uid in self.messages:
                self.messages[uid] = (self.messages[uid][0], flags)
        self.messages |= fresh
        self.history |= {uid: identity for uid, (identity, _) in fresh.items()}

    def _judge(self, stored: Listing) -> list[str]:
        """Compare with all that the server has: the program must have found out about everything."""
        wrong = [
            f"UID {uid} named {self.history[uid]}, and now names {identity}"
            for uid, (identity, _) in stored.items()
            if self.history.get(uid, identity) != identity
        ]
        for uid in sorted(stored.keys() | self.messages.keys()):
            mine, theirs = self.messages.get(uid), stored.get(uid)
            if mine != theirs:
                wrong.append(f"UID {uid} is {mine} in the cache, and {theirs} on the server")
        return [f"{self.user} {self.folder}: {text}" for text in wrong]

    def uids(self, identity: str) -> list[int]:
        """Return the UIDs of a message in the cache."""
        return [uid for uid, (named, _) in self.messages.items() if named == identity]


def _listing(client: Imap, uids: str) -> Listing:
    kind, parts = client.uid("FETCH", uids, f"(UID FLAGS {NAMED})")
    assert kind == "OK", parts
    found: Listing = {}
    for part in parts:
        if isinstance(part, tuple):
            uid, flags = _uid_and_flags(part[0].decode())
            named = re.search(rb"<\S+>", part[1])
            found[uid] = (named[0].decode() if named else "", flags)
    return found


def _uid_and_flags(line: str) -> tuple[int, frozenset[str]]:
    uid, flags = re.search(r"UID (\d+)", line), re.search(r"FLAGS \(([^)]*)\)", line)
    assert uid and flags, line  # noqa: PT018 - one line of the server, said as it is
    return int(uid[1]), frozenset(flags[1].split()) - {r"\Recent"}


def _numbers(text: str) -> set[int]:
    """Return the UIDs of a set such as `3,7:9`."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition(":")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _flat(said: list[bytes | tuple[bytes, bytes]]) -> list[bytes]:
    return [line if isinstance(line, bytes) else b" ".join(line) for line in said]
