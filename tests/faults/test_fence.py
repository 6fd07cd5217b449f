"""A placement service that stands still: its server is closed before others take over, and comes back as no home."""

import random
import time

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.lab import Lab
from onedallmail.platform.ports import Port
from tests.faults.placement import groups, open_ports, served, signal_service, status
from tests.lab import MAIL, connect, eventually, server

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

TTL_S = 8
TAKEN_OVER_WITHIN_S = 2 * TTL_S + 12
"""The lease, its end noticed by etcd, and mailboxes that may have to be served unprepared."""


@pytest.mark.control("iso27001:A.8.14", "iso27001:A.5.29", "soc2:CC7.5", "soc2:CC9.1")
def test_a_server_whose_service_stands_still_is_fenced_and_replaced(
    whole: Lab,  # noqa: ARG001 - healthy before, put back after
    chance: random.Random,
    evidence: Evidence,
) -> None:
    """Two homes at once would write one mailbox twice; nobody tells the old home, so the kernel must close it."""
    victim = chance.choice(MAIL)
    other = next(name for name in MAIL if server(name).region != server(victim).region)
    before = groups(other)
    orphaned = {number for number, group in before.items() if group["home"] == victim}
    evidence.describe(population=", ".join(MAIL), sample=f"{victim}: placement service stopped by SIGSTOP")
    assert orphaned
    assert open_ports(victim)
    assert _takes_over_mail(other, victim)
    begun = time.monotonic()
    signal_service(victim, "SIGSTOP")
    try:
        eventually("the fence is closed", lambda: not open_ports(victim), TTL_S)
        closed_s = time.monotonic() - begun
        assert not _takes_over_mail(other, victim), f"{victim} is closed and still takes over mail"
        assert groups(other) == before, "groups had a new home before the old one was closed"
        eventually(
            "all groups are served by their standbys", lambda: _moved(other, before, orphaned), TAKEN_OVER_WITHIN_S
        )
        moved_s = time.monotonic() - begun
    finally:
        signal_service(victim, "SIGCONT")
    eventually("the server is back under a new lease", lambda: bool(open_ports(victim)), 15)
    evidence.attach_text("times.txt", f"closed after {closed_s:.1f} s, served elsewhere after {moved_s:.1f} s\n")
    after = groups(victim)
    assert {n for n, group in after.items() if group["home"] == victim} == set(), "it took its groups back by itself"
    assert served(victim) == set()
    assert status(victim)["served"] == 0
    assert status(victim)["error"] is None


def _moved(asked: str, before: dict[str, dict[str, object]], orphaned: set[str]) -> bool:
    """Return whether every orphan is served by what was its standby, one epoch on, in the map of a server that runs."""
    found = {name: served(name) for name in MAIL}
    now = groups(asked)
    return all(
        number in found[str(before[number]["standby"])]
        and now[number]["home"] == before[number]["standby"]
        and now[number]["epoch"] == int(str(before[number]["epoch"])) + 1
        for number in orphaned
    )


def _takes_over_mail(node: str, name: str) -> bool:
    """Return whether a server's hand-over port greets a fellow server."""
    try:
        with connect(node, str(server(name).private_ip), Port.HANDOVER, 5) as connection:
            return connection.recv(4) == b"220 "
    except OSError:
        return False
