"""Faults from a seed, one after the other and two at once, under load: nothing acknowledged is lost or doubled.

Besides, no mailbox has two writers, and what users did before a fault stays done.
ONEDALLMAIL_FAULTS says how many (10); ONEDALLMAIL_TEST_SEED repeats a campaign.
"""

import os
import random
import sys
import time
from contextlib import ExitStack

import pytest

from onedallmail.evidence.attachments import Evidence
from tests.faults.conftest import restore, unhealthy_voters
from tests.faults.fault import Fault
from tests.faults.habits import DELETED, FLAGGED, Habits
from tests.faults.journal import Journal, Load
from tests.faults.kinds import draw
from tests.faults.writers import Turns
from tests.lab import ALL, MAIL, eventually

FAULTS = int(os.environ.get("ONEDALLMAIL_FAULTS", "10"))
SETTLED_WITHIN_S = 300
TWO_AT_ONCE = 0.25
WHILE_IT_BOOTS = 0.5
pytestmark = [pytest.mark.lab, pytest.mark.timeout(600 + 90 * FAULTS)]


@pytest.mark.usefixtures("whole")
@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.29", "iso27001:A.5.30", "soc2:CC7.5", "soc2:CC9.1", "gdpr:Art.32")
def test_nothing_acknowledged_is_lost_or_doubled_whatever_fails(
    chance: random.Random, residents: dict[str, str], evidence: Evidence, capsys: pytest.CaptureFixture[str]
) -> None:
    """The promise of the platform, in a sample of the faults that it is made for."""
    evidence.describe(population="processes, servers, regions, links, leaders", sample=f"{FAULTS} faults by the seed")
    recipients, journal, told = list(residents.values()), Journal(), []
    load, turns, habits = Load(journal, list(MAIL), recipients), Turns(recipients), Habits(journal, recipients)
    load.start()
    try:
        for _ in range(FAULTS):
            habits.act_and_wait()
            happened = _strike(chance, load, habits)
            told += happened
            with capsys.disabled():
                sys.stdout.write("\n  " + "; ".join(happened))
            turns.follow()
    finally:
        restore()
        load.stop()
        evidence.attach_text("faults.txt", "\n".join(told))
        evidence.attach_text("journal.txt", journal.text())
    journal.settle(recipients, MAIL[0], SETTLED_WITHIN_S)
    assert not turns.trespasses()
    evidence.attach_text("homes.txt", "\n".join(f"{user} {homes}" for user, homes in turns.homes().items()))
    users = f"{len(habits.promised)} acts promised, {habits.unstored} rounds of them not stored in time"
    evidence.attach_text("users.txt", users)
    assert habits.promised, "no standby had any act of a user in time, so nothing was proven of flags"
    eventually("flags, moves and deletions are as users left them", lambda: not habits.wrong(MAIL[0]), 60, every_s=2)


def _strike(chance: random.Random, load: Load, habits: Habits) -> list[str]:
    """Let a fault happen, sometimes a second one beside it, or one while a dead server boots; end them.

    It returns what happened, once the quorum is whole again.
    """
    begun, told = time.monotonic(), []

    def happen(fault: Fault, ends: ExitStack) -> None:
        told.append(f"{time.strftime('%H:%M:%S')} {fault.text}")
        ends.callback(load.dead.difference_update, fault.down)
        ends.callback(fault.end)
        load.dead.update(fault.down)
        fault.inject()

    first = draw(chance)
    with ExitStack() as ends:
        happen(first, ends)
        time.sleep(chance.uniform(0.5, 8))
        if chance.random() < TWO_AT_ONCE and first.down < set(ALL):
            happen(draw(chance, first.down | {"another"}), ends)
            time.sleep(chance.uniform(0.5, 5))
        living = [name for name in MAIL if name not in load.dead]
        if living:
            habits.act(chance.choice(living), chance.choice(habits.users), (FLAGGED, DELETED))
        time.sleep(chance.uniform(0, 8))
    if first.down and chance.random() < WHILE_IT_BOOTS:
        with ExitStack() as ends:
            happen(draw(chance, frozenset({"another"})), ends)
            time.sleep(chance.uniform(0.5, 5))
    eventually("all voters are healthy", lambda: not unhealthy_voters(ALL[0]), 120, every_s=1)
    told.append(f"{time.strftime('%H:%M:%S')} ended after {time.monotonic() - begun:.1f} s")
    return told
