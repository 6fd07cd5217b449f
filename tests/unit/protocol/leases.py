"""Leases, fences, take-over, and the crashes and cuts that cause them."""

from collections.abc import Iterator

from tests.unit.protocol.decisions import Rules
from tests.unit.protocol.explorer import Step
from tests.unit.protocol.state import (
    DELETED,
    FREE,
    GONE,
    HAS,
    NAMES,
    NEW,
    UNSURE,
    WITNESS,
    A,
    B,
    State,
    change,
    change_message,
    home_of,
    listed,
    mail_servers,
    spend,
    standby_of,
    with_instances,
)
from tests.unit.protocol.syncing import ended

Moves = Iterator[tuple[Step, State]]


def moves(state: State, rules: Rules) -> Moves:
    """Yield what agents do, what time does, and crashes."""
    for s in mail_servers(state):
        here = state.servers[s]
        if here.up and not here.cut:
            yield from _agent(state, rules, s)
        yield from _time(state, rules, s)
        if here.up and not here.cut and state.budget.cut:
            yield (
                Step(f"the agent of {NAMES[s]} is paused or cut off from etcd", False),
                change(spend(state, "cut"), s, cut=True),
            )
        elif here.cut:
            yield Step(f"the agent of {NAMES[s]} goes on", True), change(state, s, cut=False)
    for s, here in enumerate(state.servers):
        if here.up and state.budget.crash:
            yield Step(f"{NAMES[s]} crashes", False), _crashed(spend(state, "crash"), rules, s)
        if here.up and s != WITNESS and state.budget.lose and _sound(state):
            yield Step(f"{NAMES[s]} and its disk are lost", False), _lost(spend(state, "lose"), rules, s)
        if not here.up and not here.lost:
            yield Step(f"{NAMES[s]} starts", True), change(state, s, up=True)


def _agent(state: State, rules: Rules, s: int) -> Moves:
    here, alive = state.servers[s], bool(state.alive >> s & 1)
    if not alive:
        after = state._replace(alive=state.alive | 1 << s)
        if rules.may_open(True, False):
            after = change(after, s, fence=True)
        yield Step(f"{NAMES[s]} has a lease", True), after
    elif here.epoch != state.epoch or not here.fence:
        after = change(state, s, epoch=state.epoch, fence=rules.may_open(True, True), here=_stays(state, s))
        yield Step(f"{NAMES[s]} reads the map (epoch {state.epoch}), its fence opens", True), after
    if s in (A, B) and here.epoch == state.epoch and home_of(here.epoch) == s and not here.here:
        yield from _prepare(state, rules, s)
    if s in (A, B) and rules.may_flip(s, here.epoch, state.epoch, state.alive, here.merging):
        after = state._replace(epoch=state.epoch + 1)
        for m, message in enumerate(state.messages):
            if message.wish == DELETED:
                after = change_message(after, m, wish=FREE)
        yield Step(f"{NAMES[s]} takes over: epoch {after.epoch}", True), after


def _stays(state: State, s: int) -> bool:
    return state.servers[s].here and state.servers[s].epoch == state.epoch


def _prepare(state: State, rules: Rules, s: int) -> Moves:
    """From now on older homes are refused; then the group is prepared, and the files say that it lives here."""
    here = state.servers[s]
    if here.prepared != here.epoch:
        after = change(state, s, prepared=here.epoch)
        if rules.ends_sessions:
            after = ended(after, 1 - s)
        yield Step(f"{NAMES[s]} refuses homes before epoch {here.epoch}", True), after
    elif rules.serves(s, here.epoch, here.prepared):
        ledger = here.ledger | listed(state, s) if rules.heals else here.ledger
        after = change(state, s, here=True, ledger=ledger)
        yield Step(f"{NAMES[s]} is prepared as home of epoch {here.epoch}", True), after


def _time(state: State, rules: Rules, s: int) -> Moves:
    here = state.servers[s]
    if here.cut and here.fence:
        yield Step(f"the fence of {NAMES[s]} closes", True), change(state, s, fence=False)
    if state.alive >> s & 1 and (not here.up or (here.cut and rules.may_expire(here.fence))):
        yield Step(f"the lease of {NAMES[s]} runs out", True), state._replace(alive=state.alive & ~(1 << s))


def _crashed(state: State, rules: Rules, s: int) -> State:
    here = state.servers[s].here and not rules.heals
    after = change(state, s, up=False, cut=False, fence=False, started=0, saved=0, deferred=0, here=here)
    copies = frozenset(c._replace(since=0) if c.place == s else c for c in after.copies)
    after = after._replace(copies=copies)
    for home in (A, B):
        if s in (A, B) and after.sessions[home] is not None:
            after = ended(after, home, remembers=rules.remembers_taken)
    for m, message in enumerate(after.messages):
        if message.smtp is not None and message.smtp.origin == s:
            client = UNSURE if message.smtp.queued else NEW
            after = change_message(after, m, smtp=None, client=client)
    return after


def _lost(state: State, rules: Rules, s: int) -> State:
    after = _crashed(state, rules, s)
    after = change(after, s, lost=True, queue=0, ledger=0, ready=0)
    after = after._replace(copies=frozenset(c for c in after.copies if c.place != s))
    if s in (A, B):
        for m, message in enumerate(after.messages):
            after = with_instances(after, m, [i & ~(HAS[s] | GONE[s]) for i in message.instances])
    return after


def _sound(state: State) -> bool:
    """Return whether no other failure is outstanding."""
    standby = state.servers[standby_of(state.epoch)]
    return all(s.up for s in state.servers) and standby.ready == state.epoch
