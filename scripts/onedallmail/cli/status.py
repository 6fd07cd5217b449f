"""`onedallmail status`: the whole platform at one glance. Exit code 3 when there is something to look at."""

import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from .answer import AsJson, Stack, err, plain_errors, print_json, print_table, say

if TYPE_CHECKING:
    from onedallmail.health.overview import Overview, ServerView

FINDINGS = 3


def status_command(stack: Stack = "lab", as_json: AsJson = False) -> None:
    """Show servers, leases, groups, lag, waiting copies and failovers, and what needs a look."""
    from onedallmail.health.overview import overview  # noqa: PLC0415 - quick start of the command line
    from onedallmail.quorum import QuorumError, read_keys  # noqa: PLC0415 - as above
    from onedallmail.stackfile import load_platform  # noqa: PLC0415 - as above

    with plain_errors():
        platform = load_platform(stack)
    expected = {s.name: (s.region, s.role.value) for s in platform.servers}
    try:
        view = overview(read_keys(stack, "/onedallmail/"), expected, datetime.now(UTC))
    except QuorumError as error:
        err.print("[red]error:[/red]", end=" ")
        err.print(str(error), soft_wrap=True, markup=False)
        raise typer.Exit(1) from error
    if as_json:
        print_json({**dataclasses.asdict(view), "at": view.at.isoformat(timespec="seconds"), "problems": view.problems})
    else:
        _show(view)
    if view.problems:
        raise typer.Exit(FINDINGS)


def _show(view: "Overview") -> None:
    columns = ("Server", "Region", "State", "Lease", "Home", "Standby", "Queue", "Lag s", "Copy s")
    print_table(columns, [_row(server) for server in view.servers])
    for failover in view.failovers:
        seconds = failover["seconds"]
        ended = "under way" if seconds is None else f"in {seconds} s"
        took = f"{failover['groups']} groups from {failover['from']} to {failover['to']}, {ended}"
        say(f"{failover['at']}  {took}")
    for text in view.problems:
        say(f"look at  {text}")
    if not view.problems:
        say(f"{view.groups} groups, each with a living home and standby; nothing to look at")


def _row(server: "ServerView") -> tuple[str, ...]:
    lease = {True: "held", False: "none", None: "-"}[server.alive]
    counts = (str(server.homes), str(server.standbys), "-" if server.queued is None else str(server.queued))
    times = tuple("-" if value is None else f"{value:.1f}" for value in (server.lag_s, server.oldest_copy_s))
    return (server.name, server.region, server.level, lease, *counts, *times)
