"""Which mailboxes wait for synchronisation, and what Dovecot's events say."""

import asyncio
import json
import socket
from pathlib import Path

import pytest

from onedallmail.mailboxes.dirty import LONGEST_PAUSE_S, Dirty, DirtyTable, pause_s
from onedallmail.mailboxes.events import MAX_LINE_BYTES, Listener, event_of
from onedallmail.mailboxes.sockets import listening


def everybody(_entry: Dirty) -> bool:
    return True


def names(claimed: list[Dirty]) -> list[str]:
    return [entry.user for entry in claimed]


@pytest.fixture
def table(tmp_path: Path) -> DirtyTable:
    return DirtyTable(tmp_path / "dirty.sqlite")


def test_a_mailbox_is_claimed_once_and_the_oldest_first(table: DirtyTable) -> None:
    table.mark(["b"], 2)
    table.mark(["a"], 1)
    table.mark(["b"], 3)
    assert names(table.claim(10, 1, everybody)) == ["a"]
    (second,) = table.claim(10, 5, everybody)
    assert second == Dirty("b", 2, 3, 0)
    assert table.claim(10, 5, everybody) == []


def test_a_synchronised_mailbox_is_out_unless_it_changed_meanwhile(table: DirtyTable) -> None:
    table.mark(["a", "b"], 1)
    table.claim(10, 2, everybody)
    table.mark(["b"], 11)
    table.mark(["b"], 12)
    table.done("a")
    table.done("b")
    assert table.claim(20, 5, everybody) == [Dirty("b", 11, 12, 0)]


def test_a_failed_mailbox_waits_longer_each_time(table: DirtyTable) -> None:
    table.mark(["a"], 1)
    now = 10.0
    waits = []
    for _ in range(12):
        assert names(table.claim(now, 1, everybody)) == ["a"]
        wait_s = table.failed("a", now)
        assert table.claim(now + wait_s - 0.01, 1, everybody) == []
        now += wait_s
        waits.append(wait_s)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_PAUSE_S == pause_s(10_000)
    assert table.claim(now, 1, everybody)[0].first == 1


def test_mailboxes_that_may_not_go_now_wait_until_they_are_woken(table: DirtyTable) -> None:
    table.mark([f"u{n}" for n in range(1200)], 1)
    asked: list[str] = []

    def not_yet(entry: Dirty) -> bool:
        asked.append(entry.user)
        return False

    assert table.claim(10, 4, not_yet) == []
    assert len(asked) == 1200
    assert table.claim(10, 4, everybody) == []
    table.wake(["u7"])
    assert names(table.claim(10, 4, everybody)) == ["u7"]
    table.wake()
    assert len(table.claim(10, 2000, everybody)) == 1199


def test_a_mailbox_of_nobody_is_forgotten(table: DirtyTable) -> None:
    table.mark(["a"], 1)
    assert table.claim(10, 4, lambda _: None) == []
    assert table.count() == 0


def test_the_table_survives_a_restart(tmp_path: Path) -> None:
    first = DirtyTable(tmp_path / "dirty.sqlite")
    first.mark(["a", "b"], 1)
    first.claim(10, 1, everybody)
    first.close()
    again = DirtyTable(tmp_path / "dirty.sqlite")
    assert (again.count(), again.oldest()) == (2, 1)
    assert names(again.claim(10, 5, everybody)) == ["a", "b"]


def event(name: str, user: str = "U@acme.example", **fields: str) -> bytes:
    return json.dumps({"event": name, "fields": {"user": user, **fields}}).encode()


@pytest.mark.parametrize(
    "line",
    [
        event("mail_delivery_finished"),
        event("imap_command_finished", cmd_name="UID STORE"),
        event("imap_command_finished", cmd_name="append"),
        event("imap_command_finished", cmd_name="UNSUBSCRIBE"),
        event("imap_command_finished", cmd_name="FETCH", cmd_args="1 (BODY[])"),
        event("imap_command_finished", cmd_name="UID FETCH", cmd_args="1:* RFC822"),
        event("managesieve_command_finished", cmd_name="PUTSCRIPT"),
        event("sieve_script_activated"),
    ],
)
def test_events_that_change_a_mailbox_name_it(line: bytes) -> None:
    found = event_of(line)
    assert found
    assert found.user == "u@acme.example"


@pytest.mark.parametrize(
    "line",
    [
        event("imap_command_finished", cmd_name="SELECT"),
        event("imap_command_finished", cmd_name="FETCH", cmd_args="1 (BODY.PEEK[] RFC822.SIZE)"),
        event("managesieve_command_finished", cmd_name="LISTSCRIPTS"),
        event("auth_request_finished"),
        event("mail_delivery_finished", user=""),
        b'{"event": "mail_delivery_finished"}',
    ],
)
def test_other_events_change_nothing(line: bytes) -> None:
    assert event_of(line) is None


class Deliveries:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def begun(self, user: str) -> None:
        self.told.append(("begun", user))

    def ended(self, user: str) -> None:
        self.told.append(("ended", user))


def heard(tmp_path: Path, *pieces: bytes, deliveries: Deliveries | None = None) -> tuple[list[str], int]:
    """Return users and losses after these pieces came over one connection."""
    users: list[str] = []
    losses: list[None] = []

    async def run() -> None:
        listener = Listener(
            lambda found: users.append(found.user), lambda: losses.append(None), deliveries or Deliveries()
        )
        await listener.start(listening("events", tmp_path / "events.sock"))
        _, writer = await asyncio.open_unix_connection(tmp_path / "events.sock")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.close()
        await asyncio.sleep(0.05)
        await listener.close()

    asyncio.run(run())
    return users, len(losses)


def test_events_arrive_in_pieces(tmp_path: Path) -> None:
    line = event("mail_delivery_finished") + b"\n"
    assert heard(tmp_path, line[:10], line[10:] + line[:5], line[5:]) == (["u@acme.example"] * 2, 0)


def test_a_delivery_that_begins_changes_nothing_yet(tmp_path: Path) -> None:
    deliveries = Deliveries()
    lines = b"".join(event(f"mail_delivery_{what}") + b"\n" for what in ("started", "finished", "started"))
    assert heard(tmp_path, lines, deliveries=deliveries) == (["u@acme.example"], 0)
    assert [what for what, _ in deliveries.told] == ["begun", "ended", "begun"]


def test_an_event_that_can_not_be_read_makes_every_mailbox_suspect(tmp_path: Path) -> None:
    line = event("mail_delivery_finished") + b"\n"
    assert heard(tmp_path, b"{nonsense}\n" + line) == (["u@acme.example"], 1)
    assert heard(tmp_path, line + line[:20]) == (["u@acme.example"], 1)
    assert heard(tmp_path, b"x" * (MAX_LINE_BYTES + 1)) == ([], 1)


def test_a_listener_takes_over_the_path_of_a_dead_one(tmp_path: Path) -> None:
    listening("events", tmp_path / "s").close()
    with listening("events", tmp_path / "s") as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
