"""How far standbys are behind under load, by the mailboxes services' own measures. Judges no time."""

import json
import time

import pytest
from rich.console import Console
from rich.table import Table

from tests.bench.kept import FULL, keep
from tests.faults.habits import STATUS
from tests.faults.journal import Journal, Load
from tests.lab import MAIL, account_on, on_all, require_lab, run_on

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

ROUNDS, SECONDS, SENDERS = 6 if FULL else 1, 40, 4
"""A round is shorter than the minute that the services call recent."""


def test_lag_of_synchronisation_under_load() -> None:
    """Print median, 95th percentile and worst of each server, from a change to its synchronisation."""
    require_lab()
    users = [account_on(home) for home in MAIL]
    journals = [Journal() for _ in range(SENDERS)]
    loads = [Load(journal, list(MAIL), users) for journal in journals]
    found, begun = [], time.monotonic()
    for load in loads:
        load.start()
    try:
        for _ in range(ROUNDS):
            time.sleep(SECONDS)
            found.append(on_all(MAIL, lambda name: json.loads(run_on(name, f"cat {STATUS}").stdout)["lag_recent_s"]))
        seconds = time.monotonic() - begun
    finally:
        for load in loads:
            load.stop()
    sent = sum(len(journal.acknowledged) for journal in journals)
    keep("lag", {"rounds": found, "messages_per_s": sent / seconds})
    title = f"Lag of the standbys under {sent / seconds:.0f} messages/s"
    table = Table("home", "syncs", "median s", "p95 s", "worst s", title=title)
    for number in found:
        for name, lag in number.items():
            table.add_row(name, str(lag["syncs"]), *(f"{lag[key]:.3f}" for key in ("median", "p95", "worst")))
    Console(width=100).print(table)
    assert all(lag["syncs"] for number in found for lag in number.values())
