"""The faults that are no plain kill do what they say, and end: one that did nothing would make every campaign pass."""

import json
import random
import time
from datetime import datetime

import pytest

from onedallmail.platform.ports import Port
from tests.faults.clock import jumped
from tests.faults.journal import Journal, Load
from tests.faults.kinds import cut, mend
from tests.faults.storage import DAMAGE, STORE, copies_full, server_stalled
from tests.hosts.reach import reachable
from tests.lab import MAIL, eventually, run_on, server

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("whole"), pytest.mark.timeout(300)]
MAILBOXES = "onedallmail-mailboxes"


def test_a_server_without_room_for_copies_refuses_mail_until_it_has_room(
    chance: random.Random, residents: dict[str, str]
) -> None:
    name, journal = chance.choice(MAIL), Journal()
    user = residents[name]
    other = next(n for n in MAIL if server(n).region == server(name).region and n != name)
    fault = copies_full(chance, [name])
    try:
        fault.inject()
        assert run_on(name, f"mountpoint -q {STORE}").code == 0
        assert not journal.offer(name, user)
        assert journal.offer(other, user), "only one server's store is full"
    finally:
        fault.end()
    assert run_on(name, f"mountpoint -q {STORE}").code != 0
    eventually("mail is accepted again", lambda: journal.offer(name, user), 30)
    journal.settle([user], other, 60)


def test_a_stalled_server_answers_nobody_and_then_goes_on(chance: random.Random, residents: dict[str, str]) -> None:
    name, journal = chance.choice(MAIL), Journal()
    fault = server_stalled(chance, [name])
    fault.inject()
    try:
        state = run_on(name, "sleep 0.5; grep frozen /sys/fs/cgroup/system.slice/cgroup.events").stdout
    finally:
        fault.end()
    assert state.split() == ["frozen", "1"]
    assert run_on(name, "grep frozen /sys/fs/cgroup/system.slice/cgroup.events").stdout.split() == ["frozen", "0"]
    eventually("mail is accepted again", lambda: journal.offer(name, residents[name]), 60, every_s=1)
    journal.settle([residents[name]], name, 90)


def test_the_clock_of_one_service_is_off_until_the_end(chance: random.Random) -> None:
    name, jump_s = chance.choice(MAIL), chance.choice((-1800, 1800))
    fault = jumped(name, MAILBOXES, jump_s)

    def off_s() -> float:
        written = json.loads(run_on(name, "cat /var/lib/onedallmail/mailboxes/status.json").stdout)["at"]
        return datetime.fromisoformat(written).timestamp() - time.time()

    try:
        fault.inject()
        eventually("its status is of another time", lambda: abs(off_s() - jump_s) < 60, 30)
    finally:
        fault.end()
    eventually("its status is of this time", lambda: abs(off_s()) < 60, 30)


def test_a_damaged_copy_loses_nothing(chance: random.Random, residents: dict[str, str]) -> None:
    journal, recipients = Journal(), list(residents.values())
    load = Load(journal, list(MAIL), recipients)
    load.start()
    try:
        holder = chance.choice(MAIL)
        damaged = eventually("a copy was damaged", lambda: run_on(holder, DAMAGE).stdout, 30)
        assert damaged.startswith(STORE)
    finally:
        load.stop()
    journal.settle(recipients, MAIL[0], 120)


def test_a_cut_link_carries_nothing_until_the_end() -> None:
    one, two = MAIL[0], next(name for name in MAIL if server(name).region != server(MAIL[0]).region)
    target = (str(server(two).private_ip), Port.COPIES.value)
    assert reachable(one, {target})
    try:
        cut([(two, one)])
        assert not reachable(one, {target})
    finally:
        mend()
    assert reachable(one, {target})
