"""What two servers tell each other about a mailbox, as bodies of the channel's frames."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from onedallmail.channel.errors import Refusal
from onedallmail.mailboxes import ledger
from onedallmail.mailboxes.ledger import Ledger, LedgerError
from onedallmail.mailboxes.rules import Message, home_has, surviving_ids

LEDGER = "ledger"
MERGE = "merge"
READY = "ready"
READINESS = "readiness"
HELD = "held"
DIGEST = "digest"
DROP = "drop"


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


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a home knows of a mailbox: GUIDs of its messages, their ingest ids, which of them it keeps, its ledger."""

    guids: frozenset[str]
    listed: frozenset[str]
    surviving: frozenset[str]
    records: Ledger

    def has(self, ingest_id: str, user: str) -> bool:
        """Return whether the home has a message by replay (`rules.home_has`)."""
        recorded = ledger.ingest_key(ingest_id, user) in self.records
        return home_has(ingest_id, self.surviving, self.listed, recorded)


def knowledge(own: Iterable[Message], first_uids: Mapping[str, int], records: Ledger) -> Knowledge:
    """Return what a home knows by its listing."""
    own = list(own)
    listed = frozenset(m.ingest_id for m in own if m.ingest_id)
    return Knowledge(frozenset(m.guid for m in own), listed, surviving_ids(own, first_uids), records)


def dump_knowledge(known: Knowledge) -> bytes:
    """Return it as a body."""
    parts = {"guids": known.guids, "listed": known.listed, "surviving": known.surviving}
    line = json.dumps({name: sorted(values) for name, values in parts.items()}, separators=(",", ":"))
    return line.encode() + b"\n" + ledger.dump(known.records)


def load_knowledge(body: bytes) -> Knowledge:
    """Return what a body says; raises ValueError (LedgerError among them), KeyError or TypeError for anything else."""
    line, records = _parts(body)
    guids, listed, surviving = (frozenset(map(str, line[name])) for name in ("guids", "listed", "surviving"))
    return Knowledge(guids, listed, surviving, records)


def dump_found(messages: Iterable[Message], records: Ledger) -> bytes:
    """Return what a returned standby has that the home does not know: messages, and its whole ledger."""
    line = json.dumps([[m.mailbox, m.guid, m.ingest_id] for m in messages], separators=(",", ":"))
    return line.encode() + b"\n" + ledger.dump(records)


def load_found(body: bytes) -> tuple[list[Message], Ledger]:
    """Return messages and ledger; raises ValueError for anything else."""
    line, records = _parts(body)
    return [Message(str(mailbox), str(guid), str(ingest_id)) for mailbox, guid, ingest_id in line], records


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
