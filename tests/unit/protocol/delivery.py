"""Postfix's queues, the hand-over to the home, and LMTP: repeats are discarded, saved, then marked in the ledger."""

from collections.abc import Iterator

from tests.unit.protocol.decisions import Rules
from tests.unit.protocol.explorer import Step
from tests.unit.protocol.state import (
    HAS,
    NAMES,
    State,
    change,
    home_of,
    listed,
    mail_servers,
    serves,
    spend,
    with_instances,
)

Moves = Iterator[tuple[Step, State]]


def moves(state: State, rules: Rules) -> Moves:
    """Yield what queues and deliveries may do next."""
    for s in mail_servers(state):
        here = state.servers[s]
        if not here.up:
            continue
        for m in range(len(state.messages)):
            bit = 1 << m
            if here.queue & bit and not (here.started | here.deferred) & bit:
                yield from _from_queue(state, rules, s, m)
            if here.started & bit:
                yield from _delivery(state, s, m)
        if here.deferred and rules.heals:
            after = change(state, s, ledger=here.ledger | listed(state, s), deferred=0)
            yield Step(f"{NAMES[s]} writes what its mailbox lists into its ledger, before the retry", True), after
        elif here.deferred:
            yield Step(f"Postfix at {NAMES[s]} tries again", True), change(state, s, deferred=0)


def _from_queue(state: State, rules: Rules, s: int, m: int) -> Moves:
    here, bit = state.servers[s], 1 << m
    home = home_of(here.epoch)
    if home != s:
        there = state.servers[home]
        if there.up and there.fence and home != s:
            after = change(state, home, queue=there.queue | bit)
            if state.budget.lost:
                words = f"{NAMES[s]} hands m{m} over to {NAMES[home]}; the answer is lost"
                yield Step(words, False), spend(after, "lost")
            after = change(after, s, queue=here.queue & ~bit)
            yield Step(f"{NAMES[s]} hands m{m} over to {NAMES[home]}", True), after
    elif serves(state, s):
        if rules.checks_ledger and here.ledger & bit:
            yield Step(f"{NAMES[s]} discards m{m}: a repeat", True), change(state, s, queue=here.queue & ~bit)
        else:
            yield Step(f"{NAMES[s]} delivers m{m}: past DATA", True), change(state, s, started=here.started | bit)


def _delivery(state: State, s: int, m: int) -> Moves:
    here, bit = state.servers[s], 1 << m
    if not here.saved & bit:
        after = with_instances(state, m, [*state.messages[m].instances, HAS[s]])
        yield Step(f"{NAMES[s]} has m{m} in the mailbox", True), change(after, s, saved=here.saved | bit)
    else:
        rest = {"started": here.started & ~bit, "saved": here.saved & ~bit}
        after = change(state, s, ledger=here.ledger | bit, **rest)
        if here.fence:
            done = change(after, s, queue=here.queue & ~bit)
            yield Step(f"{NAMES[s]} has m{m} in its ledger; the queue file goes", True), done
        if state.budget.lost or not here.fence:
            after = after if not here.fence else spend(after, "lost")
            words = f"{NAMES[s]} has m{m} in its ledger; Postfix does not get the answer"
            yield Step(words, not here.fence), after
    if state.budget.death:
        rest = {"started": here.started & ~bit, "saved": here.saved & ~bit, "deferred": here.deferred | bit}
        yield Step(f"lmtp dies at {NAMES[s]} while it delivers m{m}", False), change(spend(state, "death"), s, **rest)
