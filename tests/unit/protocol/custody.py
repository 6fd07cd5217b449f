"""The custodians: who answers for a copy, when it goes, and when its message is handed in again."""

from collections.abc import Iterator
from math import inf

from onedallmail.copies.rules import Duty, Facts, Held, Word
from onedallmail.copies.rules import Step as Next
from tests.unit.protocol.decisions import Asked, Rules
from tests.unit.protocol.explorer import Step
from tests.unit.protocol.state import (
    NAMES,
    WITNESS,
    Copy,
    State,
    change,
    home_of,
    mail_servers,
    serves,
    spend,
    standby_of,
)

Moves = Iterator[tuple[Step, State]]


def moves(state: State, rules: Rules) -> Moves:
    """Yield what the custodians may do next."""
    for copy in state.copies:
        if not state.servers[copy.place].up or _accepting(state, copy):
            continue
        alive = None if state.servers[copy.place].cut else state.alive
        duty = rules.duty(copy.place, copy.origin, alive, _word(state, copy))
        if duty is Duty.CARE:
            yield from _care(state, rules, copy)
        elif duty is Duty.HAND_OVER:
            yield from _pass_on(state, copy)
        elif duty is Duty.DROP:
            words = f"{NAMES[copy.place]} drops a copy of m{copy.message} that its origin no longer has"
            yield Step(words, True), state._replace(copies=state.copies - {copy})


def _accepting(state: State, copy: Copy) -> bool:
    """Return whether the message of a copy is still being accepted: too young to be asked about or handed in."""
    smtp = state.messages[copy.message].smtp
    return smtp is not None and (smtp.number, smtp.origin) == (copy.number, copy.origin)


def _word(state: State, copy: Copy) -> Word:
    if copy.place == copy.origin or not state.servers[copy.origin].up:
        return Word.UNASKED
    known = any(c[:3] == copy[:3] and c.place == copy.origin for c in state.copies)
    return Word.HOLDS if known else Word.FORGOT


def _facts(state: State, rules: Rules, copy: Copy) -> Facts:
    here = state.servers[copy.place]
    standby = standby_of(here.epoch)
    there, own = state.servers[standby], copy.place == copy.origin
    held = Held.UNKNOWN
    if there.up and rules.vouches(Asked(standby, here.epoch, there.epoch, there.ready, there.prepared)):
        held = Held.YES if there.ledger >> copy.message & 1 else Held.NO
    tried = copy.tried == here.epoch
    return Facts(
        mailbox=True,
        taken_over=own or copy.tried > 0,
        queued=bool(here.queue >> copy.message & 1),
        held=held,
        attempts=int(tried),
        accepted=tried,
        same_home=own and copy.since == here.epoch,
        since_s=inf,
    )


def _care(state: State, rules: Rules, copy: Copy) -> Moves:
    step = rules.step(_facts(state, rules, copy))
    if step is Next.DONE:
        yield _without(state, copy)
        others = [c for c in state.copies if c[:3] == copy[:3] and c.place == copy.holder != copy.place]
        for other in others:
            if copy.place == copy.origin and state.servers[other.place].up:
                yield _without(state, other)
    elif step is Next.REINJECT:
        yield from _hand_in(state, copy)


def _without(state: State, copy: Copy) -> tuple[Step, State]:
    words = f"{NAMES[copy.place]} drops its copy of m{copy.message}"
    return Step(words, True), state._replace(copies=state.copies - {copy})


def _pass_on(state: State, copy: Copy) -> Moves:
    """Hand a copy of the witness, whose origin is dead, to a living mail server."""
    if any(c[:3] == copy[:3] and c.place not in (WITNESS, c.origin) for c in state.copies):
        words = f"the witness drops a copy of m{copy.message} that it has handed over"
        yield Step(words, True), state._replace(copies=state.copies - {copy})
        return
    for s in mail_servers(state):
        if state.servers[s].up and state.alive >> s & 1 and s != copy.origin:
            adopted = copy._replace(holder=s, place=s)
            words = f"the witness hands its copy of m{copy.message} to {NAMES[s]}"
            yield Step(words, True), state._replace(copies=state.copies | {adopted})


def _hand_in(state: State, copy: Copy) -> Moves:
    """Re-inject. What is under way or known at the home already is only handed in within the budget."""
    bit, s = 1 << copy.message, copy.place
    here = state.servers[s]
    copies = state.copies - {copy} | {copy._replace(tried=here.epoch)}
    after = change(state, s, queue=here.queue | bit)._replace(copies=copies)
    words = f"{NAMES[s]} hands in m{copy.message} again from its copy"
    under_way = any(x.up and (x.queue | x.started) & bit for x in state.servers)
    home = home_of(state.epoch)
    if not under_way and not (serves(state, home) and state.servers[home].ledger & bit):
        yield Step(words, True), after
    elif state.budget.repeat:
        yield Step(f"{words}, without need", False), spend(after, "repeat")
