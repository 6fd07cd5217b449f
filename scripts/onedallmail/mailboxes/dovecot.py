"""Dovecot's doveadm commands over its HTTP API on loopback (https://doc.dovecot.org/2.4.1/core/admin/doveadm.html).

Two ports: one serves mailboxes that live here, one any that is stored here. Calls block: they are made in threads.
"""

import base64
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import IPPROTO_TCP, TCP_QUICKACK
from typing import Any

from onedallmail.mailboxes.rules import Message

HOST = "127.0.0.1"
NO_USER = 67
"""EX_NOUSER: the directory does not know the user."""
NOT_FOUND = 68
"""DOVEADM_EX_NOTFOUND: the folder is not there."""
PATIENCE_S = 10.0
"""More than a command's own bound, so that its answer tells what happened."""

Command = tuple[str, dict[str, Any]]
Row = dict[str, str]


class DovecotError(Exception):
    """A command that failed; `code` is doveadm's exit code, None when there was no answer."""

    def __init__(self, command: str, user: str, reason: str, code: int | None = None) -> None:
        """Keep what failed."""
        super().__init__(f"doveadm {command} of {user or 'no user'}: {reason}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Folder:
    """Counters of a folder."""

    name: str
    uid_next: int
    highest_modseq: int
    guid: str = ""


class Api:
    """One port of the API. Each thread has a connection of its own, which stays open."""

    def __init__(self, port: int, key_file: Path, *, host: str = HOST, timeout_s: float = 60.0) -> None:
        """Read nothing yet: the key's file is read with each new connection, as it may be renewed."""
        self._address = (host, port)
        self._key_file = key_file
        self._timeout_s = timeout_s
        self._local = threading.local()

    def run(self, commands: Sequence[Command], *, timeout_s: float | None = None) -> list[list[Row] | DovecotError]:
        """Return each command's rows, or its error. Raises DovecotError when there is no answer at all."""
        request = json.dumps([[name, parameters, str(n)] for n, (name, parameters) in enumerate(commands)])
        first, parameters = commands[0]
        try:
            answer = self._exchange(request, timeout_s or self._timeout_s)
            found = {tag: (kind, value) for kind, value, tag in answer}
            return [_result(name, given, *found[str(n)]) for n, (name, given) in enumerate(commands)]
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            self._close()
            reason = f"no answer from port {self._address[1]} ({error or type(error).__name__}); is Dovecot running?"
            raise DovecotError(first, str(parameters.get("user", "")), reason) from error

    def one(self, name: str, parameters: dict[str, Any], *, timeout_s: float | None = None) -> list[Row]:
        """Return the rows of one command; raises DovecotError."""
        (result,) = self.run([(name, parameters)], timeout_s=timeout_s)
        if isinstance(result, DovecotError):
            raise result
        return result

    def _exchange(self, request: str, timeout_s: float) -> Any:
        kept = getattr(self._local, "connection", None)
        if kept is not None:
            try:
                return self._ask(kept, request, timeout_s)
            except TimeoutError:
                raise
            except (OSError, HTTPException):  # Dovecot closes idle connections
                self._close()
        return self._ask(self._connect(timeout_s), request, timeout_s)

    def _connect(self, timeout_s: float) -> HTTPConnection:
        key = base64.b64encode(self._key_file.read_bytes().strip()).decode()
        connection = HTTPConnection(*self._address, timeout=timeout_s)
        self._local.connection = connection
        self._local.headers = {"Content-Type": "application/json", "Authorization": f"X-Dovecot-API {key}"}
        return connection

    def _ask(self, connection: HTTPConnection, request: str, timeout_s: float) -> Any:
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        connection.request("POST", "/doveadm/v1", request.encode(), self._local.headers)
        # Dovecot writes an answer in pieces; each waits for an acknowledgement, 40 ms unless it comes at once.
        connection.sock.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 1)
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:  # noqa: PLR2004 - HTTP: OK
            msg = f"status {response.status}: {content[:200].decode(errors='replace').strip()}"
            raise HTTPException(msg)
        return json.loads(content)

    def _close(self) -> None:
        kept = getattr(self._local, "connection", None)
        if kept is not None:
            kept.close()
            self._local.connection = None


def _result(name: str, parameters: dict[str, Any], kind: str, value: Any) -> list[Row] | DovecotError:
    if kind == "doveadmResponse":
        return list(value)
    user = str(parameters.get("user", ""))
    problem = str(value.get("type", kind))
    if problem == "exitCode":
        code = int(value["exitCode"])
        return DovecotError(name, user, f"exit code {code}; Dovecot's log says why", code)
    return DovecotError(
        name, user, f"{problem}: this version of Dovecot does not know the command as it is called here"
    )


def synchronise(api: Api, user: str, destination: str, timeout_s: int) -> None:
    """Make the mailbox there equal to the one here, both ways, every folder compared; raises DovecotError.

    A plain synchronisation can skip changes and report success: hence fullSync.
    """
    parameters = {"user": user, "fullSync": True, "timeout": timeout_s, "destination": [destination]}
    api.one("sync", parameters, timeout_s=timeout_s + PATIENCE_S)


def messages(api: Api, user: str) -> list[Message]:
    """Return all messages of a mailbox; raises DovecotError."""
    rows = _fetch(api, user, ["mailbox-guid", "guid", "hdr.x-ingest-id", "uid"], ["all"])
    return [
        Message(row["mailbox-guid"], row["guid"], row.get("hdr.x-ingest-id", "").strip(), int(row["uid"]))
        for row in rows
    ]


def received_since(api: Api, user: str, age_s: int) -> list[tuple[str, int]]:
    """Return ingest id and time of saving (Unix time) of the messages that came in during the last age_s seconds."""
    rows = _fetch(api, user, ["hdr.x-ingest-id", "date.saved.unixtime"], ["savedsince", f"{age_s}s"])
    ids = ((row.get("hdr.x-ingest-id", "").strip(), int(row["date.saved.unixtime"])) for row in rows)
    return [(ingest_id, saved) for ingest_id, saved in ids if ingest_id]


def flags(api: Api, user: str) -> list[tuple[str, str, str, str]]:
    """Return folder, UID, GUID and flags of all messages, without \\Recent, which belongs to a session."""
    found = _fetch(api, user, ["mailbox", "uid", "guid", "flags"], ["all"])
    return [(r["mailbox"], r["uid"], r["guid"], _lasting_flags(r.get("flags", ""))) for r in found]


def _fetch(api: Api, user: str, fields: list[str], which: list[str]) -> list[Row]:
    return api.one("fetch", {"user": user, "field": fields, "query": ["mailbox", "*", *which]})


def _lasting_flags(text: str) -> str:
    return " ".join(sorted(set(text.split()) - {"\\Recent"}))


def expunge(api: Api, user: str, gone: Iterable[Message]) -> None:
    """Remove messages, each by folder and GUID; one that is gone already is no error. Raises DovecotError."""
    commands: list[Command] = [
        ("expunge", {"user": user, "query": ["mailbox-guid", m.mailbox, "guid", m.guid]}) for m in gone
    ]
    _all_well(api, commands)


def names(api: Api, user: str) -> list[str]:
    """Return the names of a mailbox's folders; raises DovecotError."""
    return sorted(row["mailbox"] for row in api.one("mailboxList", {"user": user}))


def folders(api: Api, user: str) -> list[Folder]:
    """Return the folders of a mailbox with their counters; raises DovecotError."""
    wanted = {"user": user, "field": ["uidnext", "highestmodseq", "guid"], "mailboxMask": ["*"]}
    rows = api.one("mailboxStatus", wanted)
    return [Folder(row["mailbox"], int(row["uidnext"]), int(row["highestmodseq"]), row["guid"]) for row in rows]


def subscriptions(api: Api, user: str) -> list[str]:
    """Return the names that a user is subscribed to; raises DovecotError."""
    return sorted(row["mailbox"] for row in api.one("mailboxList", {"user": user, "subscriptions": True}))


def raise_counters(api: Api, user: str, targets: Iterable[Folder]) -> None:
    """Make each folder begin at least at these counters; lower ones change nothing. Raises DovecotError."""
    commands: list[Command] = [
        (
            "mailboxUpdate",
            {"user": user, "mailbox": f.name, "minNextUid": f.uid_next, "minHighestModseq": f.highest_modseq},
        )
        for f in targets
    ]
    _all_well(api, commands)


def present(api: Api, users: Iterable[str]) -> frozenset[str]:
    """Return which users have a session (IMAP, ManageSieve) or a delivery now; raises DovecotError.

    Synchronisations are not among them: doveadm does not tell anvil of its own.
    """
    return frozenset(users) & {row.get("username", "") for row in api.one("who", {})}


def kick(api: Api, users: Iterable[str]) -> int:
    """End the sessions of those users who have any; return how many were asked to end. Raises DovecotError."""
    here = present(api, users)
    _all_well(api, [("kick", {"mask": [user]}) for user in sorted(here)])
    return len(here)


def remove_folders(api: Api, user: str, names: Iterable[str]) -> None:
    """Remove folders with what is in them; one that is gone already is no error. Raises DovecotError."""
    _all_well(api, [("mailboxDelete", {"user": user, "mailbox": [name]}) for name in names])


def drop_scripts(api: Api, user: str, names: Iterable[str]) -> None:
    """Remove Sieve scripts, the active one too; one that is gone already is no error. Raises DovecotError."""
    _all_well(api, [("sieveDelete", {"user": user, "ignoreActive": True, "scriptname": [name]}) for name in names])


def _all_well(api: Api, commands: list[Command]) -> None:
    for begin in range(0, len(commands), 100):
        for result in api.run(commands[begin : begin + 100]):
            if isinstance(result, DovecotError) and result.code != NOT_FOUND:
                raise result
