"""Synchronisation from the home to the standby, the ledger's records after it, and the merge of a returned server."""

from collections.abc import Iterator

from tests.unit.protocol import merging
from tests.unit.protocol.decisions import Rules
from tests.unit.protocol.explorer import Step
from tests.unit.protocol.merging import two_way
from tests.unit.protocol.state import (
    DELETED,
    HAS,
    NAMES,
    SETTLED,
    TAKEN,
    A,
    B,
    Session,
    State,
    change,
    change_message,
    home_of,
    with_instances,
    with_session,
)

Moves = Iterator[tuple[Step, State]]


def moves(state: State, rules: Rules) -> Moves:
    """Yield what the synchronisation of the group may do next."""
    for home in (A, B):
        session = state.sessions[home]
        if not (state.servers[home].up and state.servers[1 - home].up):
            continue
        if session is None:
            yield from _begin(state, rules, home)
        elif session.kind == "sync":
            yield from _sync(state, rules, home, session)
        else:
            yield from _merge(state, rules, home, session)


def _begin(state: State, rules: Rules, home: int) -> Moves:
    here, there = state.servers[home], state.servers[1 - home]
    # Dovecot's listener for the home is fenced, and lets in users whose standby this server is by its own files.
    if not here.here or not there.fence or home_of(there.epoch) != home:
        return
    if not rules.under_lease(here.fence):
        return
    if rules.may_synchronise(home, here.epoch, there.ready):
        if _differ(state) or here.ledger & ~there.ledger:
            session = Session("sync", here.epoch, "begun", here.ledger, _deletions(state))
            words = f"{NAMES[home]} begins to synchronise with {NAMES[1 - home]}, having read its ledger"
            yield Step(words, True), with_session(state, home, session)
            if rules.ships == "without sync":
                yield Step("the ledger is shipped", True), change(state, 1 - home, ledger=there.ledger | here.ledger)
    elif (
        rules.needs_merge(home, here.epoch, there.ready)
        and rules.accepts(1 - home, there.epoch, home, here.epoch, there.prepared)
        and not (there.started and rules.waits_for_deliveries)
    ):
        after = change(state, 1 - home, merging=True)
        session = Session("merge", here.epoch, "begun", 0, 0)
        yield Step(f"{NAMES[home]} begins to merge {NAMES[1 - home]}", True), with_session(after, home, session)


def _sync(state: State, rules: Rules, home: int, session: Session) -> Moves:
    if session.stage == "begun":
        after = with_session(two_way(state), home, session._replace(stage="done"))
        yield Step(f"{NAMES[home]} and {NAMES[1 - home]} are synchronised both ways", True), after
        return
    after = with_session(state, home, None)
    here, there = state.servers[home], state.servers[1 - home]
    if rules.accepts(1 - home, there.epoch, home, session.epoch, there.prepared) and rules.ships != "never":
        records = here.ledger if rules.ships == "read after" else session.ledger
        after = change(after, 1 - home, ledger=there.ledger | records)
        for m, message in enumerate(after.messages):
            if session.deleted >> m & 1 and message.wish == DELETED:
                after = change_message(after, m, wish=SETTLED)
    yield Step(f"{NAMES[home]} ships the records to the ledger of {NAMES[1 - home]}", True), after


def _merge(state: State, rules: Rules, home: int, session: Session) -> Moves:
    standby = 1 - home
    there = state.servers[standby]
    if not rules.accepts(standby, there.epoch, home, session.epoch, there.prepared):
        yield Step(f"the merge of {NAMES[standby]} ends: another epoch", True), ended(state, home)
    elif rules.merge == "backup":
        yield from merging.backup(state, rules, home, session)
    else:
        yield from merging.both_ways(state, rules, home, session)


def ended(state: State, home: int, *, remembers: bool = False) -> State:
    """Return the state without the session of a home, which may remember on disk what a merge was taking over."""
    if remembers:
        return with_session(state, home, None)
    for m, message in enumerate(state.messages):
        if any(i & TAKEN for i in message.instances):
            state = with_instances(state, m, [i & ~TAKEN for i in message.instances])
    return with_session(state, home, None)


def _differ(state: State) -> bool:
    both = HAS[A] | HAS[B]
    return any(i & both != both for message in state.messages for i in message.instances)


def _deletions(state: State) -> int:
    return sum(1 << m for m, message in enumerate(state.messages) if message.wish == DELETED)
