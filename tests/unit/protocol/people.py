"""The user at the home: deletes a message, or moves it to another folder.

Nothing is promised for a deletion that crosses a delivery or a merge of the same message: see `_crosses`.
"""

from collections.abc import Iterator

from tests.unit.protocol.explorer import Step
from tests.unit.protocol.state import (
    DELETED,
    FREE,
    GONE,
    HAS,
    NAMES,
    TAKEN,
    A,
    B,
    State,
    change_message,
    listed,
    serves,
    spend,
    with_instances,
)


def moves(state: State) -> Iterator[tuple[Step, State]]:
    """Yield what the user may do next."""
    if not (state.budget.delete or state.budget.move):
        return
    for home in (A, B):
        if not serves(state, home):
            continue
        for m, message in enumerate(state.messages):
            for n, i in enumerate(message.instances):
                if i & HAS[home]:
                    yield from _act(state, home, m, n)


def _act(state: State, home: int, m: int, n: int) -> Iterator[tuple[Step, State]]:
    instances = list(state.messages[m].instances)
    taken = instances[n] & TAKEN  # a move keeps the GUID
    instances[n] = instances[n] & ~HAS[home] | GONE[home]
    if state.budget.delete:
        after = with_instances(spend(state, "delete"), m, instances)
        if not listed(after, home) >> m & 1:
            after = change_message(after, m, wish=FREE if _crosses(state, home, m) else DELETED)
        yield Step(f"the user deletes m{m} at {NAMES[home]}", False), after
    if state.budget.move:
        after = with_instances(spend(state, "move"), m, [*instances, HAS[home] | taken])
        yield Step(f"the user moves m{m} to another folder at {NAMES[home]}", False), after


def _crosses(state: State, home: int, m: int) -> bool:
    """Return whether a delivery is between the mailbox's fsync and the ledger's, or the message is being merged."""
    here, merge = state.servers[home], state.sessions[home]
    taken = any(i & TAKEN for i in state.messages[m].instances)
    merging = merge is not None and merge.kind == "merge" and bool(taken or here.started >> m & 1)
    return bool(here.saved >> m & 1) or merging
