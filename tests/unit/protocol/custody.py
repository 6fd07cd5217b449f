"""The custodians: who answers for a copy, when it goes, and when its message is handed in again."""

from collections.abc import Iterator

from tests.unit.protocol.decisions import Held, Rules
from tests.unit.protocol.explorer import Step
from tests.unit.protocol.state import NAMES, Copy, State, W, change, home_of, mail_servers, serves, spend, standby_of

Moves = Iterator[tuple[Step, State]]


def moves(state: State, rules: Rules) -> Moves:
    """Yield what the custodians may do next."""
    for copy in state.copies:
        holder = state.servers[copy.place]
        if not holder.up or not _responsible(state, rules, copy) or _accepting(state, copy):
            continue
        if _done(state, rules, copy):
            yield from _drop(state, rules, copy)
        elif copy.place == W:
            yield from _pass_on(state, copy)
        else:
            yield from _hand_in(state, copy)


def _responsible(state: State, rules: Rules, copy: Copy) -> bool:
    if copy.place == copy.origin or (copy.adopted and rules.adopts):
        return True
    if not state.alive >> copy.origin & 1:
        return not state.servers[copy.place].cut
    return rules.asks_origin and state.servers[copy.origin].up and copy._replace(place=copy.origin) not in state.copies


def _accepting(state: State, copy: Copy) -> bool:
    """Return whether the message of a copy is still being accepted; a custodian would only make a repeat of it."""
    smtp = state.messages[copy.message].smtp
    return smtp is not None and smtp.origin == copy.origin


def _epoch(state: State, copy: Copy) -> int:
    """Return the epoch of the holder's map; the witness reads etcd."""
    return state.epoch if copy.place == W else state.servers[copy.place].epoch


def _done(state: State, rules: Rules, copy: Copy) -> bool:
    asked, bit = _epoch(state, copy), 1 << copy.message
    there = state.servers[home_of(asked) if rules.asks_home_only else standby_of(asked)]
    if rules.asks_home_only:
        return there.up and bool(there.ledger & bit)
    return there.up and rules.held(Held(asked, there.epoch, there.ready, bool(there.ledger & bit)))


def _drop(state: State, rules: Rules, copy: Copy) -> Moves:
    remote = copy._replace(place=copy.holder)
    own = copy.place != copy.origin or copy.adopted or remote not in state.copies or rules.drops_own_first
    if own:
        yield _without(state, copy)
    elif state.servers[copy.holder].up:
        yield _without(state, remote)


def _without(state: State, copy: Copy) -> tuple[Step, State]:
    words = f"{NAMES[copy.place]} drops its copy of m{copy.message}"
    return Step(words, True), state._replace(copies=state.copies - {copy})


def _pass_on(state: State, copy: Copy) -> Moves:
    """Hand a copy of the witness, whose origin is dead, to a living mail server."""
    if any(c.adopted and c[:2] == copy[:2] for c in state.copies):
        yield _without(state, copy)
        return
    for s in mail_servers(state):
        if state.servers[s].up and state.alive >> s & 1:
            adopted = Copy(copy.message, copy.origin, s, s, adopted=True)
            words = f"the witness hands its copy of m{copy.message} to {NAMES[s]}"
            yield Step(words, True), state._replace(copies=state.copies | {adopted})


def _hand_in(state: State, copy: Copy) -> Moves:
    bit, s = 1 << copy.message, copy.place
    here = state.servers[s]
    if here.queue & bit:
        return
    after = change(state, s, queue=here.queue | bit)
    words = f"{NAMES[s]} hands in m{copy.message} again from its copy"
    under_way = any(x.up and (x.queue | x.started) & bit for x in state.servers)
    home = home_of(state.epoch)
    known = serves(state, home) and state.servers[home].ledger & bit
    if not under_way and not known:
        yield Step(words, True), after
    elif state.budget.repeat:
        yield Step(f"{words}, without need", False), spend(after, "repeat")
