"""The service on three servers, over the real channel: changes, failovers, returned and new standbys."""

import asyncio
import json
from pathlib import Path

import pytest

from onedallmail.mailboxes import ledger, walk
from onedallmail.mailboxes.dovecot import Api, DovecotError
from onedallmail.mailboxes.places import Store
from onedallmail.mailboxes.record import Record
from onedallmail.mailboxes.rules import MODSEQ_GAP, UID_GAP, Declared
from onedallmail.mailboxes.service import main
from tests.unit.mailbox_servers import NAMES, U0, U1, V1, Platform, Run, ready, runner, until


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a test on a platform of its own."""
    return runner(tmp_path, monkeypatch)


def test_a_delivery_is_on_the_standby_with_its_ledger_at_once(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        await servers.deliver("a1", U0, "x")
        await until(lambda: servers.dovecots["b1"].ids(U0) == ["x"], "the message is on the standby")
        await until(lambda: servers.status("a1")["dirty"] == 0, "nothing is left")
        assert await servers.held("b1", U0, ["x", "never"], "a1", 1) == ["x"]
        assert not servers.dovecots["b1"].deliver(U0, "x"), "the standby's ledger refuses a repeat"
        assert servers.status("a1")["lag_s"]["worst"] < 10

    run(test)


def test_nobody_vouches_without_a_declaration_of_this_home_and_epoch(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        await servers.deliver("a1", U0, "x")
        await until(lambda: servers.status("a1")["dirty"] == 0, "synchronised")
        assert await servers.held("b1", U0, ["x"], "a1", 2) is None
        assert await servers.held("b1", U0, ["x"], "c1", 1) is None
        assert await servers.held("c1", U0, ["x"], "a1", 1) is None
        await servers.prepare("b1", (0, 2))
        assert await servers.held("b1", U0, ["x"], "a1", 1) is None

    run(test)


def test_a_returned_home_drops_what_was_replayed_and_keeps_what_was_not(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start("b1", "c1")
        old, new = servers.dovecots["a1"], servers.dovecots["b1"]
        for name in ("replayed", "moved", "unseen"):
            old.deliver(U1, name)
        servers.place("b1", "a1", 2, alive=("b1", "c1"))
        assert await servers.prepare("b1", (0, 2), (1, 2)) == {"prepared": [[0, 2], [1, 2]]}
        for name in ("replayed", "later"):
            await servers.deliver("b1", U1, name)
        new.deliver(U1, "moved")
        moved = next(key for key, mail in new.mailbox(U1).mails.items() if mail.ingest_id == "moved")
        del new.mailbox(U1).mails[moved]  # the user has read and deleted it at the new home
        servers.place("b1", "a1", 2)
        await servers.start("a1")
        await ready(servers, "b1")
        assert old.ids(U1) == new.ids(U1) == ["later", "replayed", "unseen"]
        everything = ["later", "moved", "replayed", "unseen"]
        assert await servers.held("a1", U1, everything, "b1", 2) == everything
        assert not new.deliver(U1, "unseen"), "a replay that comes late is refused: the message came from the old home"

    run(test)


def test_a_replay_in_the_midst_of_a_reconciliation_leaves_one_message(run: Run) -> None:
    async def test(servers: Platform) -> None:
        old, new = servers.dovecots["a1"], servers.dovecots["b1"]
        old.deliver(U1, "x")
        new.during_sync = lambda user: new.replay(user, U1, "x")
        servers.place("b1", "a1", 2)
        await servers.start(*NAMES)
        await ready(servers, "b1")
        await until(lambda: old.ids(U1) == new.ids(U1) == ["x"], "one message on both")

    run(test)


def test_a_record_that_a_delivery_at_the_same_time_overwrote_is_put_back(run: Run) -> None:
    async def test(servers: Platform) -> None:
        old, new = servers.dovecots["a1"], servers.dovecots["b1"]
        old.deliver(U1, "x")
        new.deliver(U1, "y")
        path = new.store.ledger(U1)
        before = path.read_bytes()
        servers.place("b1", "a1", 2)
        await servers.start(*NAMES)
        await until(lambda: ledger.ingest_key("x", U1) in ledger.read(path), "the record came")
        path.write_bytes(before)  # what Dovecot does that read its ledger earlier
        await ready(servers, "b1")
        assert ledger.ingest_key("x", U1) in ledger.read(path)

    run(test)


def test_one_broken_mailbox_does_not_hold_up_the_others(run: Run) -> None:
    async def test(servers: Platform) -> None:
        for user in (U1, V1):
            servers.dovecots["a1"].deliver(user, "x")
        servers.dovecots["b1"].broken.add(V1)
        await servers.start(*NAMES)
        await until(lambda: servers.dovecots["b1"].ids(U1) == ["x"], "the other mailbox is there")
        await until(lambda: servers.status("a1").get("groups_not_ready") == [1], "group 1 is not wholly ready")
        assert await servers.held("b1", U1, ["x"], "a1", 1) == ["x"]
        assert await servers.held("b1", V1, ["x"], "a1", 1) is None
        servers.dovecots["b1"].broken.clear()
        await ready(servers, "a1")
        assert await servers.held("b1", V1, ["x"], "a1", 1) == ["x"]

    run(test)


def test_a_standby_that_was_away_gets_what_it_missed_without_another_merge(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        await servers.stop("b1")
        servers.dovecots["b1"].down = True
        await servers.deliver("a1", U0, "x")
        await until(lambda: servers.status("a1")["retries"] > 1, "it is tried in vain")
        servers.dovecots["b1"].calls.clear()
        servers.dovecots["b1"].down = False
        await servers.start("b1")
        await until(lambda: servers.dovecots["b1"].ids(U0) == ["x"], "the message is there")
        assert "fetch" not in {name for name, _ in servers.dovecots["b1"].calls}

    run(test)


def test_a_standby_that_lost_its_disk_is_reconciled_again(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        await servers.deliver("a1", U0, "x")
        await until(lambda: servers.dovecots["b1"].ids(U0) == ["x"], "synchronised")
        await servers.stop("b1")
        (servers.settings["b1"].state_directory / "groups.json").unlink()
        servers.dovecots["b1"].mailbox(U0).mails.clear()
        servers.dovecots["b1"].store.ledger(U0).unlink()
        await servers.start("b1")
        await until(lambda: ledger.read(servers.dovecots["b1"].store.ledger(U0)), "its ledger came again")
        assert servers.dovecots["b1"].ids(U0) == ["x"] == servers.dovecots["a1"].ids(U0)

    run(test)


def test_preparing_raises_every_counter_once_an_epoch(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start("b1")
        box = servers.dovecots["b1"]
        box.deliver(U1, "x")
        box.deliver(U1, "y", "Junk")
        before = dict(box.mailbox(U1).uid_next)
        assert (await servers.prepare("b1", (1, 2)))["prepared"] == [[1, 2]]
        assert box.mailbox(U1).uid_next == {name: uid + UID_GAP for name, uid in before.items()}
        assert min(box.mailbox(U1).modseq.values()) > MODSEQ_GAP
        raised = dict(box.mailbox(U1).uid_next)
        assert (await servers.prepare("b1", (1, 2)))["prepared"] == [[1, 2]]
        await servers.stop("b1")
        await servers.start("b1")
        assert (await servers.prepare("b1", (1, 2)))["prepared"] == [[1, 2]]
        assert box.mailbox(U1).uid_next == raised

    run(test)


def test_without_dovecot_nothing_is_prepared_and_a_broken_mailbox_is_no_hindrance(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start("b1")
        box = servers.dovecots["b1"]
        box.deliver(U1, "x")
        box.down = True
        answer = await servers.prepare("b1", (1, 2))
        assert answer["prepared"] == []
        assert "is Dovecot running?" in answer["error"]
        box.down = False
        box.broken.add(U1)
        assert (await servers.prepare("b1", (1, 2)))["prepared"] == [[1, 2]]
        assert "expected is" in (await servers.prepare("b1", (1, 2, 3)))["error"]  # type: ignore[arg-type]

    run(test)


def test_sessions_of_mailboxes_that_moved_away_are_ended(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        servers.dovecots["a1"].sessions = [U1, "somebody@else.example"]
        servers.place("b1", "a1", 2)
        await until(lambda: servers.dovecots["a1"].kicked == [U1], "the session is ended")

    run(test)


def test_a_difference_that_no_event_told_of_is_found_and_repaired(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "LONGEST_S", 0.05)
    monkeypatch.setattr(walk, "IDLE_S", 0.05)

    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        servers.dovecots["a1"].deliver(U0, "x")
        home_ledger = servers.dovecots["a1"].store.ledger(U0)
        home_ledger.unlink()  # Dovecot lost the record
        await until(lambda: servers.status("a1")["repaired"] == 1, "repaired")
        assert servers.dovecots["b1"].ids(U0) == ["x"]
        servers.dovecots["a1"].flag(U0, "x", "\\Seen")
        await until(lambda: next(iter(servers.dovecots["b1"].mailbox(U0).mails.values())).flags, "flags too")
        await until(lambda: servers.status("a1")["repaired"] == 2, "it is counted")
        await until(lambda: servers.status("a1")["healed_records"] == 1, "the record is back")
        assert ledger.ingest_key("x", U0) in ledger.read(home_ledger)
        assert servers.status("a1")["unequal"] == {}
        metrics = (servers.settings["a1"].state_directory / "metrics.prom").read_text()
        assert "onedallmail_mailboxes_healed_records_total 1" in metrics

    run(test)


def test_after_a_restart_every_mailbox_is_taken_for_changed(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        await servers.stop("a1")
        servers.dovecots["a1"].deliver(U0, "x")
        await servers.start("a1")
        await until(lambda: servers.dovecots["b1"].ids(U0) == ["x"], "it is synchronised")

    run(test)


def test_nothing_goes_to_a_standby_that_is_not_alive(run: Run) -> None:
    async def test(servers: Platform) -> None:
        servers.place("a1", "b1", 1, alive=("a1",))
        await servers.start(*NAMES)
        await servers.deliver("a1", U0, "x")
        await asyncio.sleep(1)
        assert servers.dovecots["b1"].ids(U0) == []
        servers.place("a1", "b1", 1)
        await until(lambda: servers.dovecots["b1"].ids(U0) == ["x"], "it goes when the standby lives")

    run(test)


def test_a_user_without_any_mailbox_gets_none_by_it(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        assert not any(servers.dovecots[name].store.stored(U0) for name in NAMES)

    run(test)


def test_a_record_of_groups_that_is_damaged_is_none(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.declare(3, Declared("a1", 5, frozenset({"u"})))
    record.prepare({4: 6})
    again = Record(tmp_path)
    assert (again.declared(3), again.prepared(4)) == (Declared("a1", 5, frozenset({"u"})), 6)
    (tmp_path / "groups.json").write_text("{")
    assert Record(tmp_path).declared(3) is None


@pytest.mark.parametrize("user", ["", "nobody", "../x@acme.example", "x@..", "a/../b@acme.example", "@acme.example"])
def test_no_name_leads_out_of_the_directory_of_mailboxes(tmp_path: Path, user: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        Store(tmp_path).home(user)


def test_without_dovecot_the_error_says_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key")
    with pytest.raises(DovecotError, match=r"no answer from port 1 .*is Dovecot running"):
        Api(1, tmp_path / "key").one("who", {})


def test_a_wrong_configuration_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "mailboxes.json"
    path.write_text(json.dumps({"server": "a1"}))
    assert main(["--check", str(path)]) == 1
    assert "run role mailboxes again" in caplog.text
