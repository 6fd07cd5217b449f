"""How far standbys are behind under load, by the mailboxes services' own measures. Judges no time."""

import json
import statistics
import time

import pytest
from rich.console import Console
from rich.table import Table

from tests.bench.kept import FULL, keep
from tests.bench.load import inbound_per_s
from tests.bench.test_ratios import platform_side
from tests.faults.habits import STATUS
from tests.lab import MAIL, on_all, require_lab, run_on

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

ROUNDS, SECONDS, BURST = 6 if FULL else 1, 30, 200
"""A round, which ends with its last burst of messages, is shorter than the minute that the services call recent."""


def test_lag_of_synchronisation_under_load() -> None:
    """Print median, 95th percentile and worst of each server, from a change to its synchronisation."""
    require_lab()
    side, found, rates = platform_side(), [], list[float]()
    for _ in range(ROUNDS):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            rates.append(inbound_per_s(side, BURST))
        found.append(on_all(MAIL, lambda name: json.loads(run_on(name, f"cat {STATUS}").stdout)["lag_recent_s"]))
    keep("lag", {"rounds": found, "messages_per_s": rates})
    title = f"Lag of the standbys under {statistics.median(rates):.0f} messages/s"
    table = Table("home", "syncs", "median s", "p95 s", "worst s", title=title)
    for number in found:
        for name, lag in number.items():
            table.add_row(name, str(lag["syncs"]), *(f"{lag[key]:.3f}" for key in ("median", "p95", "worst")))
    Console(width=100).print(table)
    assert all(any(lag["syncs"] for lag in number.values()) for number in found), "nothing was synchronised"
