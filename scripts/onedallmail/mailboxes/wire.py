"""What two servers tell each other about a mailbox, as bodies of the channel's frames."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from onedallmail.channel.errors import Refusal
from onedallmail.mailboxes import ledger
from onedallmail.mailboxes.ledger import Ledger, LedgerError
from onedallmail.mailboxes.rules import Message

LEDGER = "ledger"
MERGE = "merge"
READY = "ready"
READINESS = "readiness"
HELD = "held"
DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class Claim:
    """Whom a request is about, and as home of which group in which epoch it is made."""

    group: int
    epoch: int
    home: str
    user: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a request."""
        return {
            "group": self.group,
            "epoch": self.epoch,
            "home": self.home,
            **({"user": self.user} if self.user else {}),
        }


def claim(peer: str, fields: dict[str, Any], *, user: bool = True) -> Claim:
    """Return the claim of a request; raises Refusal when it is none, or made for another server than the peer."""
    group, epoch, home = fields.get("group"), fields.get("epoch"), fields.get("home", peer)
    name = fields.get("user", "")
    if type(group) is not int or type(epoch) is not int or not isinstance(name, str) or (user and not name):
        msg = "group and epoch must be whole numbers, user an address"
        raise Refusal(msg)
    if home != peer:
        msg = f"{peer} can't speak for {home}"
        raise Refusal(msg)
    return Claim(group, epoch, peer, name)


def dump_knowledge(guids: Iterable[str], ids: Iterable[str], records: Ledger) -> bytes:
    """Return what a home knows of a mailbox: GUIDs and ingest ids of its messages, and its ledger."""
    line = json.dumps({"guids": sorted(set(guids)), "ids": sorted(set(ids) - {""})}, separators=(",", ":"))
    return line.encode() + b"\n" + ledger.dump(records)


def load_knowledge(body: bytes) -> tuple[frozenset[str], frozenset[str], Ledger]:
    """Return GUIDs, ids and ledger; raises ValueError (LedgerError among them) for anything else."""
    line, records = _parts(body)
    return frozenset(map(str, line["guids"])), frozenset(map(str, line["ids"])), records


def dump_found(messages: Iterable[Message], records: Ledger) -> bytes:
    """Return what a returned standby has that the home does not know: messages, and its whole ledger."""
    line = json.dumps([[m.mailbox, m.guid, m.ingest_id] for m in messages], separators=(",", ":"))
    return line.encode() + b"\n" + ledger.dump(records)


def load_found(body: bytes) -> tuple[list[Message], Ledger]:
    """Return messages and ledger; raises ValueError for anything else."""
    line, records = _parts(body)
    return [Message(*map(str, entry)) for entry in line], records


def _parts(body: bytes) -> tuple[Any, Ledger]:
    line, separator, rest = body.partition(b"\n")
    if not separator:
        msg = "a line of JSON and a ledger are expected"
        raise ValueError(msg)
    try:
        return json.loads(line), ledger.parse(rest)
    except LedgerError as error:
        msg = f"the ledger that was sent is damaged: {error}"
        raise ValueError(msg) from error


@dataclass(frozen=True, slots=True)
class Question:
    """Which of these ids do home and standby of a user hold? The claim says whom the asker takes for the home."""

    claim: Claim
    ids: frozenset[str]


def questions(fields: dict[str, Any]) -> list[Question]:
    """Return what `items` asks, a list of [user, group, epoch, home, [ids]]; raises Refusal."""
    try:
        return [
            Question(Claim(int(group), int(epoch), str(home), str(user).lower()), frozenset(map(str, ids)))
            for user, group, epoch, home, ids in fields["items"]
        ]
    except (ValueError, TypeError, KeyError) as error:
        msg = f"items must be a list of [user, group, epoch, home, [ids]] ({error})"
        raise Refusal(msg) from error
