"""When mailboxes may be synchronised, when a standby may vouch for a message, what a merge drops: no I/O here.

The protocol model in tests/unit calls these functions; whoever changes one changes what was proven.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from onedallmail.placement.map import Placement, PlacementMap

UID_GAP = 1 << 16
"""A home that died may have given out that many UIDs of a folder that its standby never saw. UIDs have 32 bits."""
MODSEQ_GAP = 1 << 20
"""The same for changes of flags (RFC 7162). These have 63 bits."""
INBOX = "INBOX"
MAX_UID = (1 << 32) - 1
MAX_MODSEQ = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Declared:
    """What the home of a group has declared its standby ready for: by whom, in which epoch, and without which users."""

    home: str
    epoch: int
    without: frozenset[str] = field(default_factory=frozenset)
    """Users of the group whose mailbox could not be reconciled yet."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a folder. Copies that the user made share the GUID or the ingest id, or both."""

    mailbox: str
    """GUID of the folder: a name may hold wildcards."""
    guid: str
    ingest_id: str
    """Empty for a message that was not received (a draft, a copy saved by a client)."""
    uid: int = field(default=0, compare=False)


def leads(lease: object, open_for_s: float, age_s: float) -> bool:
    """Return whether this server's own lease stands, by a status of the placement service that is age_s old.

    Without it this server may not know who is home by now, and begins nothing at a standby: neither a merge nor a
    synchronisation. What is on its way meanwhile is covered by the fence's margin.
    """
    return bool(lease) and age_s < open_for_s


def declared_by(declared: Declared | None, home: str, epoch: int) -> bool:
    """Return whether the standby was declared ready by this home in this epoch."""
    return declared is not None and (declared.home, declared.epoch) == (home, epoch)


def may_synchronise(
    me: str, user: str, placement: Placement, alive: Collection[str], declared: Declared | None
) -> bool:
    """Return whether the home may run an ordinary synchronisation of a user's mailbox into the standby.

    Before the standby was declared ready it may hold messages that would be doubled by it.
    """
    return (
        placement.home == me
        and placement.standby in alive
        and declared is not None
        and declared_by(declared, me, placement.epoch)
        and user not in declared.without
    )


def toward(placement: Placement, server: str) -> Placement:
    """Return a group's place with the server that joins in the place of the standby, for what is done with it."""
    return Placement(placement.home, server, placement.epoch)


def still_placed(me: str, placement: Placement | None, known: Placement) -> bool:
    """Return whether this server is home as it was known, and the standby of then is one, or joins."""
    return (
        placement is not None
        and placement.home == known.home == me
        and placement.epoch == known.epoch
        and known.standby in placement.receiving
    )


def may_tell(placement: Placement, frozen: str | None) -> bool:
    """Return whether the home may go on to synchronise with `placement.standby`, and ship it records.

    Before a server that joins becomes the standby nothing more may become held at the old one: who takes over then
    would lack it. `frozen` is the server that is about to become standby, None while none is.
    """
    return frozen is None or placement.standby == frozen


def may_join(reconciled: bool, behind: Collection[str], frozen: bool, running: int) -> bool:
    """Return whether a server that joins may become the standby: all that the old one vouches for is there, too.

    It was merged and declared ready during this joining (what it remembers of an earlier one counts for nothing); the
    old standby is told nothing more, and no telling is under way; and who was told of it since is brought there.
    """
    return reconciled and frozen and not running and not behind


def needs_reconciling(me: str, placement: Placement, alive: Collection[str], declared: Declared | None) -> bool:
    """Return whether the home has to reconcile the group with its standby: nobody did in this epoch, or not wholly."""
    if placement.home != me or placement.standby not in alive:
        return False
    return declared is None or not declared_by(declared, me, placement.epoch) or bool(declared.without)


def accepts(me: str, placement: Placement | None, home: str, epoch: int, prepared: int) -> bool:
    """Return whether a standby takes a ledger, a merge or a declaration from a server that says it is home in an epoch.

    `prepared` is the newest epoch in which this server made itself ready to be home of the group (0: never): from
    then on nothing of an older home is taken, even while the map here still names it.
    """
    return (
        placement is not None
        and me in placement.receiving
        and placement.home == home != me
        and placement.epoch == epoch > prepared
    )


def reconciled(me: str, user: str, placement: Placement | None, declared: Declared | None, prepared: int) -> bool:
    """Return whether this server, a standby or one that joins, has what the home has of a mailbox since its merge."""
    return (
        placement is not None
        and accepts(me, placement, placement.home, placement.epoch, prepared)
        and declared is not None
        and declared_by(declared, placement.home, placement.epoch)
        and user not in declared.without
    )


def vouches(me: str, user: str, placement: Placement | None, declared: Declared | None, prepared: int) -> bool:
    """Return whether a standby may say of an id in its ledger that home and standby hold what became of the message.

    A server that joins may not: it does not take over.
    """
    return placement is not None and placement.standby == me and reconciled(me, user, placement, declared, prepared)


def surviving_ids(home: Iterable[Message], first_uids: Mapping[str, int]) -> frozenset[str]:
    """Return the ids of messages that the home keeps in a synchronisation both ways, whatever the standby expunged.

    `first_uids` says with which UID each folder (by GUID) began when this server became home: the standby may have
    had what is older, and the user may have moved or deleted it there, which the synchronisation will carry.
    """
    return frozenset(m.ingest_id for m in home if m.ingest_id and m.uid >= first_uids.get(m.mailbox, 0))


def home_has(ingest_id: str, surviving: Collection[str], listed: Collection[str], recorded: bool) -> bool:
    """Return whether the home has a message by replay: it keeps one with the id, or its user has deleted it.

    `listed` are the ids of all its messages, `recorded` says whether its ledger has this one. If all that it has is
    older than its time as home, then what the standby has is the user's move, under a new GUID.
    """
    return ingest_id in surviving or (recorded and ingest_id not in listed)


def repeated(own: Iterable[Message], home_guids: Collection[str], home_has: Callable[[str], bool]) -> list[Message]:
    """Return the messages of a returned standby that must go before it is synchronised: the home has them by replay.

    These are messages that the home does not know, of ids that it has (in a mailbox, or delivered by its ledger). A
    message of an id that the home never had stays, and comes to the home by the synchronisation.
    """
    return [m for m in own if m.ingest_id and m.guid not in home_guids and home_has(m.ingest_id)]


def crossed(taken: Iterable[Message], home_now: Iterable[Message]) -> list[Message]:
    """Return the messages to expunge at the home because a replay delivered their id while they were taken over.

    `taken` are messages of the standby that the home did not have when it looked; `home_now` is what it has after the
    synchronisation. Only a message that the home has under another GUID as well goes.
    """
    taken_guids = {m.guid for m in taken if m.ingest_id}
    own_ids = {m.ingest_id for m in home_now if m.ingest_id and m.guid not in taken_guids}
    return [m for m in home_now if m.guid in taken_guids and m.ingest_id in own_ids]


def adopted_ids(taken: Iterable[Message], kept: Iterable[Message], home_now: Iterable[Message]) -> frozenset[str]:
    """Return the ids that the home records as delivered after a merge's exchange.

    `taken` are what this exchange brought; the standby may have died before it recorded them itself. `kept` are what
    an interrupted merge was to bring: they count if they are there.
    """
    there = {m.guid for m in home_now}
    found = [*taken, *(m for m in kept if m.guid in there)]
    return frozenset(m.ingest_id for m in found if m.ingest_id)


def removed_folders(home: Mapping[str, str], standby: Mapping[str, str]) -> list[str]:
    """Return the folders (name to GUID) of a standby that is ready which the home has no longer, children first.

    One that was removed and made again has another GUID; by its name alone a synchronisation would join the two.
    """
    known = set(home.values())
    return sorted((name for name, guid in standby.items() if guid not in known and name != INBOX), reverse=True)


def raised(uid_next: int, highest_modseq: int) -> tuple[int, int]:
    """Return the next UID and the modification sequence with which a folder begins at its new home."""
    return min(uid_next + UID_GAP, MAX_UID), min(highest_modseq + MODSEQ_GAP, MAX_MODSEQ)


def moved_away(me: str, before: PlacementMap, after: PlacementMap) -> frozenset[int]:
    """Return the groups that had their home here and have it no longer: their users' sessions must end."""
    return frozenset(n for n, p in before.items() if p.home == me and (n not in after or after[n].home != me))


def homes(me: str, placements: PlacementMap) -> dict[int, Placement]:
    """Return the groups that have their home here."""
    return {number: p for number, p in placements.items() if p.home == me}


def due_without(declared: Declared | None, me: str, placement: Placement, users: Collection[str]) -> frozenset[str]:
    """Return which users of a group have to be reconciled: all, or those that failed in this epoch."""
    if declared is None or not declared_by(declared, me, placement.epoch):
        return frozenset(users)
    return declared.without & frozenset(users)


def differing(home: Mapping[str, str], standby: Mapping[str, str]) -> list[str]:
    """Return the parts of a mailbox (folders, subscriptions, Sieve scripts) whose digests differ, sorted."""
    return sorted(part for part in home.keys() | standby.keys() if home.get(part) != standby.get(part))
