"""What a merge keeps to, whatever fails in the midst of it: the habits that the protocol model assumes."""

import asyncio
import json
from pathlib import Path

import pytest

from onedallmail.mailboxes import ledger
from onedallmail.mailboxes.kept import Merging, Raised, Taken
from onedallmail.mailboxes.rules import Message
from tests.unit.mailbox_servers import NAMES, U0, U1, Platform, Run, ready, runner, until


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a test on a platform of its own."""
    return runner(tmp_path, monkeypatch)


def merging(servers: Platform, name: str) -> list[int]:
    """Return the groups that the placement service of a server must not take over."""
    path = servers.settings[name].state_directory / "merging.json"
    assert path.stat().st_mode & 0o444 == 0o444, "the placement service reads it"
    return list(json.loads(path.read_text())["groups"])


def merges(servers: Platform, name: str) -> int:
    """Return how many mailboxes a server listed."""
    return sum(command == "fetch" for command, _ in servers.dovecots[name].calls)


def test_a_group_is_named_as_merging_before_anything_goes_and_until_it_is_ready(run: Run) -> None:
    async def test(servers: Platform) -> None:
        old, new = servers.dovecots["a1"], servers.dovecots["b1"]
        old.deliver(U1, "x")
        new.deliver(U1, "x")
        seen: list[list[int]] = []
        new.during_sync = lambda _: seen.append(merging(servers, "a1"))
        servers.place("b1", "a1", 2)
        await servers.start(*NAMES)
        await ready(servers, "b1")
        assert 1 in seen[0]
        assert merging(servers, "a1") == []

    run(test)


def test_a_merge_that_did_not_end_is_known_after_a_restart_and_forgotten_where_it_does_not_matter(run: Run) -> None:
    async def test(servers: Platform) -> None:
        servers.dovecots["a1"].deliver(U1, "x")
        servers.dovecots["b1"].deliver(U1, "x")
        servers.dovecots["b1"].during_sync = lambda _: servers.lease("b1", held=False)
        servers.place("b1", "a1", 2)
        await servers.start(*NAMES)
        await until(lambda: merging(servers, "a1") == [1], "group 1 is being merged")
        await servers.stop("a1", "b1")
        await servers.start("a1")
        await asyncio.sleep(0.5)
        assert merging(servers, "a1") == [1]
        servers.place("b1", "c1", 3)
        await until(lambda: merging(servers, "a1") == [], "it is no standby any more")

    run(test)


def test_a_standby_forgets_the_ids_of_what_a_merge_drops(run: Run) -> None:
    """Were it home again before it has the home's message, it would refuse the replay: in no mailbox, and held."""

    async def test(servers: Platform) -> None:
        old, new = servers.dovecots["a1"], servers.dovecots["b1"]
        old.deliver(U1, "x")
        new.deliver(U1, "x")
        new.during_sync = new.broken.add  # it dies between the merge and the exchange
        servers.place("b1", "a1", 2)
        await servers.start(*NAMES)
        await until(lambda: old.ids(U1) == [], "the repeat is dropped")
        await servers.stop("b1")
        assert old.deliver(U1, "x"), "a replay is taken"

    run(test)


def test_nothing_begins_at_a_standby_without_a_lease(run: Run) -> None:
    async def test(servers: Platform) -> None:
        servers.dovecots["a1"].deliver(U1, "x")
        servers.lease("a1", held=False)
        await servers.start(*NAMES)
        await asyncio.sleep(1)
        assert merges(servers, "b1") == 0
        assert servers.dovecots["b1"].ids(U1) == []
        servers.lease("a1", held=True)
        await ready(servers, "a1")
        assert servers.dovecots["b1"].ids(U1) == ["x"]
        servers.lease("a1", held=False)
        await asyncio.sleep(0.4)
        await servers.deliver("a1", U1, "y")
        await asyncio.sleep(0.6)
        assert servers.dovecots["b1"].ids(U1) == ["x"]

    run(test)


def test_a_lease_that_ends_in_the_midst_of_a_merge_ends_it_before_the_next_mailbox(run: Run) -> None:
    async def test(servers: Platform) -> None:
        for user in (U0, U1):
            servers.dovecots["a1"].deliver(user, "x")
        servers.dovecots["a1"].during_sync = lambda _: servers.lease("a1", held=False)
        await servers.start(*NAMES)
        await asyncio.sleep(1.5)
        assert servers.status("a1")["groups_ready"] == 0, "no standby is declared ready without a lease"

    run(test)


def test_a_message_that_came_without_its_record_is_not_delivered_again(run: Run) -> None:
    """The old home died between saving and recording: its ledger is silent, its mailbox is not."""

    async def test(servers: Platform) -> None:
        servers.dovecots["a1"].save(U1, "x")
        servers.place("b1", "a1", 2)
        await servers.start(*NAMES)
        await ready(servers, "b1")
        assert servers.dovecots["b1"].ids(U1) == ["x"]
        assert not servers.dovecots["b1"].deliver(U1, "x")
        assert not servers.dovecots["a1"].deliver(U1, "x")

    run(test)


def test_a_merge_that_was_interrupted_after_the_exchange_still_finds_what_crossed(run: Run) -> None:
    async def test(servers: Platform) -> None:
        old, new = servers.dovecots["a1"], servers.dovecots["b1"]
        old.deliver(U1, "x")
        new.after_sync = lambda _: servers.lease("b1", held=False)
        servers.place("b1", "a1", 2)
        await servers.start(*NAMES)
        await until(lambda: new.ids(U1) == ["x"], "exchanged")
        await servers.stop("b1")
        new.store.ledger(U1).unlink(missing_ok=True)  # it died before it had recorded what came
        assert new.deliver(U1, "x"), "a replay that comes in between"
        new.after_sync = lambda _: None
        servers.lease("b1", held=True)
        await servers.start("b1")
        await ready(servers, "b1")
        assert old.ids(U1) == new.ids(U1) == ["x"]
        assert not list((servers.settings["b1"].state_directory / "taken").iterdir()), "and forgets it then"

    run(test)


def test_a_move_that_its_client_made_by_saving_anew_is_not_taken_for_a_repeat(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        await servers.deliver("a1", U1, "x")
        await until(lambda: servers.dovecots["b1"].ids(U1) == ["x"], "synchronised")
        await servers.stop("a1")
        old = servers.dovecots["a1"]
        (key,) = old.mailbox(U1).mails
        old.save(U1, "x", "Archive")
        del old.mailbox(U1).mails[key]
        old.mailbox(U1).expunged.add(key)
        servers.place("b1", "a1", 2, alive=("b1", "c1"))
        await servers.prepare("b1", (0, 2), (1, 2))
        servers.place("b1", "a1", 2)
        await servers.start("a1")
        await ready(servers, "b1")
        for name in ("a1", "b1"):
            assert [m.folder for m in servers.dovecots[name].mailbox(U1).mails.values()] == ["Archive"], name

    run(test)


def test_a_merge_waits_for_the_standbys_own_deliveries_and_sessions(run: Run) -> None:
    async def test(servers: Platform) -> None:
        old = servers.dovecots["a1"]
        old.deliver(U1, "x")
        old.sessions = [U1]
        servers.place("b1", "a1", 2)
        await servers.start(*NAMES)
        await until(lambda: servers.status("b1").get("groups_not_ready") == [1], "all but this mailbox")
        await asyncio.sleep(1)
        assert servers.dovecots["b1"].ids(U1) == []
        old.save(U1, "y")
        old.sessions = []
        await ready(servers, "b1")
        assert servers.dovecots["b1"].ids(U1) == ["x", "y"]

    run(test)


def test_becoming_home_records_what_the_mailbox_holds_before_it_is_prepared(run: Run) -> None:
    async def test(servers: Platform) -> None:
        box = servers.dovecots["b1"]
        await servers.start("b1")
        box.save(U1, "x")
        assert (await servers.prepare("b1", (1, 2)))["prepared"] == [[1, 2]]
        assert not box.deliver(U1, "x"), "synchronised, but its record had not been shipped"
        assert ledger.ingest_key("x", U1) in ledger.read(box.store.ledger(U1))

    run(test)


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    Merging(tmp_path).begin(3)
    again = Merging(tmp_path)
    assert again.groups == {3}
    again.end([3, 4])
    assert Merging(tmp_path).groups == frozenset()
    (tmp_path / "merging.json").write_text("{")
    assert Merging(tmp_path).groups == frozenset()
    Raised(tmp_path).write(5, {U0: {"guid": 7}})
    assert Raised(tmp_path).read(5) == {U0: {"guid": 7}}
    assert Raised(tmp_path).read(6) == {}
    taken = Taken(tmp_path)
    taken.write(U0, [Message("f", "g", "x"), Message("f", "h", "")])
    assert taken.read(U0) == [Message("f", "g", "x")], "what has no id can't cross a replay"
    assert taken.read(U1) == []
    taken.forget(U0)
    taken.forget(U0)
    assert taken.read(U0) == []
