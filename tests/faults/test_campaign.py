"""Faults from a seed, one after the other and two at once, under load: nothing acknowledged is lost or doubled.

ONEDALLMAIL_FAULTS says how many (10); ONEDALLMAIL_TEST_SEED repeats a campaign.
"""

import os
import random
import time
from contextlib import ExitStack

import pytest

from onedallmail.evidence.attachments import Evidence
from tests.faults.conftest import restore, unhealthy_voters
from tests.faults.journal import Journal, Load
from tests.faults.kinds import Fault, draw
from tests.lab import ALL, MAIL, eventually

FAULTS = int(os.environ.get("ONEDALLMAIL_FAULTS", "10"))
SETTLED_WITHIN_S = 300
TWO_AT_ONCE = 0.25
pytestmark = [pytest.mark.lab, pytest.mark.timeout(600 + 90 * FAULTS)]


@pytest.mark.usefixtures("whole")
@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.29", "iso27001:A.5.30", "soc2:CC7.5", "soc2:CC9.1", "gdpr:Art.32")
def test_nothing_acknowledged_is_lost_or_doubled_whatever_fails(
    chance: random.Random, residents: dict[str, str], evidence: Evidence
) -> None:
    """The promise of the platform, in a sample of the faults that it is made for."""
    evidence.describe(population="processes, servers, regions, links, leaders", sample=f"{FAULTS} faults by the seed")
    recipients, journal, told = list(residents.values()), Journal(), []
    load = Load(journal, list(MAIL), recipients)
    load.start()
    try:
        for _ in range(FAULTS):
            told += _strike(chance, load)
    finally:
        restore()
        load.stop()
        evidence.attach_text("faults.txt", "\n".join(told))
        evidence.attach_text("journal.txt", journal.text())
    journal.settle(recipients, MAIL[0], SETTLED_WITHIN_S)


def _strike(chance: random.Random, load: Load) -> list[str]:
    """Let a fault happen, sometimes a second one beside it; end both, and wait until the quorum is whole again."""
    begun, told = time.monotonic(), []
    with ExitStack() as ends:

        def happen(fault: Fault) -> None:
            told.append(f"{time.strftime('%H:%M:%S')} {fault.text}")
            ends.callback(load.dead.difference_update, fault.down)
            ends.callback(fault.end)
            load.dead.update(fault.down)
            fault.inject()

        first = draw(chance)
        happen(first)
        time.sleep(chance.uniform(0.5, 8))
        if chance.random() < TWO_AT_ONCE:
            happen(draw(chance, first.down | {"another"}))
            time.sleep(chance.uniform(0.5, 5))
        time.sleep(chance.uniform(0, 8))
    eventually("all voters are healthy", lambda: not unhealthy_voters(ALL[0]), 120, every_s=1)
    told.append(f"{time.strftime('%H:%M:%S')} ended after {time.monotonic() - begun:.1f} s")
    return told
