"""Time from the death of a home server to a log-in with an open mailbox at its new home. Never fails on a time.

ONEDALLMAIL_DRILLS says how many deaths are measured (3; 50 with ONEDALLMAIL_FULL=1); each waits until all is whole.
"""

import os
import random
import statistics
import time

import pytest
from rich.console import Console
from rich.table import Table

from tests.bench.kept import FULL, keep
from tests.faults.conftest import RECOVERS_WITHIN_S, restore
from tests.faults.journal import BROKEN
from tests.faults.placement import give_back, groups
from tests.lab import MAIL, account_on, require_lab
from tests.mail.clients import Imap, imap

DRILLS = int(os.environ.get("ONEDALLMAIL_DRILLS", "50" if FULL else "3"))
GOAL = "median 8 s, worst of 50 12 s"
GIVE_UP_S = 60
pytestmark = [pytest.mark.lab, pytest.mark.timeout(120 + 200 * DRILLS)]


def test_from_death_to_log_in_at_the_new_home() -> None:
    """Print the spread, and keep it beside the evidence."""
    lab, chance = require_lab(), random.SystemRandom()
    times, before = [], groups(MAIL[0])
    for _ in range(DRILLS):
        victim = chance.choice(MAIL)
        user = account_on(victim)
        through = chance.choice([name for name in MAIL if name != victim])
        lab.kill(victim)
        begun = time.monotonic()
        try:
            times.append(_served_after(begun, through, user))
        finally:
            restore()
            give_back(before, RECOVERS_WITHIN_S)
    found = {"seconds": times, "median": statistics.median(times), "worst": max(times), "goal": GOAL}
    keep("failover", found)
    table = Table("deaths", "median s", "worst s", "goal", title="From death to log-in at the new home")
    table.add_row(str(DRILLS), f"{found['median']:.1f}", f"{max(times):.1f}", GOAL)
    Console(width=100).print(table)


def _served_after(begun: float, through: str, user: str) -> float:
    """Return the seconds until a log-in with SELECT succeeds; fail when none does."""
    while (passed := time.monotonic() - begun) < GIVE_UP_S:
        try:
            with imap(through, user) as client:
                if client.select("INBOX")[0] == "OK":
                    return time.monotonic() - begun
        except (*BROKEN, Imap.error, AssertionError):
            time.sleep(0.1)
    pytest.fail(f"{user} could not open the mailbox through {through} within {passed:.0f} s")
