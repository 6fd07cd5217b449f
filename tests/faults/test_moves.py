"""A server is drained and gets its groups back under load: nothing is lost, and who is connected connects once more."""

import imaplib
import random
import threading
import time
from collections.abc import Sequence

import pytest
from typer.testing import CliRunner

from onedallmail.cli import app
from onedallmail.evidence.attachments import Evidence
from tests.faults.journal import Journal, Load
from tests.faults.placement import groups, served, signal_service, status
from tests.faults.writers import Turns
from tests.lab import MAIL, STACK, eventually, password
from tests.mail.clients import Imap

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

BROKEN = (imaplib.IMAP4.error, OSError, EOFError)
BACK_WITHIN_S = 30
"""A group is closed for seconds; its users may be asked to come again for that long."""
SETTLED_WITHIN_S = 150


class Watcher(threading.Thread):
    """A client that stays connected through one server, asks for news all the time, and connects again if it must."""

    def __init__(self, user: str, through: str) -> None:
        super().__init__(daemon=True)
        self.user, self.breaks, self.longest_s = user, 0, 0.0
        self.failure: Exception | AssertionError | None = None
        self._through, self._ended = through, threading.Event()

    def run(self) -> None:
        """Stay connected until it is stopped; count the ends of connections, and note how long it took to be back."""
        try:
            while not self._ended.is_set():
                begun = time.monotonic()
                client = eventually(f"{self.user} is let in", self._connected, BACK_WITHIN_S)
                self.longest_s = max(self.longest_s, time.monotonic() - begun if self.breaks else 0.0)
                self._stay(client)
        except (AssertionError, *BROKEN) as error:
            self.failure = error

    def _stay(self, client: Imap | None) -> None:
        assert client is not None
        try:
            while not self._ended.wait(0.2):
                assert client.noop()[0] == "OK"
            client.logout()
        except BROKEN:
            self.breaks += 1

    def _connected(self) -> Imap | None:
        try:
            client = Imap(self._through)
            client.login(self.user, password(self.user))
            client.select("INBOX")
        except BROKEN:
            return None
        return client

    def stop(self) -> None:
        """End it; fail if it could not connect again."""
        self._ended.set()
        self.join(timeout=BACK_WITHIN_S + 5)
        assert not self.is_alive(), f"{self.user} was not let in again within {BACK_WITHIN_S} s"
        assert self.failure is None, self.failure


def run(*words: str) -> str:
    """Run the command, which must succeed; return what it says."""
    result = CliRunner().invoke(app, ["placement", *words, "--stack", STACK], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def homes_of(server: str) -> set[str]:
    """Return the groups that a server is home of, as another one sees it."""
    return {number for number, group in groups(MAIL[0]).items() if group["home"] == server}


@pytest.mark.usefixtures("whole")
@pytest.mark.control("iso27001:A.8.14", "iso27001:A.8.32", "soc2:CC7.5", "soc2:CC8.1")
def test_a_server_is_drained_and_filled_again_under_load(
    chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """Maintenance must cost nobody more than one reconnect, and no message."""
    drained = chance.choice(MAIL)
    others = [name for name in MAIL if name != drained]
    evidence.describe(population=", ".join(MAIL), sample=f"{drained} drained and filled again")
    before, journal, said = homes_of(drained), Journal(), []
    turns = Turns(list(residents.values()))
    watchers = [Watcher(user, chance.choice(others)) for user in residents.values()]
    load = Load(journal, list(MAIL), list(residents.values()))
    for thread in (*watchers, load):
        thread.start()
    try:
        time.sleep(2)
        said.append(run("drain", drained))
        eventually(f"{MAIL[0]} knows that {drained} is home of nothing", lambda: not homes_of(drained), BACK_WITHIN_S)
        eventually(f"{drained} serves nothing", lambda: not served(drained), 15)
        once = _breaks(watchers)
        turns.follow()
        said += [run("undrain", drained), run("rebalance")]
    finally:
        load.stop()
        for watcher in watchers:
            watcher.stop()
        evidence.attach_text("said.txt", "\n".join(said))
        evidence.attach_text("journal.txt", journal.text())
        evidence.attach_text("breaks.txt", "\n".join(f"{w.user} {w.breaks} {w.longest_s:.1f} s" for w in watchers))
    eventually(f"{drained} has its share again", lambda: len(homes_of(drained)) == len(before), BACK_WITHIN_S)
    assert once[residents[drained]] == 1, "its own user was not moved, so nothing is being tested"
    assert all(count <= 1 for count in once.values()), f"the drain broke connections more than once: {once}"
    both = _breaks(watchers)
    assert all(both[user] - once[user] <= 1 for user in both), f"filling it broke connections more than once: {both}"
    journal.settle(list(residents.values()), others[0], SETTLED_WITHIN_S)
    assert turns.trespasses() == [], "a mailbox had two writers"


def _breaks(watchers: Sequence[Watcher]) -> dict[str, int]:
    return {watcher.user: watcher.breaks for watcher in watchers}


@pytest.mark.usefixtures("whole")
@pytest.mark.control("iso27001:A.8.14", "soc2:CC7.5")
def test_a_service_that_is_killed_in_the_middle_of_a_move_begins_anew(chance: random.Random) -> None:
    """The request stays in etcd, and what was closed is served again until it is handed over for good."""
    number, group = chance.choice(sorted(groups(MAIL[0]).items()))
    home, standby = str(group["home"]), str(group["standby"])
    killed: list[float] = []

    def kill() -> None:
        eventually("the move has begun", lambda: status(home)["moves"], BACK_WITHIN_S, every_s=0.02)
        signal_service(home, "SIGKILL")
        killed.append(time.monotonic())

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    run("move", "--group", number)
    killer.join()
    assert killed, "the service was not killed, so nothing is being tested"
    eventually(f"group {number} is served by its standby", lambda: number in served(standby), BACK_WITHIN_S)
    assert groups(standby)[number]["epoch"] == group["epoch"] + 1
