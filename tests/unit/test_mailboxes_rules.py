"""When mailboxes may be synchronised, vouched for and merged."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.mailboxes.rules import (
    MAX_MODSEQ,
    MAX_UID,
    UID_GAP,
    Declared,
    Message,
    accepts,
    crossed,
    differing,
    due_without,
    may_synchronise,
    moved_away,
    needs_reconciling,
    raised,
    removed_folders,
    repeated,
    vouches,
)
from onedallmail.placement.map import Placement

HERE = Placement(home="a1", standby="b1", epoch=5)
READY = Declared("a1", 5)
BOTH = {"a1", "b1"}
USER = "u@acme.example"
MESSAGES = st.builds(
    Message, st.sampled_from(["inbox", "junk"]), st.sampled_from("pqrst"), st.sampled_from(["", "x", "y", "z"])
)


def test_a_home_synchronises_into_a_living_standby_that_it_declared_ready() -> None:
    assert may_synchronise("a1", USER, HERE, BOTH, READY)


@pytest.mark.parametrize(
    ("me", "placement", "alive", "declared"),
    [
        ("b1", HERE, BOTH, READY),
        ("a1", HERE, {"a1"}, READY),
        ("a1", HERE, BOTH, None),
        ("a1", HERE, BOTH, Declared("a1", 4)),
        ("a1", HERE, BOTH, Declared("c1", 5)),
        ("a1", HERE, BOTH, Declared("a1", 5, frozenset({USER}))),
        ("a1", replace(HERE, epoch=6), BOTH, READY),
    ],
)
def test_nobody_else_synchronises(me: str, placement: Placement, alive: set[str], declared: Declared | None) -> None:
    assert not may_synchronise(me, USER, placement, alive, declared)


def test_a_group_is_reconciled_until_its_standby_is_ready_for_everybody() -> None:
    assert needs_reconciling("a1", HERE, BOTH, None)
    assert needs_reconciling("a1", HERE, BOTH, Declared("b1", 4))
    assert needs_reconciling("a1", HERE, BOTH, Declared("a1", 5, frozenset({USER})))
    assert not needs_reconciling("a1", HERE, BOTH, READY)
    assert not needs_reconciling("a1", HERE, {"a1"}, None)
    assert not needs_reconciling("b1", HERE, BOTH, None)


def test_a_second_reconciliation_is_for_those_that_failed() -> None:
    assert due_without(None, "a1", HERE, {"u", "v"}) == {"u", "v"}
    assert due_without(Declared("a1", 5, frozenset({"v", "gone"})), "a1", HERE, {"u", "v"}) == {"v"}
    assert due_without(Declared("a1", 4, frozenset({"v"})), "a1", HERE, {"u", "v"}) == {"u", "v"}


def test_a_standby_takes_only_what_the_home_of_its_own_map_sends() -> None:
    assert accepts("b1", HERE, "a1", 5, 0)
    assert not accepts("b1", HERE, "a1", 4, 0)
    assert not accepts("b1", HERE, "c1", 5, 0)
    assert not accepts("c1", HERE, "a1", 5, 0)
    assert not accepts("a1", HERE, "a1", 5, 0)
    assert not accepts("b1", None, "a1", 5, 0)


def test_a_standby_that_prepared_to_be_home_takes_nothing_of_older_homes() -> None:
    assert not accepts("b1", HERE, "a1", 5, 6)
    assert not accepts("b1", HERE, "a1", 5, 5)
    assert accepts("b1", replace(HERE, epoch=7), "a1", 7, 6)


def test_a_standby_vouches_only_when_it_is_ready_for_this_home_and_user() -> None:
    assert vouches("b1", USER, HERE, READY, 0)
    assert not vouches("b1", USER, HERE, None, 0)
    assert not vouches("b1", USER, HERE, Declared("a1", 4), 0)
    assert not vouches("b1", USER, HERE, Declared("a1", 5, frozenset({USER})), 0)
    assert not vouches("b1", USER, replace(HERE, epoch=6), READY, 0)
    assert not vouches("b1", USER, HERE, READY, 6)
    assert not vouches("a1", USER, HERE, READY, 0)
    assert not vouches("b1", USER, None, READY, 0)


def test_a_replayed_message_goes_and_one_that_the_home_never_had_stays() -> None:
    replayed, unseen, draft = Message("inbox", "g1", "x"), Message("inbox", "g2", "y"), Message("inbox", "g3", "")
    known = Message("inbox", "g4", "z")
    gone = repeated([replayed, unseen, draft, known], {"g4"}, lambda ingest_id: ingest_id in {"x", "z"})
    assert gone == [replayed]


@given(st.lists(MESSAGES), st.sets(st.sampled_from("pqrst")), st.sets(st.sampled_from(["x", "y", "z"])))
def test_a_merge_drops_no_message_whose_guid_the_home_knows_or_whose_id_it_lacks(
    own: list[Message], guids: set[str], ids: set[str]
) -> None:
    gone = repeated(own, guids, ids.__contains__)
    assert all(m.guid not in guids and m.ingest_id in ids for m in gone)


@given(st.lists(MESSAGES), st.lists(MESSAGES))
def test_whatever_crosses_a_replay_each_id_stays_at_the_home(taken: list[Message], now: list[Message]) -> None:
    gone = crossed(taken, now)
    left = [m for m in now if m not in gone]
    assert {m.ingest_id for m in left} == {m.ingest_id for m in now}
    assert all(m.guid in {t.guid for t in taken} for m in gone)


def test_a_message_that_a_replay_brought_as_well_goes() -> None:
    taken, replay = Message("inbox", "theirs", "x"), Message("junk", "ours", "x")
    assert crossed([taken], [taken, replay]) == [taken]
    assert crossed([taken], [taken]) == []


def test_folders_go_at_the_standby_that_the_home_has_no_longer_or_made_again() -> None:
    home = {"INBOX": "1", "again": "9", "new name": "3", "new": "8"}
    standby = {"INBOX": "7", "again": "2", "old name": "3", "gone": "4", "gone/child": "5"}
    assert removed_folders(home, standby) == ["gone/child", "gone", "again"]


@given(st.integers(1, MAX_UID), st.integers(1, MAX_MODSEQ))
def test_raised_counters_never_fall_and_stay_in_their_range(uid: int, modseq: int) -> None:
    new_uid, new_modseq = raised(uid, modseq)
    assert uid <= new_uid <= MAX_UID
    assert modseq <= new_modseq <= MAX_MODSEQ
    assert new_uid == min(uid + UID_GAP, MAX_UID)


def test_groups_that_moved_away_are_those_that_were_here() -> None:
    away = Placement(home="b1", standby="a1", epoch=6)
    assert moved_away("a1", {1: HERE, 2: HERE, 3: away}, {1: away, 2: HERE, 3: away}) == {1}
    assert moved_away("a1", {1: HERE}, {}) == {1}
    assert moved_away("a1", {}, {1: HERE}) == frozenset()


def test_parts_differ_when_one_lacks_them() -> None:
    assert differing({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}) == ["b", "c"]
    assert differing({"a": "1"}, {"a": "1"}) == []
