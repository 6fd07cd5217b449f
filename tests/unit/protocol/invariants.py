"""What is promised, as judgements over states and steps."""

from tests.unit.protocol.explorer import Step
from tests.unit.protocol.state import (
    ACKED,
    DELETED,
    HAS,
    KEEP,
    SETTLED,
    A,
    B,
    State,
    home_of,
    listed,
    serves,
    standby_of,
)


def judge(state: State) -> str | None:
    """Return a promise that is broken in any state, if one is."""
    if serves(state, A) and serves(state, B):
        return "at most one server serves the mailbox"
    for m, message in enumerate(state.messages):
        for home in (A, B):
            if message.wish in (DELETED, SETTLED) and serves(state, home) and listed(state, home) >> m & 1:
                return f"m{m}, which the user deleted, does not come back"
        if message.client == ACKED and message.wish == KEEP:
            places = _places(state, m)
            if not places:
                return f"m{m}, acknowledged, is on a disk"
            if len(places) < 2 and _redundant(state):
                return f"m{m}, acknowledged, is on two disks while no failure is outstanding"
    return None


def judge_quiet(state: State) -> str | None:
    """Return a promise that is broken where everything is up and nothing is left to do, if one is."""
    home, standby = home_of(state.epoch), standby_of(state.epoch)
    for m, message in enumerate(state.messages):
        count = sum(1 for i in message.instances if i & HAS[home])
        if count > 1:
            return f"m{m} is not twice in the mailbox"
        if count == 0 and message.client == ACKED and message.wish == KEEP:
            return f"m{m}, acknowledged, is in the mailbox"
        if state.servers[standby].lost or state.servers[home].lost:
            continue
        both = HAS[A] | HAS[B]
        if any(i & both not in (0, both) for i in message.instances):
            return f"home and standby hold the same of m{m}"
    if state.copies and not any(s.lost for s in state.servers):
        return "no copy is left over"
    if any(s.queue or s.started for s in state.servers):
        return "no queue is left over"
    return None


def judge_step(state: State, step: Step, after: State) -> str | None:
    """Return the promise that a step breaks, if it does: a copy goes only when home and standby hold the message."""
    if not step.words.endswith(tuple(f"drops its copy of m{m}" for m in range(len(state.messages)))):
        return None
    for copy in state.copies - after.copies:
        if state.messages[copy.message].wish != KEEP:
            continue
        for s in (A, B):
            if not listed(state, s) >> copy.message & 1 and not state.servers[s].lost:
                return f"a copy of m{copy.message} goes only when home and standby hold it"
    return None


def _places(state: State, m: int) -> set[int]:
    """Return the servers whose disks hold a message."""
    places = {copy.place for copy in state.copies if copy.message == m}
    places |= {s for s in (A, B) if listed(state, s) >> m & 1}
    return places | {s for s, server in enumerate(state.servers) if server.queue >> m & 1}


def _redundant(state: State) -> bool:
    """Return whether no failure is outstanding: the standby is ready for the present epoch, no disk is lost."""
    standby = state.servers[standby_of(state.epoch)]
    return standby.ready == state.epoch and not any(s.lost for s in state.servers)
