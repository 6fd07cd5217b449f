"""How long the planner takes for 10 million mailboxes on 1,024 servers, and what it copies. It judges no time."""

import resource
import time
from random import Random

import pytest
from rich.console import Console

from onedallmail.placement.fleet import Fleet, MailHost, State, with_states
from onedallmail.placement.map import PlacementMap
from onedallmail.placement.plan import applied, plan

SERVERS, REGIONS, GROUPS, MAILBOXES, SEED = 1024, 8, 65536, 10_000_000, 7
console = Console(width=120)
HOSTS = tuple(MailHost(f"s{n:04}", f"r{n % REGIONS}", (1.0, 2.0, 4.0)[n // REGIONS % 3]) for n in range(SERVERS))


def group_bytes() -> dict[int, int]:
    """Return the bytes of each group: mailboxes of log-normal sizes, median 50 MB, mean 250 MB."""
    random = Random(SEED)  # noqa: S311 - sizes for a test
    sizes = [0] * GROUPS
    for _ in range(MAILBOXES):
        sizes[int(random.random() * GROUPS)] += int(random.lognormvariate(17.7, 1.8))
    return dict(enumerate(sizes))


def timed(what: str, hosts: tuple[MailHost, ...], present: PlacementMap, sizes: dict[int, int]) -> PlacementMap:
    """Plan, print the figures and return the map that the plan leads to."""
    begin = time.monotonic()
    found = plan(Fleet(hosts, GROUPS), present, sizes)
    took, memory = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    part = found.copied / (2 * sum(sizes.values()))
    console.print(
        f"{what:<22}{took:6.1f} s{memory:7.0f} MB peak{len(found.moves):8} moves{part:9.3%} copied"
        f"{found.after:8.2%} imbalance after"
    )
    return applied(present, found.moves)


@pytest.mark.timeout(900)
def test_plans_of_ten_million_mailboxes() -> None:
    """Print the figures of a first map, no change, a server more, and a server that leaves."""
    sizes = group_bytes()
    console.print(f"\nseed {SEED}: {MAILBOXES} mailboxes, {GROUPS} groups, {SERVERS} servers, {REGIONS} regions")
    placements = timed("first map", HOSTS, {}, sizes)
    assert timed("nothing changed", HOSTS, placements, sizes) == placements
    grown = (*HOSTS, MailHost("new", "r3", 2))
    after = timed("one server more", grown, placements, sizes)
    assert any(p.home == "new" for p in after.values())
    drained = with_states(HOSTS, {"s0100": State.DRAINING})
    after = timed("one server drained", drained, placements, sizes)
    assert not any("s0100" in (p.home, p.standby) for p in after.values())
