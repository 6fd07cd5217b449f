"""The custodian with everything around it played: what is done for a copy, by whom, and when it goes."""

import asyncio
from pathlib import Path

import pytest

from onedallmail.copies import rules
from onedallmail.copies.store import Store
from onedallmail.placement.map import Placement
from tests.unit.copies import ID
from tests.unit.copies_platform import MAIL, Platform


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path)


def rounds(platform: Platform, *names: str, later_s: float = 0.0) -> None:
    async def run() -> None:
        for name in names:
            await platform.round(name, later_s=later_s)

    asyncio.run(run())


def test_a_copy_goes_everywhere_as_soon_as_the_standby_vouches(platform: Platform) -> None:
    platform.keep("u@example.org")
    rounds(platform, "a1", "b1")
    assert platform.stored() == {"a1", "b1"}
    platform.world.held.add(("u@example.org", ID))
    rounds(platform, "b1", "a1")
    assert platform.stored() == set()
    assert platform.world.reinjected == []
    assert platform.custodians["a1"].status()["finished"] == 1


def test_every_mailbox_behind_an_alias_must_have_it_and_the_outside_must_have_left_the_queue(
    platform: Platform,
) -> None:
    platform.keep("All@example.org")
    platform.world.queue["4QUEUE"] = frozenset({"x@out.example"})
    platform.world.held = {("u@example.org", ID)}
    rounds(platform, "a1")
    platform.world.held.add(("v@example.org", ID))
    rounds(platform, "a1", later_s=rules.SETTLED_S)
    assert platform.stored() == {"a1", "b1"}
    del platform.world.queue["4QUEUE"]
    rounds(platform, "a1")
    assert platform.stored() == set()
    assert platform.world.reinjected == []


def test_nothing_is_judged_by_the_queue_before_postfix_has_finished_its_file(platform: Platform) -> None:
    platform.keep("x@out.example")
    rounds(platform, "a1", later_s=rules.SETTLED_S - 1)
    assert platform.stored() == {"a1", "b1"}
    rounds(platform, "a1", later_s=1)
    assert platform.stored() == set()


def test_what_a_dead_home_had_taken_is_delivered_to_the_new_one_while_another_recipient_waits(
    platform: Platform,
) -> None:
    platform.keep("u@example.org", "x@out.example")
    platform.world.queue["4QUEUE"] = frozenset({"x@out.example"})
    platform.world.vouching = False
    rounds(platform, "a1")
    rounds(platform, "a1", later_s=rules.SETTLED_S)
    assert platform.world.reinjected == [], "the home has it; its standby is only away"
    platform.world.groups[1] = Placement("b1", "a1", 2)
    rounds(platform, "a1")
    ((address, quiet, message),) = platform.world.reinjected
    assert (address, quiet) == ("u@example.org", False)
    assert message == b"Subject: x\r\n\r\nbody\r\n"
    rounds(platform, "a1", later_s=3600)
    assert len(platform.world.reinjected) == 1, "it is in the queue again"


def test_a_restart_of_the_custodian_remembers_what_it_gave_to_postfix(platform: Platform) -> None:
    platform.keep("u@example.org")
    platform.world.alive = MAIL - {"a1"}
    platform.world.vouching = False
    rounds(platform, "b1")
    assert len(platform.world.reinjected) == 1
    platform.restart("b1")
    rounds(platform, "b1", later_s=7200)
    platform.world.queue.clear()
    rounds(platform, "b1", later_s=7200)
    assert len(platform.world.reinjected) == 1, "the new home has it, the standby can't say"
    platform.world.vouching = True
    platform.world.held.add(("u@example.org", ID))
    rounds(platform, "b1")
    assert platform.stored() == {"a1"}
    assert not list((platform.settings["b1"].directory / "attempts").iterdir())


def test_the_holder_waits_while_the_origin_lives_and_acts_when_it_dies(platform: Platform) -> None:
    platform.keep("u@example.org", "x@out.example")
    platform.world.queue_away = True
    rounds(platform, "b1", "b1", later_s=120)
    assert platform.world.reinjected == []
    platform.world.alive = None
    rounds(platform, "b1")
    assert platform.world.reinjected == [], "nobody knows who lives"
    platform.world.alive = MAIL - {"a1"}
    rounds(platform, "b1")
    assert {address for address, _, _ in platform.world.reinjected} == {"u@example.org", "x@out.example"}
    platform.world.queue_away = False
    platform.world.held.add(("u@example.org", ID))
    rounds(platform, "b1")
    assert platform.stored() == {"a1", "b1"}, "the outside is still in the queue"
    platform.world.queue.clear()
    rounds(platform, "b1")
    assert platform.stored() == {"a1"}


def test_a_witness_hands_over_to_a_mail_server_which_cares_then(platform: Platform) -> None:
    platform.keep("u@example.org", holder="w1")
    rounds(platform, "w1")
    assert platform.stored() == {"a1", "w1"}
    platform.world.alive = MAIL - {"a1"}
    platform.unreachable = {"b1"}
    rounds(platform, "w1")
    assert platform.stored() == {"a1", "c1"}
    (name,) = platform.stores["c1"].names()
    assert platform.stores["c1"].label(name).holder == "c1"
    rounds(platform, "c1")
    assert len(platform.world.reinjected) == 1


def test_a_witness_keeps_what_nobody_takes(platform: Platform) -> None:
    platform.keep("u@example.org", holder="w1")
    platform.world.alive = MAIL - {"a1"}
    platform.unreachable = {"b1", "c1"}
    rounds(platform, "w1")
    assert platform.stored() == {"a1", "w1"}


def test_a_returned_origin_makes_the_adopters_copy_go(platform: Platform) -> None:
    platform.keep("u@example.org", at=("b1",))
    rounds(platform, "b1")
    rounds(platform, "b1", later_s=rules.ASK_AFTER_S - 1)
    assert platform.stored() == {"b1"}, "it may still be stored at its origin"
    rounds(platform, "b1", later_s=1)
    assert platform.stored() == set()
    assert platform.world.reinjected == []
    assert platform.custodians["b1"].status()["forgotten"] == 1


def test_an_origin_that_still_has_it_keeps_its_holder_waiting(platform: Platform) -> None:
    platform.keep("u@example.org")
    rounds(platform, "b1")
    rounds(platform, "b1", later_s=rules.ASK_AFTER_S)
    assert platform.stored() == {"a1", "b1"}


def test_an_origin_that_lost_its_disk_makes_the_holder_care(platform: Platform, tmp_path: Path) -> None:
    platform.keep("u@example.org")
    platform.stores["a1"] = Store(tmp_path / "new-disk", "copies", min_free_bytes=0)
    rounds(platform, "b1")
    rounds(platform, "b1", later_s=rules.ASK_AFTER_S)
    rounds(platform, "b1")
    assert len(platform.world.reinjected) == 1


def test_a_holder_that_can_not_be_told_finds_out_itself(platform: Platform) -> None:
    platform.keep("u@example.org")
    platform.world.held.add(("u@example.org", ID))
    platform.unreachable = {"b1"}
    rounds(platform, "a1")
    assert platform.stored() == {"b1"}
    rounds(platform, "b1")
    rounds(platform, "b1", later_s=rules.ASK_AFTER_S)
    assert platform.stored() == set()


@pytest.mark.parametrize("trouble", ["directory_away", "queue_away"])
def test_without_an_answer_nothing_is_dropped_or_repeated_and_the_status_says_why(
    platform: Platform, trouble: str
) -> None:
    platform.keep("u@example.org", "x@out.example", age_s=3600)
    setattr(platform.world, trouble, True)
    rounds(platform, "a1")
    assert platform.stored() == {"a1", "b1"}
    assert platform.world.reinjected == []
    assert platform.custodians["a1"].status()["alarms"]
    setattr(platform.world, trouble, False)
    platform.world.held.add(("u@example.org", ID))
    rounds(platform, "a1")
    assert platform.stored() == set()
    assert platform.custodians["a1"].status()["alarms"] == {}


def test_without_the_key_service_copies_wait(platform: Platform) -> None:
    platform.keep("u@example.org")
    platform.world.keys.away = True
    platform.world.held.add(("u@example.org", ID))
    rounds(platform, "a1")
    assert platform.stored() == {"a1", "b1"}
    platform.world.keys.away = False
    rounds(platform, "a1")
    assert platform.stored() == set()


def test_what_postfix_refuses_for_good_ends_after_all_attempts_and_is_counted(platform: Platform) -> None:
    platform.keep("u@example.org", age_s=3600)
    platform.world.refusing = True
    for pause_s in (0.0, *rules.PAUSES_S):
        rounds(platform, "a1", later_s=pause_s)
    rounds(platform, "a1", later_s=rules.PAUSES_S[-1])
    assert platform.stored() == set()
    assert platform.custodians["a1"].status()["ended_another_way"] == 1


def test_a_message_that_never_arrives_at_a_vouching_standby_is_repeated_with_growing_pauses_and_no_bounces(
    platform: Platform,
) -> None:
    platform.keep("u@example.org")
    rounds(platform, "a1")
    for pause_s in rules.PAUSES_S:
        rounds(platform, "a1", later_s=pause_s - 1)
        before = len(platform.world.reinjected)
        rounds(platform, "a1", later_s=1)
        assert len(platform.world.reinjected) == before + 1
        platform.world.queue.clear()
    assert all(quiet for _, quiet, _ in platform.world.reinjected)
    rounds(platform, "a1", later_s=rules.PAUSES_S[-1])
    assert platform.stored() == set()
    assert platform.custodians["a1"].status()["repeats"] == rules.MAX_ATTEMPTS - 1


def test_old_copies_are_asked_about_less_often(platform: Platform) -> None:
    platform.keep("u@example.org")

    async def run() -> None:
        await platform.round("a1")
        for kept in platform.custodians["a1"].shelf:
            kept.seen_at -= 600
            kept.due_at = 0.0
        await platform.custodians["a1"].round()
        asked = platform.world.asked
        await platform.custodians["a1"].round()
        assert platform.world.asked == asked
        platform.world.groups[1] = Placement("b1", "a1", 2)
        await platform.custodians["a1"].round()
        assert platform.world.asked == asked + 1, "a change of places makes everything due"

    asyncio.run(run())


def test_a_file_that_is_no_copy_is_reported_and_left(platform: Platform) -> None:
    label = platform.keep("u@example.org", at=("a1",))
    path = platform.stores["a1"].directory / label.name[:1] / label.name
    path.write_bytes(b"garbage\n")
    rounds(platform, "a1", "a1")
    assert path.exists()
    assert "unreadable" in platform.custodians["a1"].status()["alarms"]
