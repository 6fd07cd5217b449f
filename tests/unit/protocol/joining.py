"""A group is given another standby: home H, standby S, and J, which joins. A small model beside the large one.

One user; messages are bits. What a merge does inside is the large model's; here it makes J equal to H at its time.
The home's service can die between any two steps, its agent's transaction can be late, servers know old maps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from onedallmail.mailboxes import rules as mailboxes
from onedallmail.mailboxes.rules import Declared
from onedallmail.placement import rules as placement
from onedallmail.placement.map import Placement, from_json
from onedallmail.placement.store import alive_key, group_key
from tests.unit.protocol.explorer import Explored, Step, explore

USER, GROUP, EPOCH = "user", 0, 1
H, S, J = "HSJ"
PLACE = Placement(H, S, EPOCH, J)
READY = Declared(H, EPOCH)
Moves = Iterator[tuple[Step, "State"]]


class Budget(NamedTuple):
    """What may still happen that the protocol does not do by itself."""

    new: int = 2  # messages
    die: int = 0  # deaths of the home's mailboxes service
    lose: int = 0  # losses of J's disk, which comes back empty
    again: int = 0  # the operator asks again for what was given up
    end: int = 1  # the home is lost


class State(NamedTuple):
    """Masks of messages by place; what the home's service remembers; the map in etcd and what servers know of it."""

    budget: Budget
    s_up: bool = True
    j_remembers: bool = False  # READY of this epoch on J's disk, perhaps of an earlier joining
    known: int = 1  # messages acknowledged so far; the first is old
    home: int = 1
    s: int = 1
    j: int = 0
    s_ledger: int = 1
    j_ledger: int = 0
    copies: int = 0
    place: Placement = PLACE
    revision: int = 1
    home_sees: Placement = PLACE  # by the home's mailboxes service
    s_sees: Placement = PLACE
    account: bool = False  # what S is told is noted
    told: bool = False
    merged: bool = False
    merging: int = 0  # 1: begun, 2: exchanged
    records: int = -1  # read before the synchronisation with S that has ended; -1: none
    shipping: int = -1
    bringing: int = -1
    frozen: bool = False
    answered: int = 0  # revision of the map for which the agent was told that it may be switched
    lease: int = 1  # of J, a new one after each start
    asked: int = 0  # the lease that J had when that was asked
    gone: bool = False  # the home
    replayed: bool = False
    failed: bool = False  # J lost its disk as the standby: a failure is outstanding


@dataclass(frozen=True)
class Rules:
    """The code's decisions, and habits of which the code has no pure rule."""

    may_tell: Callable[[Placement, str | None], bool] = mailboxes.may_tell
    may_join: Callable[[bool, frozenset[str], bool, int], bool] = mailboxes.may_join
    frozen_on_disk: bool = True
    """What is frozen outlives the service."""
    own_memory: bool = True
    """Only what this run of the home's service merged counts, not what J remembers."""
    looks_again: bool = True
    """Before it answers, the home asks J whether it remembers being ready: it may have lost its disk."""
    leases_of_asking: bool = True
    """The switch is refused if J was started anew since the home was asked."""
    marks: bool = True
    """Before S is told, the user is noted for J."""


def successors(state: State, rules: Rules) -> Moves:
    """Yield every next step with the state after it."""
    yield from _copies(state)
    if not state.gone:
        yield from _mail(state)
        yield from _tell(state, rules)
        yield from _merge(state)
        yield from _switch(state, rules)
        yield from _agent(state, rules)
        yield from _faults(state, rules)
    else:
        yield from _taken_over(state)


def _mail(state: State) -> Moves:
    if state.budget.new:
        bit = state.known + 1
        after = state._replace(
            known=state.known | bit, home=state.home | bit, copies=state.copies | bit, budget=_spent(state, "new")
        )
        yield Step("a message is acknowledged, and delivered at H", False), after


def _tell(state: State, rules: Rules) -> Moves:
    """The ordinary synchronisation with the standby: the mailbox, then the ledger that was read before."""
    target = state.home_sees.standby
    if target == J:
        if state.home & ~(state.j & state.j_ledger):
            after = state._replace(j=state.j | state.home, j_ledger=state.j_ledger | state.home)
            yield Step("H synchronises with J, its standby", True), after
        return
    may = state.s_up and rules.may_tell(state.home_sees.settled, J if _frozen(state) else None)
    if may and state.records < 0 and state.shipping < 0 and state.home & ~(state.s & state.s_ledger):
        after = state._replace(s=state.s | state.home, records=state.home, told=_noted(state, rules))
        yield Step("H synchronises with S, having read its ledger", True), after
    if state.records >= 0:
        after = state._replace(records=-1)
        if may:
            after = after._replace(shipping=state.records, told=_noted(state, rules))
        yield Step("H begins to ship the records to S" if may else "H ships nothing to S", True), after
    if state.shipping >= 0:
        after = state._replace(s_ledger=state.s_ledger | state.shipping, shipping=-1)
        yield Step("S has the records in its ledger", True), after


def _noted(state: State, rules: Rules) -> bool:
    return state.told or (state.account and rules.marks)


def _frozen(state: State) -> bool:
    return state.frozen and state.home_sees.joining == J


def _merge(state: State) -> Moves:
    if state.home_sees.joining != J or state.merged:
        return
    if state.merging == 0:
        yield Step("H begins to merge J, and to note what S is told", True), state._replace(merging=1, account=True)
    elif state.merging == 1:
        after = state._replace(merging=2, j=state.j | state.home, j_ledger=state.j_ledger | state.home)
        yield Step("H and J are merged, J has the ledger", True), after
    elif state.merging == 2 and state.place == state.home_sees:
        yield Step("J is READY", True), state._replace(merging=0, merged=True, j_remembers=True)


def _switch(state: State, rules: Rules) -> Moves:
    """The home's service: freeze, bring what S was told of, answer."""
    if state.home_sees.joining != J:
        return
    known = state.merged or (state.j_remembers and not rules.own_memory)
    if known and not state.frozen:
        yield Step("H freezes S", True), state._replace(frozen=True)
    if state.told and state.bringing < 0 and state.merged:
        yield Step("H begins to bring J the mailbox", True), state._replace(told=False, bringing=state.home)
    if state.bringing >= 0:
        after = state._replace(j=state.j | state.bringing, j_ledger=state.j_ledger | state.bringing, bringing=-1)
        yield Step("J has the mailbox and its ledger", True), after
    sound = known and (state.j_remembers or not rules.looks_again)
    behind = frozenset({USER} if state.told or state.bringing >= 0 else ())
    running = int(state.shipping >= 0)
    if state.frozen and state.merged and not state.j_remembers and rules.looks_again:
        yield Step("J has forgotten that it is ready", True), state._replace(merged=False)
    if not state.answered and rules.may_join(sound, behind, state.frozen, running) and _same(state):
        yield (
            Step("H's agent is told that J may become standby", True),
            state._replace(answered=state.revision, asked=state.lease),
        )


def _same(state: State) -> bool:
    return state.home_sees == state.place


def _agent(state: State, rules: Rules) -> Moves:
    """The agent's transactions, as late as they may be, and what servers learn of the map."""
    if state.answered:
        leases, changes = {alive_key(H): 1, alive_key(J): state.asked}, {group_key(GROUP): state.answered}
        transaction = placement.switch(GROUP, PLACE, changes, leases, H)
        true = {group_key(GROUP): state.revision, alive_key(H): 1, alive_key(J): state.lease}
        if not rules.leases_of_asking:
            true[alive_key(J)] = state.asked
        if all(c.value == true[c.key] for c in transaction.compares):
            after = _mapped(state, from_json(GROUP, transaction.puts[group_key(GROUP)]))
            yield Step("J is the standby", True), after
        else:
            yield (
                Step("the switch is refused: the map or J's lease is another", True),
                state._replace(answered=0),
            )
    if state.place.joining and state.frozen and not state.merged and _same(state):
        settled = placement.unjoined(GROUP, state.place, state.revision).puts[group_key(GROUP)]
        yield Step("the joining is given up: its service began anew", True), _mapped(state, from_json(GROUP, settled))
    if state.place.joining is None and state.place.standby == S and state.budget.again:
        yield Step("J shall join again", False), _mapped(state._replace(budget=_spent(state, "again")), PLACE)
    if not _same(state):
        kept = state.frozen and state.place.joining == J
        after = state._replace(home_sees=state.place, frozen=kept)
        if state.place.joining is None:
            after = after._replace(account=False, told=False, merged=False, merging=0, bringing=-1)
        yield Step("H's service reads the map", True), after
    if state.s_up and state.s_sees != state.place:
        yield Step("S reads the map", True), state._replace(s_sees=state.place)


def _mapped(state: State, place: Placement) -> State:
    return state._replace(place=place, revision=state.revision + 1)


def _faults(state: State, rules: Rules) -> Moves:
    if state.budget.die:
        after = state._replace(account=False, told=False, merged=False, merging=0, records=-1, shipping=-1, bringing=-1)
        after = after._replace(budget=_spent(state, "die"), frozen=state.frozen and rules.frozen_on_disk)
        yield Step("the mailboxes service of H dies", False), after
    if state.budget.lose:
        after = state._replace(j=0, j_ledger=0, j_remembers=False, budget=_spent(state, "lose"), lease=state.lease + 1)
        after = after._replace(failed=state.place.standby == J, bringing=-1, merging=0)
        yield Step("J loses its disk", False), after
    if state.budget.end:
        after = state._replace(gone=True, budget=_spent(state, "end"), records=-1, shipping=-1, bringing=-1)
        yield Step("H is lost", False), after


def _copies(state: State) -> Moves:
    """A copy goes when whom its custodian takes for the standby vouches. It may know an old map, as may S."""
    answers = ((S, state.s_sees, state.s_ledger, state.s_up, True), (J, state.place, state.j_ledger, True, None))
    for name, sees, ledger, up, remembers in answers:
        declared = READY if (state.j_remembers if remembers is None else remembers) else None
        held = ledger & state.copies if up and mailboxes.vouches(name, USER, sees, declared, 0) else 0
        if held:
            yield Step(f"{name} vouches: copies go", True), state._replace(copies=state.copies & ~held)


def _taken_over(state: State) -> Moves:
    there = state.s_up if state.place.standby == S else not state.failed
    due = placement.orphans({GROUP: state.place}, {H}, state.place.standby, ())
    if due and there and not state.replayed:
        standby = state.place.standby
        mailbox, ledger = (state.s, state.s_ledger) if standby == S else (state.j, state.j_ledger)
        mailbox |= state.copies & ~(ledger | mailbox)
        after = state._replace(replayed=True)
        after = after._replace(s=mailbox) if standby == S else after._replace(j=mailbox)
        yield Step(f"{standby} takes over, copies are handed in again", True), after


def judge(state: State) -> str | None:
    """Return a promise that is broken in any state, if one is."""
    if state.failed:
        return None
    there = state.s if state.place.standby == S else state.j
    if state.known & ~state.copies & ~there:
        return "a message without a copy is at the server that would take over"
    if state.known & ~state.copies & ~state.home:
        return "a message without a copy is at the home"
    if state.replayed and state.known & ~there:
        return "after a take-over every acknowledged message is in the mailbox"
    return None


def judge_quiet(state: State) -> str | None:
    """Return what is wrong where nothing is left to do, if anything is."""
    if state.gone or state.failed:
        return None
    if state.place.joining:
        return "a joining comes to its end"
    if state.place.standby == J and (state.copies or state.home & ~state.j):
        return "the new standby gets everything, and copies go"
    return None


def run(first: State, rules: Rules, *, limit: int = 200_000) -> Explored[State]:
    """Visit every state that can follow."""
    return explore(first, lambda s: successors(s, rules), judge, judge_quiet, lambda *_: None, limit=limit)


def _spent(state: State, what: str) -> Budget:
    return state.budget._replace(**{what: getattr(state.budget, what) - 1})
