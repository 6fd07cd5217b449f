"""A group gets another standby under load while its old one is dead, then its home dies: the new one has everything."""

import random
import time

import pytest

from onedallmail.directory.remote import mailboxes
from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.lab import Lab
from tests.faults.conftest import restore
from tests.faults.journal import Journal, Load
from tests.faults.placement import groups, served
from tests.faults.test_moves import run
from tests.faults.test_server_killed import reads
from tests.faults.writers import Turns
from tests.lab import MAIL, STACK, eventually, server

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

TAKEN_OVER_WITHIN_S = 45
DELIVERED_WITHIN_S = 60
SETTLED_WITHIN_S = 150


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.30", "soc2:CC7.5", "soc2:CC9.1", "gdpr:Art.32")
def test_a_group_survives_the_death_of_both_its_servers_one_after_the_other(
    whole: Lab, chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """A standby that died for good is replaced; from then on the group may lose its home as before."""
    home = chance.choice(MAIL)
    user = residents[home]
    number = str(next(row["group"] for row in mailboxes(STACK) if row["address"] == user))
    group = groups(home)[number]
    assert group["home"] == home
    old = str(group["standby"])
    new = next(name for name in MAIL if name != old and server(name).region == server(old).region)
    through = next(name for name in MAIL if name not in (home, old, new))
    evidence.describe(population=", ".join(MAIL), sample=f"group {number}: {old}, then {home} killed; {new} joined")
    journal, turns = Journal(), Turns(list(residents.values()))
    load = Load(journal, list(MAIL), list(residents.values()))
    load.start()
    try:
        time.sleep(chance.uniform(1.0, 3.0))
        load.dead.add(old)
        whole.kill(old)
        evidence.attach_text("said.txt", run("move", "--group", number, "--standby", new))
        wanted = {"home": home, "standby": new, "epoch": group["epoch"]}
        eventually(f"{through} knows that {new} is the standby", lambda: groups(through)[number] == wanted, 15)
        turns.follow()
        time.sleep(chance.uniform(0.0, 2.0))
        load.dead.add(home)
        whole.kill(home)
        eventually(f"{new} serves group {number}", lambda: number in served(new), TAKEN_OVER_WITHIN_S)
        eventually(f"{user} reads through {through}", lambda: reads(through, user), TAKEN_OVER_WITHIN_S, every_s=1)
        eventually(f"{user} has all mail", lambda: not journal.missing(user, through), DELIVERED_WITHIN_S, every_s=1)
        assert [to for to, _ in journal.acknowledged if to == user], "nothing came to the user, so nothing was proven"
    finally:
        load.dead.clear()
        restore()
        load.stop()
        evidence.attach_text("journal.txt", journal.text())
    journal.settle(list(residents.values()), new, SETTLED_WITHIN_S)
    assert turns.trespasses() == [], "a mailbox had two writers"
