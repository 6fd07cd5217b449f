"""No acknowledged message is lost or doubled, whatever fails between two steps; and the checker finds wrong rules.

`-s` prints how many states were visited and the shortest trace for each wrong rule. ONEDALLMAIL_FULL=1: larger bounds.
"""

import os
from dataclasses import replace
from functools import partial

import pytest

from onedallmail.copies.rules import Step as Next
from onedallmail.placement import rules as placement
from tests.unit.protocol.actions import healthy, parted, run
from tests.unit.protocol.decisions import Rules
from tests.unit.protocol.explorer import Step, TooManyError, explore
from tests.unit.protocol.state import Budget, State

FULL = os.environ.get("ONEDALLMAIL_FULL") == "1"
RIGHT = Rules()
old = partial(healthy, delivered=1)
"""A message was delivered and synchronised long ago."""

ALWAYS = {
    "two messages, no fault": healthy(Budget(), messages=2),
    "a new message, a crash": healthy(Budget(crash=1)),
    "a new message, a pause": healthy(Budget(cut=1)),
    "a new message, a process dies, the sender retries": healthy(Budget(death=1, retry=1)),
    "a new message, lost answers, a needless re-injection": healthy(Budget(lost=1, repeat=1)),
    "a new message, the loss of a server with its disk": healthy(Budget(lose=1)),
    "the old home returns, a crash, moved, deleted": parted(Budget(crash=1, move=1, delete=1)),
    "the old home returns before a replay, a crash": parted(Budget(crash=1), replayed=False),
    "an old message, two crashes, moved, deleted": old(Budget(crash=2, move=1, delete=1)),
    "an old message, a crash, a pause, moved, deleted": old(Budget(crash=1, cut=1, move=1, delete=1)),
    "an old message, loss of a server, moved": old(Budget(lose=1, move=1)),
}
LARGE = {
    "a new message, a crash, deleted": healthy(Budget(crash=1, delete=1)),
    "a new message, a crash, a second server of the region": healthy(Budget(crash=1), servers=4),
    "a new message, a crash, a process dies": healthy(Budget(crash=1, death=1)),
    "a new message, a pause, moved, deleted": healthy(Budget(cut=1, move=1, delete=1)),
    "a new message, a pause, lost answers, a needless re-injection": healthy(Budget(cut=1, lost=1, repeat=1)),
    "the old home returns, two crashes": parted(Budget(crash=2)),
    "an old message, three crashes, moved, deleted": old(Budget(crash=3, move=1, delete=1)),
    "an old message and a new one, a pause": old(Budget(cut=1), messages=2),
}

WRONG = {
    "no copy": (replace(RIGHT, may_accept=lambda *_: True), healthy(Budget())),
    "250 before the remote copy": (replace(RIGHT, may_accept=lambda local, _: local), healthy(Budget())),
    "the fence stays open": (replace(RIGHT, may_expire=lambda _: True), healthy(Budget(cut=1))),
    "the fence opens before the map is read": (replace(RIGHT, may_open=lambda up, _: up), healthy(Budget(cut=1))),
    "the ledger is shipped without a synchronisation": (replace(RIGHT, ships="without sync"), healthy(Budget())),
    "records read after the synchronisation are shipped": (
        replace(RIGHT, ships="read after"),
        healthy(Budget(), messages=2),
    ),
    "the ledger is not shipped": (replace(RIGHT, ships="never"), healthy(Budget())),
    "a returned standby is synchronised at once": (
        replace(RIGHT, may_synchronise=lambda *_: True),
        healthy(Budget(cut=1)),
    ),
    "held is answered without READY": (replace(RIGHT, vouches=lambda _: True), healthy(Budget(crash=1))),
    "repeats are not discarded": (replace(RIGHT, checks_ledger=False), healthy(Budget(repeat=1))),
    "a copy goes when the queue has delivered it": (
        replace(RIGHT, step=lambda facts: Next.WAIT if facts.queued else Next.DONE),
        healthy(Budget()),
    ),
    "what the mailbox lists is not put into the ledger": (replace(RIGHT, heals=False), healthy(Budget(death=1))),
    "the old home's synchronisation goes on": (replace(RIGHT, ends_sessions=False), healthy(Budget(cut=1))),
    "a merge does not wait for deliveries": (replace(RIGHT, waits_for_deliveries=False), healthy(Budget(cut=1))),
    "a home merges without a lease": (
        replace(RIGHT, under_lease=lambda _: True, unmarks=False),
        parted(Budget(crash=1)),
    ),
    "a standby takes over in the middle of its merge": (
        replace(
            RIGHT,
            merge="backup",
            may_flip=lambda s, known, true, alive, _: RIGHT.may_flip(s, known, true, alive, False),
        ),
        parted(Budget(crash=1)),
    ),
    "an interrupted merge forgets what it took over": (
        replace(RIGHT, remembers_taken=False),
        parted(Budget(crash=1), replayed=False),
    ),
    "a message moved under a new GUID counts as a repeat": (
        replace(RIGHT, merge="by id"),
        old(Budget(crash=1, move=1)),
    ),
    "a backup before strays are handed in": (
        replace(RIGHT, merge="backup", hands_in_strays=False),
        healthy(Budget(cut=1)),
    ),
}


@pytest.mark.parametrize("name", [*ALWAYS, *(LARGE if FULL else ())])
def test_every_promise_holds_in_every_state(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = run((ALWAYS | LARGE)[name], RIGHT, limit=3_000_000 if FULL else 200_000)
    with capsys.disabled():
        _say(f"\n{name}: {found.states} states, {found.transitions} transitions, {found.quiet} at rest")
    assert found.broken is None, str(found.broken)
    assert found.quiet


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_breaks_a_promise(name: str) -> None:
    rules, first = WRONG[name]
    broken = run(first, rules, limit=200_000).broken
    assert broken is not None, f"nobody would notice: {name}"
    assert broken.trace
    _say(f"\n{name}\n{broken}")


def test_a_wrong_rule_of_the_code_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model calls the code: with a margin of zero the fence closes no sooner than the lease ends."""
    monkeypatch.setattr(placement, "MARGIN_S", 0.0)
    broken = run(healthy(Budget(cut=1)), RIGHT).broken
    assert broken is not None
    assert broken.promise == "at most one server serves the mailbox"


def test_the_trace_is_the_shortest() -> None:
    def count(state: int) -> list[tuple[Step, int]]:
        return [(Step(f"+{n}", True), state + n) for n in (1, 3) if state + n <= 9]

    found = explore(0, count, lambda s: "no seven" if s == 7 else None, _nothing, _nothing, limit=20)
    assert found.broken is not None
    assert len(found.broken.trace) == 3
    assert str(found.broken).startswith("broken: no seven\n  1. +")


def test_a_protocol_that_goes_round_for_ever_is_found() -> None:
    def turn(state: int) -> list[tuple[Step, int]]:
        return [(Step("turn", True), (state + 1) % 3)]

    found = explore(0, turn, _nothing, _nothing, _nothing, limit=20)
    assert found.broken is not None
    assert found.broken.promise == "the protocol comes to rest"


def test_more_states_than_the_limit_are_no_silent_success() -> None:
    with pytest.raises(TooManyError, match="more than 10 states"):
        run(healthy(Budget(crash=1)), RIGHT, limit=10)


def test_a_state_is_its_own_key() -> None:
    first: State = healthy(Budget(crash=1))
    assert {first: 1}[healthy(Budget(crash=1))] == 1


def _nothing(*_: object) -> None:
    return None


def _say(text: str) -> None:
    print(text)  # noqa: T201 - what was visited belongs to the result
