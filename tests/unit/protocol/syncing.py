"""Synchronisation from the home to the standby, the ledger's records after it, and the merge of a returned server."""

from collections.abc import Iterator

from tests.unit.protocol.decisions import Rules
from tests.unit.protocol.explorer import Step
from tests.unit.protocol.state import (
    DELETED,
    GONE,
    HAS,
    NAMES,
    SETTLED,
    A,
    B,
    Session,
    State,
    change,
    change_message,
    home_of,
    listed,
    serves,
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
    if home_of(here.epoch) != home or not here.here or not there.fence:
        return
    withdrawn = rules.ends_sessions or there.here
    if home_of(there.epoch) != home and withdrawn:
        return
    if there.ready == here.epoch:
        if _differ(state) or here.ledger & ~there.ledger:
            session = Session("sync", here.epoch, "begun", here.ledger, _deletions(state))
            words = f"{NAMES[home]} begins to synchronise with {NAMES[1 - home]}, having read its ledger"
            yield Step(words, True), with_session(state, home, session)
            if rules.ships == "without sync":
                yield Step("the ledger is shipped", True), change(state, 1 - home, ledger=there.ledger | here.ledger)
    elif there.epoch == here.epoch and serves(state, home) and (not there.started or not rules.waits_for_deliveries):
        after = change(state, 1 - home, merging=True)
        session = Session("merge", here.epoch, "begun", 0, 0)
        yield Step(f"{NAMES[home]} begins to merge {NAMES[1 - home]}", True), with_session(after, home, session)


def _sync(state: State, rules: Rules, home: int, session: Session) -> Moves:
    if session.stage == "begun":
        ledger = state.servers[home].ledger if rules.ships == "read after" else session.ledger
        after = with_session(two_way(state), home, session._replace(stage="done", ledger=ledger))
        yield Step(f"{NAMES[home]} and {NAMES[1 - home]} are synchronised both ways", True), after
        return
    after = with_session(state, home, None)
    there = state.servers[1 - home]
    if there.epoch == session.epoch and rules.ships != "never":
        after = change(after, 1 - home, ledger=there.ledger | session.ledger)
        for m, message in enumerate(after.messages):
            if session.deleted >> m & 1 and message.wish == DELETED:
                after = change_message(after, m, wish=SETTLED)
    yield Step(f"{NAMES[home]} ships the records to the ledger of {NAMES[1 - home]}", True), after


def _merge(state: State, rules: Rules, home: int, session: Session) -> Moves:
    standby = 1 - home
    here, there = state.servers[home], state.servers[standby]
    strays = _strays(state, home)
    unknown = strays & ~(here.ledger | listed(state, home))
    if session.stage == "begun" and unknown and rules.hands_in_strays:
        queues = _queued(state)
        for m in range(len(state.messages)):
            if unknown & ~queues & 1 << m:
                after = change(state, standby, queue=there.queue | 1 << m)
                yield Step(f"{NAMES[standby]} hands in m{m} again, which its home does not know", True), after
    elif session.stage == "begun":
        taken = session._replace(stage="cleared", ledger=here.ledger)
        after = with_session(_cleared(state, rules, home), home, taken)
        yield Step(f"{NAMES[standby]} gives up what is its own ({rules.merge})", True), after
    elif session.stage == "cleared":
        done = _mirrored(state, home) if rules.merge == "backup" else two_way(state)
        after = with_session(done, home, session._replace(stage="done"))
        yield Step(f"{NAMES[standby]} has what its home has ({rules.merge})", True), after
    elif there.epoch == session.epoch:
        ledger = there.ledger | session.ledger
        after = change(with_session(state, home, None), standby, ledger=ledger, ready=session.epoch, merging=False)
        yield Step(f"{NAMES[standby]} has the whole ledger and is READY for epoch {session.epoch}", True), after
    else:
        yield Step(f"the merge of {NAMES[standby]} ends: another epoch", True), with_session(state, home, None)


def two_way(state: State) -> State:
    """Return the state after a sync both ways: what one side has and the other never had or expunged."""
    for m, message in enumerate(state.messages):
        instances = []
        for i in message.instances:
            gone = i & (GONE[A] | GONE[B])
            instances.append(0 if gone else HAS[A] | HAS[B])
        state = with_instances(state, m, instances)
    return state


def _cleared(state: State, rules: Rules, home: int) -> State:
    """Take from the standby what the merge is rid of; a backup may delete whole folders on its way."""
    standby = 1 - home
    known = state.servers[home].ledger | listed(state, home)
    for m, message in enumerate(state.messages):
        instances = list(message.instances)
        for n, i in enumerate(instances):
            if rules.merge == "backup":
                instances[n] = i & ~(HAS[standby] | GONE[standby])
            elif rules.merge == "by id" and i & HAS[standby] and not i & HAS[home] and known >> m & 1:
                instances[n] = i & ~HAS[standby]
        state = with_instances(state, m, instances)
    return state


def _mirrored(state: State, home: int) -> State:
    for m, message in enumerate(state.messages):
        here = [i & (HAS[home] | GONE[home]) for i in message.instances]
        instances = [i | HAS[1 - home] if i & HAS[home] else i for i in here]
        state = with_instances(state, m, instances)
    return state


def _strays(state: State, home: int) -> int:
    """Return the messages with an instance at the standby that the home does not hold."""
    there, here = HAS[1 - home], HAS[home]
    return sum(1 << m for m, x in enumerate(state.messages) if any(i & there and not i & here for i in x.instances))


def _differ(state: State) -> bool:
    both = HAS[A] | HAS[B]
    return any(i & both != both for message in state.messages for i in message.instances)


def _deletions(state: State) -> int:
    return sum(1 << m for m, message in enumerate(state.messages) if message.wish == DELETED)


def _queued(state: State) -> int:
    queued = 0
    for server in state.servers:
        if server.up:
            queued |= server.queue | server.started
    return queued
