"""The outside sender and SMTP: copies, the queue's fsync, 250; and what the sender does without an answer."""

from collections.abc import Iterator

from tests.unit.protocol.decisions import Rules
from tests.unit.protocol.explorer import Step
from tests.unit.protocol.state import (
    ACKED,
    NAMES,
    NEW,
    UNSURE,
    Copy,
    Smtp,
    State,
    change,
    change_message,
    mail_servers,
    spend,
)

Moves = Iterator[tuple[Step, State]]


def moves(state: State, rules: Rules) -> Moves:
    """Yield what the sender and the accepting servers may do next."""
    for m, message in enumerate(state.messages):
        if message.smtp is not None:
            yield from _transaction(state, rules, m, message.smtp)
        elif message.client == NEW or (message.client == UNSURE and state.budget.retry):
            base = state if message.client == NEW else spend(state, "retry")
            for origin in mail_servers(state):
                if state.servers[origin].up:
                    yield from _begin(base, rules, m, origin)


def _begin(state: State, rules: Rules, m: int, origin: int) -> Moves:
    alive = None if state.servers[origin].cut else state.alive
    holders = [h for h in rules.holders(origin, alive, len(state.servers)) if state.servers[h].up]
    used = {copy.number for copy in state.copies if copy.message == m}
    number = next(n for n in range(len(used) + 1) if n not in used)
    for choice, holder in enumerate(holders[: 1 + (state.budget.lost > 0)]):
        after = spend(state, "lost") if choice else state
        words = f"the sender brings m{m} to {NAMES[origin]}; the remote copy shall be at {NAMES[holder]}"
        yield Step(words, False), change_message(after, m, smtp=Smtp(number, origin, holder))


def _transaction(state: State, rules: Rules, m: int, smtp: Smtp) -> Moves:
    o, h = smtp.origin, smtp.holder
    if not smtp.local:
        yield _store(state, m, smtp, o)
    if not smtp.remote:
        if state.servers[h].up:
            yield _store(state, m, smtp, h)
        else:
            after = change_message(state, m, smtp=None, client=UNSURE)
            yield Step(f"{NAMES[o]} answers 451 for m{m}", True), after
    if not smtp.queued and rules.may_accept(smtp.local, smtp.remote):
        after = change(state, o, queue=state.servers[o].queue | 1 << m)
        after = change_message(after, m, smtp=smtp._replace(queued=True))
        yield Step(f"{NAMES[o]} has m{m} in its queue, fsynced", True), after
    if smtp.queued:
        yield Step(f"{NAMES[o]} answers 250 for m{m}", True), change_message(state, m, smtp=None, client=ACKED)
        if state.budget.death:
            after = change_message(spend(state, "death"), m, smtp=None, client=UNSURE)
            yield Step(f"cleanup or smtpd dies at {NAMES[o]}: m{m} is queued, its sender gets an error", False), after


def _store(state: State, m: int, smtp: Smtp, place: int) -> tuple[Step, State]:
    since = state.servers[place].epoch if place == smtp.origin else 0
    copies = state.copies | {Copy(m, smtp.number, smtp.origin, smtp.holder, place, since)}
    done = smtp._replace(**{"local" if place == smtp.origin else "remote": True})
    after = change_message(state._replace(copies=copies), m, smtp=done)
    return Step(f"a copy of m{m} is on disk at {NAMES[place]}", True), after
