"""Holders and the fate of copies as the rules have it, over everything that can be the case."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.copies.rules import (
    ASK_AFTER_S,
    MAX_ATTEMPTS,
    PAUSES_S,
    Duty,
    Facts,
    Held,
    Step,
    Word,
    adopters,
    dropped,
    duty,
    may_ask,
    may_drop,
    may_hand_over,
    may_store,
    quiet,
    remote_holders,
    rendezvous,
    responsible,
    step,
)

REGIONS = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "c1": "c", "w1": "w"}
MAIL = [name for name in REGIONS if name != "w1"]
IDS = st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
ALIVE = st.none() | st.frozensets(st.sampled_from(list(REGIONS)))
FACTS = st.builds(
    Facts,
    mailbox=st.booleans(),
    taken_over=st.booleans(),
    queued=st.none() | st.booleans(),
    held=st.sampled_from(Held),
    attempts=st.integers(0, MAX_ATTEMPTS + 1),
    accepted=st.booleans(),
    same_home=st.booleans(),
    since_s=st.floats(0, 1e6),
)
LOST = Facts(mailbox=True, taken_over=True, queued=False, held=Held.NO, since_s=1e6)


@given(IDS, st.sampled_from(MAIL), ALIVE)
def test_the_second_place_is_never_in_the_region_of_the_first(copy_id: str, origin: str, alive: frozenset[str]) -> None:
    holders = remote_holders(copy_id, origin, REGIONS, alive, ["w1"])
    assert REGIONS[origin] not in {REGIONS[name] for name in holders}
    assert sorted(holders) == sorted(name for name in REGIONS if REGIONS[name] != REGIONS[origin])


@given(IDS, st.sampled_from(MAIL), st.frozensets(st.sampled_from(MAIL)))
def test_living_mail_servers_come_before_the_witness_and_that_before_the_dead(
    copy_id: str, origin: str, alive: frozenset[str]
) -> None:
    holders = remote_holders(copy_id, origin, REGIONS, alive, ["w1"])
    witness = holders.index("w1")
    assert set(holders[:witness]) <= alive
    assert not set(holders[witness + 1 :]) & alive


@given(IDS, st.sampled_from(MAIL))
def test_without_knowledge_of_the_living_every_mail_server_is_tried_first(copy_id: str, origin: str) -> None:
    assert remote_holders(copy_id, origin, REGIONS, None, ["w1"])[-1] == "w1"


@given(IDS, st.sampled_from(MAIL), st.sampled_from(MAIL))
def test_the_loss_of_a_server_moves_only_its_own_copies(copy_id: str, origin: str, lost: str) -> None:
    before = remote_holders(copy_id, origin, REGIONS, frozenset(MAIL), ["w1"])[0]
    after = remote_holders(copy_id, origin, REGIONS, frozenset(MAIL) - {lost}, ["w1"])[0]
    assert before in (after, lost)


def test_copies_are_spread_evenly() -> None:
    first = [rendezvous(f"{number:032x}", ["b1", "b2", "c1"])[0] for number in range(3000)]
    assert all(900 < first.count(name) < 1100 for name in ("b1", "b2", "c1"))


@given(IDS, st.sampled_from(MAIL), st.frozensets(st.sampled_from(MAIL)))
def test_a_witness_hands_over_to_living_mail_servers_other_regions_first(
    copy_id: str, origin: str, alive: frozenset[str]
) -> None:
    mail = {name: REGIONS[name] for name in MAIL}
    found = adopters(copy_id, origin, mail, alive)
    assert set(found) == alive - {origin}
    same = [REGIONS[name] == REGIONS[origin] for name in found]
    assert same == sorted(same)


@given(st.sampled_from(MAIL), st.sampled_from(list(REGIONS)), st.frozensets(st.sampled_from(list(REGIONS))))
def test_one_living_server_is_responsible_unless_both_are_dead(origin: str, holder: str, alive: frozenset[str]) -> None:
    found = responsible(origin, holder, alive)
    assert found in {origin, holder} & alive or (found is None and not {origin, holder} & alive)
    if origin in alive:
        assert found == origin


@given(st.sampled_from(MAIL), st.sampled_from(list(REGIONS)), ALIVE, st.sampled_from(Word))
def test_exactly_the_responsible_server_acts(
    origin: str, holder: str, alive: frozenset[str] | None, word: Word
) -> None:
    """All that see the same living servers agree; a lost store of the origin makes the holder responsible."""
    if holder == origin:
        return
    at_holder = duty(holder, origin, alive=alive, delivers=holder != "w1", word=word)
    assert duty(origin, origin, alive=alive, delivers=True, word=Word.UNASKED) is Duty.CARE
    acts = at_holder in (Duty.CARE, Duty.HAND_OVER)
    assert acts == (alive is not None and (origin not in alive or word is Word.NEW_STORE))
    if at_holder is Duty.DROP:
        assert alive is not None
        assert origin in alive
        assert word is Word.FORGOT
    if holder == "w1":
        assert at_holder is not Duty.CARE


@given(FACTS)
def test_a_mailbox_is_done_exactly_when_its_standby_vouches_for_the_message(facts: Facts) -> None:
    if facts.mailbox:
        assert (step(facts) is Step.DONE) == (facts.held is Held.YES)


@given(FACTS)
def test_no_copy_goes_while_a_queue_may_still_have_the_recipient(facts: Facts) -> None:
    if facts.taken_over and facts.queued is not False and facts.held is not Held.YES:
        assert step(facts) is Step.WAIT


@given(FACTS)
def test_others_are_done_only_when_a_queue_here_took_them_and_let_them_go(facts: Facts) -> None:
    if not facts.mailbox and step(facts) is Step.DONE:
        assert facts.taken_over
        assert facts.queued is False


@given(FACTS)
def test_nothing_is_given_up_while_the_standby_can_not_say_and_the_home_may_have_it(facts: Facts) -> None:
    if facts.mailbox and facts.accepted and facts.held is Held.UNKNOWN:
        assert step(facts) not in (Step.ENDED, Step.DONE)


@given(FACTS)
def test_nothing_is_given_up_before_all_attempts_at_the_present_home(facts: Facts) -> None:
    if step(facts) is Step.ENDED:
        assert facts.attempts >= MAX_ATTEMPTS
        assert facts.since_s >= PAUSES_S[-1]


@given(FACTS)
def test_a_failover_without_an_answer_of_the_standby_is_always_followed_by_a_delivery_to_the_new_home(
    facts: Facts,
) -> None:
    after = replace(facts, mailbox=True, same_home=False, attempts=0, accepted=False, queued=False, since_s=PAUSES_S[0])
    if after.held is not Held.YES:
        assert step(after) is Step.REINJECT


def test_the_first_delivery_after_the_origins_death_does_not_wait() -> None:
    for mailbox in (True, False):
        dead = Facts(mailbox=mailbox, taken_over=False, queued=False, since_s=0)
        assert step(dead) is Step.REINJECT


def test_a_standby_that_is_away_causes_no_second_delivery_to_the_home_that_has_it() -> None:
    assert step(replace(LOST, held=Held.UNKNOWN, same_home=True)) is Step.WAIT
    assert step(replace(LOST, held=Held.NO, same_home=True)) is Step.REINJECT


@pytest.mark.parametrize("attempts", range(MAX_ATTEMPTS))
def test_pauses_grow(attempts: int) -> None:
    tried = replace(LOST, attempts=attempts, accepted=attempts > 0)
    assert step(replace(tried, since_s=PAUSES_S[attempts] - 1)) is Step.WAIT
    assert step(replace(tried, since_s=PAUSES_S[attempts])) is Step.REINJECT


def test_a_bounce_is_sent_at_most_once_for_a_home() -> None:
    assert quiet(replace(LOST, same_home=True))
    assert quiet(replace(LOST, attempts=1, accepted=True))
    assert not quiet(LOST)
    assert not quiet(replace(LOST, taken_over=False))


def test_a_copy_goes_when_nobody_waits_for_it() -> None:
    assert dropped([Step.DONE, Step.ENDED])
    assert dropped([])
    assert not dropped([Step.DONE, Step.WAIT])
    assert not dropped([Step.REINJECT])


def test_a_young_copy_is_not_doubted() -> None:
    assert not may_ask(ASK_AFTER_S - 1)
    assert may_ask(ASK_AFTER_S)


def test_who_may_do_what_to_a_store() -> None:
    assert may_store("a1", origin="a1", holder="b1", me="b1")
    assert not may_store("c1", origin="a1", holder="b1", me="b1")
    assert not may_store("a1", origin="a1", holder="c1", me="b1")
    assert may_hand_over("w1", origin="a1", holder="w1", me="b1", witnesses=["w1"])
    assert not may_hand_over("c1", origin="a1", holder="c1", me="b1", witnesses=["w1"])
    assert not may_hand_over("w1", origin="a1", holder="b1", me="b1", witnesses=["w1"])
    assert may_drop("a1", origin="a1", holder="b1")
    assert may_drop("b1", origin="a1", holder="b1")
    assert not may_drop("c1", origin="a1", holder="b1")
