"""How many planned moves a minute the lab carries out, all groups at once, there and back. Judges no time."""

import time

import pytest
from rich.console import Console
from rich.table import Table

from onedallmail import relocation
from onedallmail.placement.store import PREFIX
from onedallmail.quorum import read_snapshot
from tests.bench.kept import FULL, keep
from tests.faults.conftest import RECOVERS_WITHIN_S
from tests.faults.placement import give_back, groups
from tests.lab import MAIL, STACK, require_lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

ROUNDS = 10 if FULL else 1


def swap_all() -> tuple[int, float]:
    """Let every group change places with its standby; return how many did, and the seconds it took."""
    keys = read_snapshot(STACK, PREFIX)
    wishes = [relocation.Wish(n, p.home, p.standby) for n, p in relocation.placements(keys).items()]
    begun = time.monotonic()
    relocation.ask(STACK, keys, wishes)
    left = relocation.follow(STACK, wishes, lambda _: None, stalled_s=60)
    assert not left, left
    return len(wishes), time.monotonic() - begun


def test_planned_moves_per_minute() -> None:
    """Print the rate of moves that include the last synchronisation, the change of the map and its being seen."""
    require_lab()
    before = groups(MAIL[0])
    try:
        runs = [swap_all() for _ in range(2 * ROUNDS)]
    finally:
        give_back(before, RECOVERS_WITHIN_S)
    rates = [60 * count / seconds for count, seconds in runs]
    keep("moves", {"runs": runs, "per_minute": rates})
    table = Table("run", "groups", "seconds", "moves per minute", title="Planned moves, all groups at once")
    for number, ((count, seconds), rate) in enumerate(zip(runs, rates, strict=True), 1):
        table.add_row(str(number), str(count), f"{seconds:.1f}", f"{rate:.0f}")
    Console(width=100).print(table)
    assert all(rate > 0 for rate in rates)
