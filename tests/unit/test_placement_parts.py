"""The parts around the map: what the fence tells nft, whom preparation asks, and when the watch wakes the rest."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from onedallmail.placement import fence as fence_module
from onedallmail.placement.courier import Courier, Job, Verb
from onedallmail.placement.fence import Fence
from onedallmail.placement.prepare import ABSENT_WAIT_S, Preparer
from onedallmail.placement.store import EtcdError
from onedallmail.placement.watch import CAUGHT_UP_S, PAUSE_S, Watcher

from .placements import Clock, MemoryStore

FLUSH = "flush set inet onedallmail_fence alive"


class Nft:
    """A program in nft's place, which keeps what it is asked and fails while a file says so."""

    def __init__(self, folder: Path) -> None:
        self.asked, self.failing = folder / "asked", folder / "failing"
        self.program = folder / "nft"
        self.program.write_text(
            f'#!/bin/sh\necho "$@" >>{self.asked}\n[ "$2" = - ] && cat >>{self.asked}\n'
            f'[ -e {self.failing} ] || exit 0\n[ "$2" = {folder}/fence.nft ] && rm {self.failing} && exit 0\n'
            "echo 'no such table' >&2\nexit 1\n"
        )
        self.program.chmod(0o755)

    def lines(self) -> list[str]:
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        self.asked.unlink(missing_ok=True)
        return lines


@pytest.fixture
def nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nft:
    program = Nft(tmp_path)
    monkeypatch.setattr(fence_module, "NFT", str(program.program))
    return program


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_fence_is_opened_for_what_is_left(tmp_path: Path, nft: Nft, clock: Clock) -> None:
    fence = Fence((10024, 10993), tmp_path / "fence.nft", clock)
    fence.open(clock.now + 6.5)
    assert nft.lines() == [
        "-f -",
        "destroy element inet onedallmail_fence alive { 10024, 10993 }",
        "add element inet onedallmail_fence alive { 10024 timeout 6500ms, 10993 timeout 6500ms }",
    ]
    assert fence.open_for() == 6.5
    clock.now += 7
    assert fence.open_for() == 0


def test_the_fence_is_not_opened_too_late(tmp_path: Path, nft: Nft, clock: Clock) -> None:
    Fence((10024,), tmp_path / "fence.nft", clock).open(clock.now + 0.01)
    assert nft.lines() == []


def test_a_pause_while_opening_closes_the_fence(tmp_path: Path, nft: Nft) -> None:
    """Stopped between reckoning and writing, this process opens it too long: it must notice when it goes on."""
    times = iter([1000.0, 1020.0, 1020.0])
    fence = Fence((10024,), tmp_path / "fence.nft", lambda: next(times))
    fence.open(1007.0)
    assert nft.lines()[-1] == FLUSH
    assert fence.open_for() == 0


def test_a_table_that_was_flushed_is_put_in_place_again(tmp_path: Path, nft: Nft, clock: Clock) -> None:
    nft.failing.touch()
    fence = Fence((10024,), tmp_path / "fence.nft", clock)
    fence.open(clock.now + 5)
    asked = nft.lines()
    assert f"-f {tmp_path}/fence.nft" in asked
    assert len([line for line in asked if line.startswith("add element")]) == 2
    assert (fence.error, fence.open_for()) == (None, 5)


def test_a_fence_that_can_not_be_opened_is_told(tmp_path: Path, nft: Nft, clock: Clock) -> None:
    fence = Fence((10024,), tmp_path / "fence.nft", clock)
    nft.program.write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    fence.open(clock.now + 5)
    assert "Operation not permitted" in str(fence.error)
    assert fence.open_for() == 0


def test_the_fence_is_closed_at_once(tmp_path: Path, nft: Nft, clock: Clock) -> None:
    fence = Fence((10024,), tmp_path / "fence.nft", clock)
    fence.open(clock.now + 5)
    fence.close()
    assert nft.lines()[-1] == FLUSH
    assert fence.open_for() == 0


class Mailboxes:
    """A service at a Unix socket that answers each request with the next of some lines."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.answers: list[str] = []
        self.asked: list[str] = []
        self.thread = Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rw") as lines:
                self.asked.append(lines.readline())
                lines.write(self.answers.pop(0))


@pytest.fixture
def mailboxes(tmp_path: Path) -> Iterator[Mailboxes]:
    service = Mailboxes(tmp_path / "mailboxes.sock")
    yield service
    service.listener.shutdown(socket.SHUT_RDWR)
    service.listener.close()
    service.thread.join()


def test_groups_are_prepared_over_the_socket(tmp_path: Path, mailboxes: Mailboxes, clock: Clock) -> None:
    told: list[str] = []
    mailboxes.answers.append('{"prepared": [[3, 2], [5, 4]]}\n')
    preparer = Preparer(tmp_path / "mailboxes.sock", 10, {1: 7}, lambda: told.append("change"), clock)
    preparer.want({5: 4, 3: 2, 1: 7})
    assert preparer.allowed == {1: 7}
    preparer.turn()
    assert [json.loads(line) for line in mailboxes.asked] == [{"prepare": [[3, 2], [5, 4]]}]
    assert preparer.allowed == preparer.prepared == {1: 7, 3: 2, 5: 4}
    assert told == ["change"]


def test_groups_are_handed_over_over_the_socket(tmp_path: Path, mailboxes: Mailboxes, clock: Clock) -> None:
    told: list[str] = []
    mailboxes.answers.append('{"handed": [5], "failed": {"3": "a session does not end"}}\n')
    courier = Courier(tmp_path / "mailboxes.sock", lambda: told.append("change"), clock)
    courier.work()
    assert not courier.busy
    courier.give(Job(Verb.HANDOVER, {5: 4, 3: 2}, {5: 90, 3: 91}, clock.now))
    assert courier.busy
    assert courier.fetch() is None
    courier.work()
    answer = courier.fetch()
    assert answer is not None
    assert [json.loads(line) for line in mailboxes.asked] == [{"handover": [[3, 2], [5, 4]]}]
    assert (answer.done, answer.why(3), answer.why(5)) == ({5}, "a session does not end", "")
    assert told == ["change"]
    assert courier.fetch() is None
    assert not courier.busy


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "mailboxes.sock"),
        ("[]\n", "it answered"),
        ('{"error": "ValueError: x"}\n', "ValueError: x"),
        ('{"synced": [null]}\n', "mailboxes.sock"),
        ('{"synced": [9]}\n', "no reason given"),
        ('{"synced": [], "failed": []}\n', "no reason given"),
    ],
)
def test_an_answer_that_is_none_moves_nothing(
    tmp_path: Path, mailboxes: Mailboxes, clock: Clock, answer: str, reason: str
) -> None:
    mailboxes.answers.append(answer)
    courier = Courier(tmp_path / "mailboxes.sock", lambda: None, clock)
    courier.give(Job(Verb.SYNC, {3: 2}, {3: 90}, clock.now))
    courier.work()
    found = courier.fetch()
    assert found is not None
    assert found.done == frozenset()
    assert reason in found.why(3)


@pytest.mark.parametrize("answer", ["", "no JSON\n", "[]\n", '{"prepared": 3}\n', '{"prepared": [[3, 1]]}\n'])
def test_an_answer_that_is_none_prepares_nothing(
    tmp_path: Path, mailboxes: Mailboxes, clock: Clock, answer: str
) -> None:
    mailboxes.answers.append(answer)
    preparer = Preparer(tmp_path / "mailboxes.sock", 10, {}, lambda: None, clock)
    preparer.want({3: 2})
    assert 0 < preparer.turn() < 1
    assert preparer.allowed == {}


def test_a_group_that_is_left_out_is_asked_for_again(
    tmp_path: Path, mailboxes: Mailboxes, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    mailboxes.answers += ['{"prepared": [[3, 2]], "error": "a mailbox is locked"}\n'] * 2
    preparer = Preparer(tmp_path / "mailboxes.sock", 10, {}, lambda: None, clock)
    preparer.want({3: 2, 5: 4})
    preparer.turn()
    assert preparer.allowed == {3: 2}
    clock.now += 10
    preparer.turn()
    assert preparer.allowed == {3: 2, 5: 4}
    assert "a mailbox is locked" in caplog.text
    assert json.loads(mailboxes.asked[1]) == {"prepare": [[5, 4]]}


def test_a_service_that_is_not_there_is_waited_for_a_little(tmp_path: Path, clock: Clock) -> None:
    preparer = Preparer(tmp_path / "mailboxes.sock", 10, {}, lambda: None, clock)
    preparer.want({3: 2})
    preparer.turn()
    assert preparer.allowed == {}
    clock.now += ABSENT_WAIT_S
    preparer.turn()
    assert (preparer.allowed, preparer.prepared) == ({3: 2}, {})


def test_the_watch_wakes_once_for_each_change(clock: Clock) -> None:
    store, woken, read = MemoryStore(clock), [], [1]
    watcher = Watcher(store, 5, lambda: read[0], lambda: woken.append(read[0]))
    assert watcher.turn() == 0
    store.put_group(0, "a1", "b1", 1)
    assert watcher.turn() == 0
    assert woken == [1]
    assert watcher.turn() == CAUGHT_UP_S  # not before it was read
    read[0] = store.revision
    assert watcher.turn() == 0
    assert woken == [1]


def test_a_watch_that_breaks_has_the_map_read_again(clock: Clock) -> None:
    store, woken = MemoryStore(clock, gone=True), []
    assert Watcher(store, 5, lambda: 1, lambda: woken.append(1)).turn() == PAUSE_S
    assert woken == [1]
    with pytest.raises(EtcdError):
        store.read("/")
