"""All that may happen next, from every part of the model."""

import gc
from collections.abc import Iterator

from tests.unit.protocol import acceptance, custody, delivery, leases, people, syncing
from tests.unit.protocol.decisions import Rules
from tests.unit.protocol.explorer import Explored, Step, explore
from tests.unit.protocol.invariants import judge, judge_quiet, judge_step
from tests.unit.protocol.state import ACKED, HAS, A, B, Budget, Copy, Message, Server, State


def successors(state: State, rules: Rules) -> Iterator[tuple[Step, State]]:
    """Yield every next step with the state after it."""
    yield from acceptance.moves(state, rules)
    yield from delivery.moves(state, rules)
    yield from leases.moves(state, rules)
    yield from syncing.moves(state, rules)
    yield from custody.moves(state, rules)
    yield from people.moves(state)


def healthy(budget: Budget, *, servers: int = 3, messages: int = 1, delivered: int = 0) -> State:
    """Return a platform in epoch 1: all up, the standby ready, the first messages delivered and synchronised."""
    known = (1 << delivered) - 1
    a = Server(here=True, ledger=known)
    b = Server(ledger=known, ready=1)
    old, new = Message(client=ACKED, instances=(HAS[A] | HAS[B],)), Message()
    return State(
        servers=(a, b, *(Server() for _ in range(servers - 2))),
        epoch=1,
        alive=0b1011 & (1 << servers) - 1,
        messages=(*(old for _ in range(delivered)), *(new for _ in range(messages - delivered))),
        copies=frozenset(),
        sessions=(None, None),
        budget=budget,
    )


def parted(budget: Budget, *, replayed: bool = True) -> State:
    """Return a platform after a take-over: A, down, had delivered a message; B has it by replay, or not yet."""
    state = healthy(budget)
    a = Server(up=False, fence=False, ledger=1)
    b = Server(epoch=2, here=True, ledger=int(replayed), ready=1, prepared=2)
    copies = frozenset({Copy(0, 0, A, B, A), Copy(0, 0, A, B, B, tried=2 if replayed else 0)})
    message = Message(client=ACKED, instances=(HAS[A], HAS[B]) if replayed else (HAS[A],))
    servers = (a, b, *state.servers[2:])
    return state._replace(servers=servers, epoch=2, alive=0b10, messages=(message,), copies=copies)


def run(first: State, rules: Rules, *, limit: int = 400_000) -> Explored[State]:
    """Visit every state that can follow. States have no cycles, and the collector would look at all of them often."""
    gc.disable()
    try:
        return explore(first, lambda state: successors(state, rules), judge, judge_quiet, judge_step, limit=limit)
    finally:
        gc.enable()
