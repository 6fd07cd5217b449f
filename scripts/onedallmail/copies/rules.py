"""Where a copy goes, who cares for it, and what becomes of it: decisions without I/O.

The protocol model in tests/unit calls these functions; whoever changes one changes what was proven.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

PAUSES_S = (60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Before each re-injection, since the one before it or since the message was accepted."""
MAX_ATTEMPTS = len(PAUSES_S)
ASK_AFTER_S = 600.0
"""A holder doubts a copy when its origin has not told it to drop it for that long: many times the bound of storing."""
SETTLED_S = 60.0
"""After that long Postfix has finished the queue file of a message, or never will."""


class Duty(StrEnum):
    """What a server owes a copy that lies in its store."""

    WAIT = "wait"
    CARE = "care"
    """See to it that every recipient gets the message."""
    HAND_OVER = "hand over"
    """Give it to a living mail server: its origin is dead, and this server delivers nothing."""
    DROP = "drop"


class Word(StrEnum):
    """What a living origin says of a copy that another server holds for it."""

    UNASKED = "unasked"
    HOLDS = "holds"
    FORGOT = "forgot"
    """Its store is the one that made the copy, and has it no longer: done, or never accepted."""
    NEW_STORE = "new store"
    """It lost the store that made the copy, and its queue."""


class Held(Enum):
    """Whether home and standby hold what became of a message for a mailbox."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """The standby is away, or may not vouch for the mailbox at present."""


class Step(StrEnum):
    """What comes next for one recipient of a copy."""

    DONE = "done"
    WAIT = "wait"
    REINJECT = "reinject"
    ENDED = "ended another way"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one recipient (after alias expansion) of a copy that this server cares for."""

    mailbox: bool
    """It is a mailbox of ours."""
    taken_over: bool
    """A queue of this server has taken this recipient over: at acceptance, or by a re-injection."""
    queued: bool | None = None
    """A queue file here still has the recipient; None while that can't be known."""
    held: Held = Held.UNKNOWN
    attempts: int = 0
    """Re-injections for the present home of the mailbox."""
    accepted: bool = False
    """One of these was taken over by the queue."""
    same_home: bool = False
    """The mailbox certainly has had one home since this server accepted the message."""
    since_s: float = 0.0
    """Since the last re-injection, or since the message was accepted."""


def remote_holders(
    copy_id: str, origin: str, regions: Mapping[str, str], alive: Collection[str] | None, witnesses: Collection[str]
) -> list[str]:
    """Return the servers that may hold a copy for the origin, the first choice first: none in the origin's region.

    Living mail servers in rendezvous order, then witnesses, then mail servers that are held for dead, perhaps wrongly.
    `regions` has mail servers and witnesses; `alive` is None when nobody knows.
    """
    elsewhere = [name for name, region in regions.items() if region != regions[origin]]
    ordered = rendezvous(copy_id, elsewhere)
    mail = [name for name in ordered if name not in witnesses]
    living = [name for name in mail if alive is None or name in alive]
    return [*living, *(name for name in ordered if name in witnesses), *(name for name in mail if name not in living)]


def adopters(copy_id: str, origin: str, regions: Mapping[str, str], alive: Collection[str]) -> list[str]:
    """Return the living mail servers (of `regions`) that may take over a witness's copy, the first choice first."""
    ordered = rendezvous(copy_id, [name for name in regions if name in alive and name != origin])
    return sorted(ordered, key=lambda name: regions[name] == regions.get(origin))


def rendezvous(copy_id: str, servers: Iterable[str]) -> list[str]:
    """Return the servers in an order that depends on the copy: loads are equal, a server's loss moves only its own."""
    return sorted(servers, key=lambda name: hashlib.sha256(f"{copy_id} {name}".encode()).digest())


def responsible(origin: str, holder: str, alive: Collection[str]) -> str | None:
    """Return who cares for a copy: its origin while that lives, else the remote holder, else nobody."""
    return next((server for server in (origin, holder) if server in alive), None)


def duty(me: str, origin: str, *, alive: Collection[str] | None, delivers: bool, word: Word) -> Duty:
    """Return what this server owes a copy in its store. `alive` is None when this server can't know who lives."""
    if me == origin:
        return Duty.CARE
    if alive is None:
        return Duty.WAIT
    if origin in alive and word is not Word.NEW_STORE:
        return Duty.DROP if word is Word.FORGOT else Duty.WAIT
    return Duty.CARE if delivers else Duty.HAND_OVER


def may_ask(age_s: float) -> bool:
    """Return whether a copy is old enough that its origin's word on it counts: a younger one may still be stored."""
    return age_s >= ASK_AFTER_S


def step(facts: Facts) -> Step:
    """Return what comes next for a recipient."""
    return _mailbox_step(facts) if facts.mailbox else _other_step(facts)


def dropped(steps: Collection[Step]) -> bool:
    """Return whether a copy with recipients in these states may go."""
    return all(found in (Step.DONE, Step.ENDED) for found in steps)


def quiet(facts: Facts) -> bool:
    """Return whether a re-injection must cause no bounce: the queue here ended it for this home, with one if due."""
    return facts.taken_over and (facts.same_home or facts.accepted)


def may_store(peer: str, origin: str, holder: str, me: str) -> bool:
    """Return whether a peer may store a copy here: its own only, for which this server was chosen."""
    return peer == origin and holder == me and origin != me


def may_hand_over(peer: str, origin: str, holder: str, me: str, witnesses: Sequence[str]) -> bool:
    """Return whether a peer may hand a copy over to this server: a witness that holds it, of another server."""
    return peer in witnesses and holder == peer and origin != me


def may_drop(peer: str, origin: str, holder: str) -> bool:
    """Return whether a peer may have a copy dropped: its origin, or the server that holds it now."""
    return peer in (origin, holder)


def _mailbox_step(facts: Facts) -> Step:
    if facts.held is Held.YES:
        return Step.DONE
    if not _ended_here(facts):
        return Step.WAIT
    if facts.attempts == 0:
        # Delivered to the home that it still has, whose standby is away: nothing is gained by another delivery.
        return Step.WAIT if facts.same_home and facts.held is Held.UNKNOWN else Step.REINJECT
    if facts.accepted and facts.held is Held.UNKNOWN:
        return Step.WAIT
    return Step.REINJECT if facts.attempts < MAX_ATTEMPTS else Step.ENDED


def _other_step(facts: Facts) -> Step:
    if facts.taken_over:
        return Step.DONE if facts.queued is False else Step.WAIT
    if not _ended_here(facts):
        return Step.WAIT
    return Step.REINJECT if facts.attempts < MAX_ATTEMPTS else Step.ENDED


def _ended_here(facts: Facts) -> bool:
    """Return whether no queue here works on it, and the pause is over. What no queue ever had needs no first pause."""
    if facts.taken_over and facts.queued is not False:
        return False
    if facts.attempts == 0 and not facts.taken_over:
        return True
    return facts.since_s >= PAUSES_S[min(facts.attempts, MAX_ATTEMPTS - 1)]
