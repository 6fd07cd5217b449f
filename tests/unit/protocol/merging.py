"""What a home does with a standby that returned: what is doubled goes, the rest is exchanged, then it is READY."""

from collections.abc import Iterator
from functools import cache

from onedallmail.mailboxes.rules import Message as Mail
from onedallmail.mailboxes.rules import adopted_ids, crossed, home_has, repeated
from tests.unit.protocol.decisions import Rules
from tests.unit.protocol.explorer import Step
from tests.unit.protocol.state import GONE, HAS, NAMES, TAKEN, A, B, Session, State, change, listed, with_session
from tests.unit.protocol.state import with_instances as put

Moves = Iterator[tuple[Step, State]]


def both_ways(state: State, rules: Rules, home: int, session: Session) -> Moves:
    """Expunge doubles at the standby, synchronise both ways, take over its ledger, expunge what crossed, READY."""
    standby = 1 - home
    here, there = state.servers[home], state.servers[standby]
    if session.stage == "begun":
        after = with_session(_expunged(state, rules, home), home, session._replace(stage="single", ledger=here.ledger))
        yield Step(f"{NAMES[standby]} expunges what {NAMES[home]} has by replay", True), after
    elif session.stage == "single":
        after = with_session(two_way(state), home, session._replace(stage="exchanged"))
        yield Step(f"{NAMES[home]} and {NAMES[standby]} are merged both ways", True), after
    elif session.stage == "exchanged":
        after = with_session(_crossed(state, home), home, session._replace(stage="adopted"))
        after = change(after, home, ledger=here.ledger | there.ledger | _adopted(state, home))
        yield Step(f"{NAMES[home]} takes over the ledger of {NAMES[standby]}, and the ids of its messages", True), after
    elif session.stage == "adopted" and not (here.started and rules.waits_for_deliveries):
        after = with_session(_crossed(state, home), home, session._replace(stage="done"))
        yield Step(f"{NAMES[home]} looks once more for what crossed", True), after
    elif session.stage == "done":
        yield _ready(state, home, session)


def backup(state: State, rules: Rules, home: int, session: Session) -> Moves:
    """Hand in again what the home does not know, then make the standby equal to the home, READY."""
    standby = 1 - home
    here, there = state.servers[home], state.servers[standby]
    if session.stage == "begun":
        unknown = _strays(state, home) & ~(here.ledger | listed(state, home))
        if not unknown or not rules.hands_in_strays:
            after = with_session(_reverted(state, standby), home, session._replace(stage="single", ledger=here.ledger))
            yield Step(f"{NAMES[standby]} gives up all that is its own", True), after
        for m in range(len(state.messages)):
            queued = any(s.up and (s.queue | s.started) >> m & 1 for s in state.servers)
            if unknown >> m & 1 and not queued and rules.hands_in_strays:
                after = change(state, standby, queue=there.queue | 1 << m)
                yield Step(f"{NAMES[standby]} hands in m{m} again, which {NAMES[home]} does not know", True), after
    elif session.stage == "single":
        after = with_session(_mirrored(state, home), home, session._replace(stage="done"))
        yield Step(f"{NAMES[standby]} has what {NAMES[home]} has", True), after
    elif session.stage == "done":
        yield _ready(state, home, session)


def _ready(state: State, home: int, session: Session) -> tuple[Step, State]:
    standby = 1 - home
    ledger = state.servers[standby].ledger | session.ledger
    for m, message in enumerate(state.messages):
        state = put(state, m, [i & ~TAKEN for i in message.instances])
    after = change(with_session(state, home, None), standby, ledger=ledger, ready=session.epoch, merging=False)
    return Step(f"{NAMES[standby]} has the whole ledger and is READY for epoch {session.epoch}", True), after


def two_way(state: State) -> State:
    """Return the state after `doveadm sync -f`: what one side has and the other never had, or expunged."""
    for m, message in enumerate(state.messages):
        exchanged = [0 if i & (GONE[A] | GONE[B]) else i | HAS[A] | HAS[B] for i in message.instances]
        state = put(state, m, exchanged)
    return state


def _expunged(state: State, rules: Rules, home: int) -> State:
    for m, message in enumerate(state.messages):
        recorded = bool(state.servers[home].ledger >> m & 1)
        after = _single(message.instances, home, recorded, rules.merge == "survivors")
        there = state.servers[1 - home]
        if rules.unmarks and any(i & ~j & HAS[1 - home] for i, j in zip(message.instances, after, strict=True)):
            state = change(state, 1 - home, ledger=there.ledger & ~(1 << m))
        state = put(state, m, after)
    return state


@cache
def _single(instances: tuple[int, ...], home: int, recorded: bool, survivors: bool) -> list[int]:
    """Return a message's instances after the standby expunged repeats, the other strays marked as taken over.

    With `survivors` the home counts only instances that the standby has not expunged: the others the exchange expunges.
    """
    standby = 1 - home
    own = [_mail(n) for n, i in enumerate(instances) if i & HAS[standby]]
    listed_here = [i for i in instances if i & HAS[home]]
    kept = ["id" for i in listed_here if not i & GONE[standby]]
    has = home_has("id", kept, ["id" for _ in listed_here], recorded) if survivors else bool(listed_here) or recorded
    guids = [_mail(n).guid for n, i in enumerate(instances) if i & HAS[home]]
    gone = {mail.guid for mail in repeated(own, guids, lambda _: has)}
    after = []
    for n, i in enumerate(instances):
        if _mail(n).guid in gone:
            after.append(i & ~HAS[standby])
        else:
            after.append(i | TAKEN if i & HAS[standby] and not i & HAS[home] else i)
    return after


def _crossed(state: State, home: int) -> State:
    for m, message in enumerate(state.messages):
        state = put(state, m, _uncrossed(message.instances, home))
    return state


@cache
def _uncrossed(instances: tuple[int, ...], home: int) -> list[int]:
    taken = [_mail(n) for n, i in enumerate(instances) if i & TAKEN]
    gone = {mail.guid for mail in crossed(taken, [_mail(n) for n, i in enumerate(instances) if i & HAS[home]])}
    return [i & ~HAS[home] | GONE[home] if _mail(n).guid in gone else i for n, i in enumerate(instances)]


def _adopted(state: State, home: int) -> int:
    """Return the messages whose ids the home records, for it has what the merge brought."""
    found = 0
    for m, message in enumerate(state.messages):
        taken = [_mail(n) for n, i in enumerate(message.instances) if i & TAKEN]
        now = [_mail(n) for n, i in enumerate(message.instances) if i & HAS[home]]
        found |= bool(adopted_ids([], taken, now)) << m
    return found


def _mail(number: int) -> Mail:
    return Mail(mailbox="folder", guid=f"g{number}", ingest_id="id")


def _reverted(state: State, standby: int) -> State:
    """A backup may delete whole folders of the standby on its way."""
    for m, message in enumerate(state.messages):
        state = put(state, m, [i & ~(HAS[standby] | GONE[standby]) for i in message.instances])
    return state


def _mirrored(state: State, home: int) -> State:
    for m, message in enumerate(state.messages):
        here = [i & (HAS[home] | GONE[home]) for i in message.instances]
        state = put(state, m, [i | HAS[1 - home] if i & HAS[home] else i for i in here])
    return state


def _strays(state: State, home: int) -> int:
    """Return the messages with an instance at the standby that the home does not hold."""
    there, here = HAS[1 - home], HAS[home]
    return sum(1 << m for m, x in enumerate(state.messages) if any(i & there and not i & here for i in x.instances))
