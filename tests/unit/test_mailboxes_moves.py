"""Planned moves, take-overs with synchronisations under way, interrupted deliveries, and removed Sieve scripts."""

import asyncio
import socket
from pathlib import Path

import pytest

from onedallmail.mailboxes import deliveries, incoming, moving, prepare
from onedallmail.mailboxes.scripts import Scripts
from onedallmail.mailboxes.settings import Settings
from tests.unit.mailbox_servers import NAMES, U0, U1, V1, Platform, Run, ready, runner, until

SOME = frozenset({("0100007F:279F", "0100007F:C350")})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a test on a platform of its own."""
    monkeypatch.setattr(moving, "LEAVE_S", 0.5)
    return runner(tmp_path, monkeypatch)


def serve(servers: Platform, name: str, *groups: int) -> None:
    """Write the file `home` of a server's placement service: it serves these groups."""
    lines = [f"{group}:::::::{'' if group in groups else 'tempfail'}\n" for group in range(2)]
    (servers.settings[name].placement_directory / "home").write_text("".join(lines))


def test_before_a_move_the_standby_is_brought_up_to_date_while_the_home_serves(run: Run) -> None:
    async def test(servers: Platform) -> None:
        await servers.start(*NAMES)
        await ready(servers, "a1")
        servers.dovecots["a1"].deliver(U1, "x")  # no event told of it
        assert await servers.ask("a1", "sync", (1, 1)) == {"synced": [1], "failed": {}}
        assert servers.dovecots["b1"].ids(U1) == ["x"]
        assert await servers.held("b1", U1, ["x"], "a1", 1) == ["x"]
        answer = await servers.ask("a1", "sync", (1, 2), (0, 1))
        assert answer["synced"] == [0]
        assert "epoch" in answer["failed"]["1"]

    run(test)


def test_a_group_is_handed_over_when_nothing_of_it_runs_and_everything_is_there(run: Run) -> None:
    async def test(servers: Platform) -> None:
        old, new = servers.dovecots["a1"], servers.dovecots["b1"]
        old.kicks_end = True
        await servers.start(*NAMES)
        await ready(servers, "a1")
        serve(servers, "a1", 0, 1)
        assert "still serves" in (await servers.ask("a1", "handover", (1, 1)))["failed"]["1"]
        serve(servers, "a1", 0)
        old.sessions = [U0, U1]
        old.deliver(U1, "x")
        old.save(V1, "y")  # interrupted before it was recorded
        assert await servers.ask("a1", "handover", (1, 1)) == {"handed": [1], "failed": {}}
        assert old.sessions == [U0]
        assert (new.ids(U1), new.ids(V1)) == (["x"], ["y"])
        assert not new.deliver(V1, "y")
        assert await servers.ask("a1", "handover", (1, 1)) == {"handed": [1], "failed": {}}

    run(test)


def test_a_group_is_not_handed_over_while_a_delivery_runs_or_a_mailbox_fails(run: Run) -> None:
    async def test(servers: Platform) -> None:
        old = servers.dovecots["a1"]
        await servers.start(*NAMES)
        await ready(servers, "a1")
        serve(servers, "a1")
        old.sessions = [U1]
        assert "do not end" in (await servers.ask("a1", "handover", (1, 1)))["failed"]["1"]
        old.sessions = []
        for user in (U1, V1):
            old.deliver(user, "x")
        servers.dovecots["b1"].broken.add(V1)
        answer = await servers.ask("a1", "handover", (0, 1), (1, 1))
        assert answer["handed"] == [0]
        assert V1 in answer["failed"]["1"]
        servers.dovecots["b1"].broken.clear()
        assert await servers.ask("a1", "handover", (1, 1)) == {"handed": [1], "failed": {}}

    run(test)


def test_nothing_is_handed_over_to_a_standby_that_is_not_ready_or_without_a_lease(run: Run) -> None:
    async def test(servers: Platform) -> None:
        serve(servers, "a1")
        servers.dovecots["a1"].deliver(U1, "x")
        servers.dovecots["b1"].broken.add(U1)
        await servers.start(*NAMES)
        await until(lambda: servers.status("a1").get("groups_not_ready") == [1], "group 0 is ready")
        for verb in ("sync", "handover"):
            assert "b1 is" in (await servers.ask("a1", verb, (1, 1)))["failed"]["1"]
        servers.lease("a1", held=False)
        assert "no lease" in (await servers.ask("a1", "handover", (0, 1)))["failed"]["0"]
        assert "expected is" in (await servers.ask("a1", "move", (0, 1)))["error"]

    run(test)


def test_a_home_waits_for_the_old_homes_synchronisations_and_records_what_late_ones_bring(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "INCOMING_S", 0.4)
    monkeypatch.setattr(prepare, "RECORD_S", 0.2)
    running = [SOME]
    monkeypatch.setattr(incoming, "connections", lambda _port: running[0])

    async def test(servers: Platform) -> None:
        box = servers.dovecots["b1"]
        await servers.start("b1")
        box.save(U1, "x")
        asked = asyncio.create_task(servers.prepare("b1", (1, 2)))
        await asyncio.sleep(0.2)
        assert ("mailboxStatus", U1) not in box.calls, "nothing is raised while it runs"
        box.save(U1, "y")
        assert (await asked)["prepared"] == [[1, 2]], "but not for ever"
        assert not box.deliver(U1, "y")
        box.save(U1, "late")
        running[0] = frozenset()
        await asyncio.sleep(0.5)
        assert not box.deliver(U1, "late")

    run(test)


def test_the_kernel_tells_of_connections_to_a_port_that_this_end_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert incoming.connections(port) == frozenset()
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        found = incoming.connections(port)
        assert len(found) == 1
        assert incoming.connections(client.getsockname()[1]), "each end is one"
        assert asyncio.run(incoming.ended(port, 0.1)) == found
        client.close()
        assert incoming.connections(port) == found, "what was sent may not have been read"
        accepted.close()
        assert asyncio.run(incoming.ended(port, 5, found)) == frozenset()
    assert incoming.connections(None) == frozenset()


def test_the_port_of_synchronisations_is_that_of_their_destination() -> None:
    def port(destination: str) -> int | None:
        settings = object.__new__(Settings)
        object.__setattr__(settings, "sync_destination", destination)
        return settings.sync_port

    assert port("tcp:{loopback}:10143") == 10143
    assert port("{address}") is None


def test_a_delivery_that_died_between_saving_and_recording_is_recorded_before_it_is_tried_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "LOOK_S", 0.1)
    monkeypatch.setattr(deliveries, "LONGEST_S", 0.3)

    async def test(servers: Platform) -> None:
        box = servers.dovecots["a1"]
        box.save(U0, "before")
        box.broken.add(U0)
        await servers.start(*NAMES)
        box.broken.clear()
        await until(lambda: servers.status("a1")["healed_records"] == 1, "at the start every mailbox is looked at")
        assert not box.deliver(U0, "before")
        await servers.event("a1", U1, "mail_delivery_started")
        box.save(U1, "x")
        await until(lambda: servers.status("a1")["healed_records"] == 2, "the record is there")
        assert not box.deliver(U1, "x")
        box.calls.clear()
        await servers.event("a1", V1, "mail_delivery_started")
        await asyncio.sleep(0.1)
        assert box.deliver(V1, "recorded")
        await servers.event("a1", V1)
        await asyncio.sleep(0.8)
        assert ("fetch", V1) not in box.calls, "one that ended with its record is not looked at"

    run(test)


def test_a_delivery_that_ended_well_without_a_record_is_recorded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dovecot delivers all the same when it can't write its ledger, as on a full disk."""
    monkeypatch.setattr(deliveries, "LOOK_S", 0.1)

    async def test(servers: Platform) -> None:
        box = servers.dovecots["a1"]
        assert box.deliver(U1, "first")
        await servers.start(*NAMES)
        await ready(servers, "a1")
        box.broken.add(U1)
        await servers.event("a1", U1, "mail_delivery_started")
        await asyncio.sleep(0.1)
        box.save(U1, "x")
        await servers.event("a1", U1)
        await until(lambda: ("fetch", U1) in box.calls, "it is looked at")
        box.broken.clear()
        await until(lambda: servers.status("a1")["healed_records"] == 1, "it is looked at until that succeeds")
        assert not box.deliver(U1, "x")

    run(test)


def test_a_script_that_its_user_removed_does_not_come_back(run: Run) -> None:
    async def test(servers: Platform) -> None:
        here, there = servers.dovecots["a1"], servers.dovecots["b1"]
        here.mailbox(U1)
        here.script(U1, "stays")
        here.script(U1, "goes")
        await servers.start(*NAMES)
        await ready(servers, "a1")
        assert there.scripts(U1) == ["goes", "stays"]
        await until(lambda: servers.status("a1")["dirty"] == 0, "no synchronisation runs")
        here.script(U1, "goes", None)
        await servers.event("a1", U1, "managesieve_command_finished", cmd_name="DELETESCRIPT", script_name="goes")
        await until(lambda: there.scripts(U1) == ["stays"], "it is gone at the standby")
        await servers.ask("a1", "sync", (1, 1))
        assert here.scripts(U1) == ["stays"]
        await servers.stop("a1")
        here.script(U1, "stays", None)  # while nobody listened
        await servers.start("a1")
        await until(lambda: there.scripts(U1) == [], "it is gone at the standby")
        assert here.scripts(U1) == []

    run(test)


def test_a_script_that_its_user_removes_during_a_synchronisation_does_not_come_back(run: Run) -> None:
    async def test(servers: Platform) -> None:
        here, there = servers.dovecots["a1"], servers.dovecots["b1"]
        here.mailbox(U1)
        for name in ("goes", "renamed", "saved again"):
            here.script(U1, name)
        await servers.start(*NAMES)
        await ready(servers, "a1")

        def remove(_: str) -> None:
            here.during_sync = lambda _: None
            for name in ("goes", "renamed", "saved again"):
                here.script(U1, name, None)
            here.script(U1, "new name")

        here.during_sync = remove
        await servers.event("a1", U1)
        await until(lambda: "new name" in there.scripts(U1), "synchronised")
        assert "goes" in here.scripts(U1), "brought back"
        kind = "managesieve_command_finished"
        await servers.event("a1", U1, kind, cmd_name="DELETESCRIPT", script_name="saved again")
        await servers.event("a1", U1, kind, cmd_name="PUTSCRIPT", script_name="saved again")
        await servers.event("a1", U1, kind, cmd_name="DELETESCRIPT", script_name="goes")
        names = {"old_script_name": "renamed", "new_script_name": "new name"}
        await servers.event("a1", U1, kind, cmd_name="RENAMESCRIPT", **names)
        await servers.event("a1", U1, kind, cmd_name="DELETESCRIPT", script_name="new name", error="it is active")
        await until(lambda: there.scripts(U1) == ["new name", "saved again"], "gone at the standby")
        assert here.scripts(U1) == ["new name", "saved again"]

    run(test)


def test_a_folder_that_its_user_removed_is_removed_at_a_ready_standby_first(run: Run) -> None:
    async def test(servers: Platform) -> None:
        here, there = servers.dovecots["a1"], servers.dovecots["b1"]
        here.deliver(U1, "x", "Old")
        there.save(U1, "y", "Of its own")
        await servers.start(*NAMES)
        await ready(servers, "a1")
        assert "Of its own" in here.mailbox(U1).uid_next, "a merge removes no folder"
        here.remove(U1, "Old")
        await servers.event("a1", U1, "imap_command_finished", cmd_name="DELETE", cmd_args="Old")
        await until(lambda: "Old" not in there.mailbox(U1).uid_next, "gone")
        assert ("mailboxDelete", U1) in there.calls
        assert "Old" not in here.mailbox(U1).uid_next
        assert there.ids(U1) == ["y"]

    run(test)


def test_a_script_that_only_the_returned_standby_has_is_no_removed_one(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path)
    scripts.note(U1, 1, ["a", "b"])
    assert scripts.missing(U1, 1, ["a"]) == {"b"}
    assert scripts.missing(U1, 2, ["a"]) == frozenset(), "another home may have had it since"
    scripts.close()
    again = Scripts(tmp_path)
    assert again.missing(U1, 1, []) == {"a", "b"}
    assert again.missing(V1, 1, []) == frozenset()
    again.close()
