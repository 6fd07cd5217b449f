"""Throughput as a ratio to a plain Postfix and Dovecot server, and the time of `up` by phase. Never fails on a time.

Both sides are measured one after the other in the same run, on the same machine, with the same clients.
"""

import os
import ssl

import pytest
from rich.console import Console
from rich.table import Table

from onedallmail.bringup.phases import load_times
from onedallmail.paths import state_dir
from tests.bench.cpu import Meter
from tests.bench.kept import FULL, keep
from tests.bench.load import Door, Side, inbound_per_s, log_ins_per_s
from tests.bench.plain import HOST, NODE, PASSWORD, USERS, plain_server
from tests.lab import BOB, CLIENT, MAIL, PEER, STACK, account_on, password, public_ip, require_lab, server, trust

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

MESSAGES, LOG_INS = (2000, 600) if FULL else (200, 120)
GOAL = 0.7
NOTE = "The platform's four servers share this one machine, and most of its messages pass two of them."


def platform_side() -> Side:
    """Return the platform: mail by every MX to a user of each home, log-ins at every server."""
    users = [account_on(home) for home in MAIL]
    return Side(
        mail=[Door(PEER, public_ip(name), server(name).fqdn, trust()) for name in MAIL],
        reading=[Door(CLIENT, public_ip(name), server(name).fqdn, trust()) for name in MAIL],
        mailboxes=[(user, user, password(user)) for user in users],
        sender=BOB,
    )


def plain_side() -> Side:
    """Return the plain server, reached inside its own namespace."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    door = Door(NODE, "127.0.0.1", HOST, context)
    return Side([door], [door], [(f"{user}@bench.example", user, PASSWORD) for user in USERS], "bob@localhost")


def measure(side: Side) -> dict[str, float]:
    """Return the figures of one side; a few of each come first, uncounted."""
    inbound_per_s(side, 8)
    log_ins_per_s(side, 8)
    meter = Meter()
    inbound = inbound_per_s(side, MESSAGES)
    return {
        "inbound messages/s": inbound,
        "inbound messages per CPU second": MESSAGES / meter.spent_s(),
        "IMAP log-ins/s": log_ins_per_s(side, LOG_INS),
    }


def test_ratios_to_a_plain_server() -> None:
    """Print what all protections together cost, as ratios; keep them beside the evidence."""
    require_lab()
    platform = measure(platform_side())
    with plain_server():
        plain = measure(plain_side())
    phases = [{"name": t.name, "duration_s": t.duration_s} for t in load_times(state_dir(STACK))]
    ratios = {name: platform[name] / plain[name] for name in plain}
    found = {
        "machine": {"cores": os.cpu_count()},
        "method": f"{MESSAGES} messages of 4 kB over 4 connections; {LOG_INS} log-ins, 4 at a time. {NOTE}",
        "platform": platform,
        "plain": plain,
        "ratios": ratios,
        "goal": GOAL,
        "phases": phases,
    }
    keep("bench", found)
    _show(platform, plain, ratios, phases)
    assert all(ratio > 0 for ratio in ratios.values())


def _show(
    platform: dict[str, float], plain: dict[str, float], ratios: dict[str, float], phases: list[dict[str, object]]
) -> None:
    console = Console(width=100)
    table = Table("what", "platform", "plain", f"ratio (goal {GOAL:.0%})", title="Throughput on this machine")
    for name, ratio in ratios.items():
        table.add_row(name, f"{platform[name]:.1f}", f"{plain[name]:.1f}", f"{ratio:.0%}")
    console.print(table)
    console.print(NOTE)
    times = Table("phase of up", "seconds", title="The last up")
    for phase in phases:
        times.add_row(str(phase["name"]), str(phase["duration_s"]))
    console.print(times)
