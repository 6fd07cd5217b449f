"""A small Dovecot for tests: mailboxes in memory, the doveadm HTTP API, deliveries that mark the ledger like Sieve."""

import itertools
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from onedallmail.mailboxes import ledger
from onedallmail.mailboxes.places import Store

GUIDS = itertools.count(1)
FAILED = 75
Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Mail:
    """A message in a folder; the folder's name is its GUID, too."""

    folder: str
    guid: str
    ingest_id: str
    uid: int
    flags: str = ""


@dataclass
class Mailbox:
    """A user's messages and the counters of the folders."""

    mails: dict[tuple[str, str], Mail] = field(default_factory=dict)
    uid_next: dict[str, int] = field(default_factory=lambda: {"INBOX": 1})
    modseq: dict[str, int] = field(default_factory=lambda: {"INBOX": 1})
    expunged: set[tuple[str, str]] = field(default_factory=set)
    """What a synchronisation knows to have been there (Dovecot: its transaction log)."""


class Dovecot:
    """One server's. `broken` users fail with exit code 75; `during_sync` runs in the midst of a synchronisation."""

    def __init__(self, directory: Path, others: dict[str, "Dovecot"]) -> None:
        self.store = Store(directory)
        self.mailboxes: dict[str, Mailbox] = {}
        self.broken: set[str] = set()
        self.down = False
        self.kicked: list[str] = []
        self.sessions: list[str] = []
        self.kicks_end = False
        """A session ends that is asked to; a delivery does not."""
        self.calls: list[tuple[str, str]] = []
        self.during_sync: Callable[[str], None] = lambda _user: None
        self.after_sync: Callable[[str], None] = lambda _user: None
        self._others = others
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        """The API's port."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop the API."""
        self._server.shutdown()
        self._server.server_close()

    def mailbox(self, user: str) -> Mailbox:
        """Return a user's mailbox, made if there is none."""
        self.store.home(user).mkdir(parents=True, exist_ok=True)
        return self.mailboxes.setdefault(user, Mailbox())

    def deliver(self, user: str, ingest_id: str, folder: str = "INBOX") -> bool:
        """Deliver a message as Sieve would; return False when the ledger refuses it."""
        key = ledger.ingest_key(ingest_id, user)
        with self._lock:
            box = self.mailbox(user)
            if key in ledger.read(self.store.ledger(user)):
                return False
            self.put(box, folder, f"{next(GUIDS):032x}", ingest_id)
        ledger.merge_into(self.store.ledger(user), {key: int(time.time()) + 6 * 86400})
        return True

    def save(self, user: str, ingest_id: str, folder: str = "INBOX") -> None:
        """Save a message whose delivery dies before the ledger is marked."""
        self.put(self.mailbox(user), folder, f"{next(GUIDS):032x}", ingest_id)

    def replay(self, user: str, of: str, ingest_id: str) -> None:
        """Deliver a copy if this is the user that it is for."""
        if user == of:
            self.deliver(user, ingest_id)

    @staticmethod
    def put(box: Mailbox, folder: str, guid: str, ingest_id: str, flags: str = "") -> None:
        """Add a message with the folder's next UID."""
        uid = box.uid_next.setdefault(folder, 1)
        box.uid_next[folder] = uid + 1
        box.modseq[folder] = box.modseq.get(folder, 1) + 1
        box.mails[folder, guid] = Mail(folder, guid, ingest_id, uid, flags)

    def ids(self, user: str) -> list[str]:
        """Return the ingest ids of a user's messages, sorted, repeats included."""
        return sorted(mail.ingest_id for mail in self.mailbox(user).mails.values())

    def run(self, name: str, given: dict[str, Any]) -> Rows:
        """Run a command; raises LookupError for one that fails."""
        user = str(given.get("user", ""))
        self.calls.append((name, user))
        if user in self.broken:
            raise LookupError(user)
        command: Callable[[str, dict[str, Any]], Rows] = getattr(self, f"_{name.lower()}")
        if name == "sync":  # the other's lock is taken in it
            return command(user, given)
        with self._lock:
            return command(user, given)

    def _sync(self, user: str, given: dict[str, Any]) -> Rows:
        other = self._others[given["destination"][0]]
        assert given["fullSync"] is True
        if user in other.broken or other.down:
            raise LookupError(user)
        self.during_sync(user)
        if user in self.broken:
            raise LookupError(user)
        mine, theirs = self.mailbox(user), other.mailbox(user)
        for key in mine.mails.keys() & theirs.expunged:
            del mine.mails[key]
        for key in theirs.mails.keys() - mine.mails.keys() - mine.expunged:
            mail = theirs.mails[key]
            self.put(mine, mail.folder, mail.guid, mail.ingest_id, mail.flags)
        theirs.mails = dict(mine.mails)
        self._exchange_scripts(user, other)
        for counters in ("uid_next", "modseq"):
            a, b = getattr(mine, counters), getattr(theirs, counters)
            both = {folder: max(a.get(folder, 1), b.get(folder, 1)) for folder in a | b}
            setattr(mine, counters, dict(both))
            setattr(theirs, counters, dict(both))
        self.after_sync(user)
        return []

    def _exchange_scripts(self, user: str, other: "Dovecot") -> None:
        """As Dovecot: what one has and the other lacks goes there, removed or not."""
        both = [d.store.home(user) / "sieve" for d in (self, other)]
        found = {path.name: path.read_bytes() for d in reversed(both) for path in d.glob("*.sieve")}
        for directory in both if found else ():
            directory.mkdir(exist_ok=True)
            for name, content in found.items():
                (directory / name).write_bytes(content)

    def _sievedelete(self, user: str, given: dict[str, Any]) -> Rows:
        assert given["ignoreActive"] is True
        for name in given["scriptname"]:
            (self.store.home(user) / "sieve" / f"{name}.sieve").unlink(missing_ok=True)
        return []

    def script(self, user: str, name: str, content: str | None = "keep;") -> None:
        """Give a user a Sieve script, or remove it."""
        path = self.store.home(user) / "sieve" / f"{name}.sieve"
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_text(content)

    def scripts(self, user: str) -> list[str]:
        """Return the names of a user's Sieve scripts."""
        return sorted(path.stem for path in (self.store.home(user) / "sieve").glob("*.sieve"))

    def _fetch(self, user: str, given: dict[str, Any]) -> Rows:
        wanted: dict[str, Callable[[Mail], str]] = {
            "mailbox": lambda m: m.folder,
            "mailbox-guid": lambda m: m.folder,
            "guid": lambda m: m.guid,
            "uid": lambda m: str(m.uid),
            "flags": lambda m: f"{m.flags} \\Recent".strip(),
            "hdr.x-ingest-id": lambda m: m.ingest_id,
            "date.saved.unixtime": lambda _: str(int(time.time())),
        }
        return [{name: wanted[name](mail) for name in given["field"]} for mail in self.mailbox(user).mails.values()]

    def _expunge(self, user: str, given: dict[str, Any]) -> Rows:
        _, folder, _, guid = given["query"]
        self.mailbox(user).mails.pop((folder, guid), None)
        self.mailbox(user).expunged.add((folder, guid))
        return []

    def _mailboxstatus(self, user: str, _given: dict[str, Any]) -> Rows:
        box = self.mailbox(user)
        return [
            {"mailbox": name, "guid": name, "uidnext": str(uid), "highestmodseq": str(box.modseq.get(name, 1))}
            for name, uid in box.uid_next.items()
        ]

    def _mailboxlist(self, user: str, _given: dict[str, Any]) -> Rows:
        return [{"mailbox": name} for name in self.mailbox(user).uid_next]

    def _mailboxupdate(self, user: str, given: dict[str, Any]) -> Rows:
        box, name = self.mailbox(user), given["mailbox"]
        box.uid_next[name] = max(box.uid_next[name], given["minNextUid"])
        box.modseq[name] = max(box.modseq.get(name, 1), given["minHighestModseq"])
        return []

    def _who(self, _user: str, _given: dict[str, Any]) -> Rows:
        return [{"username": user} for user in self.sessions]

    def _kick(self, _user: str, given: dict[str, Any]) -> Rows:
        self.kicked += given["mask"]
        if self.kicks_end:
            self.sessions = [user for user in self.sessions if user not in given["mask"]]
        return [{"count": "1"}]

    def flag(self, user: str, ingest_id: str, flags: str) -> None:
        """Change the flags of a message."""
        box = self.mailbox(user)
        for key, mail in list(box.mails.items()):
            if mail.ingest_id == ingest_id:
                box.mails[key] = replace(mail, flags=flags)


def _handler(dovecot: Dovecot) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if dovecot.down:
                self.close_connection = True
                return
            authorised = self.headers["Authorization"] == "X-Dovecot-API a2V5"
            body = json.dumps([_answer(dovecot, *command) for command in request]).encode()
            self.send_response(200 if authorised else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _answer(dovecot: Dovecot, name: str, given: dict[str, Any], tag: str) -> list[Any]:
    try:
        return ["doveadmResponse", dovecot.run(name, given), tag]
    except LookupError:
        return ["error", {"type": "exitCode", "exitCode": FAILED}, tag]
    except AttributeError:
        return ["error", {"type": "unknownMethod", "exitCode": 0}, tag]
