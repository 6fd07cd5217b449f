"""The placement map as the fault tests see and mend it: through the servers' files, and by planned moves."""

import json
from collections.abc import Iterator
from typing import Any

from onedallmail import relocation, rounds, standbys
from onedallmail.placement.map import Placement
from onedallmail.placement.moves import Move, Reason, moves_of, way
from onedallmail.placement.store import PREFIX
from onedallmail.quorum import read_snapshot
from tests.lab import MAIL, PLATFORM, STACK, eventually, run_on

FOLDER = "/var/lib/onedallmail/placement"
SERVICE = "onedallmail-placement.service"

Groups = dict[str, dict[str, Any]]


def groups(asked: str) -> Groups:
    """Return the map as a server's file has it."""
    found: Groups = json.loads(run_on(asked, f"cat {FOLDER}/groups.json").stdout)["groups"]
    return found


def status(asked: str) -> dict[str, Any]:
    """Return a server's status.json."""
    found: dict[str, Any] = json.loads(run_on(asked, f"cat {FOLDER}/status.json").stdout)
    return found


def served(asked: str) -> set[str]:
    """Return the groups that the file `home` of a server lets in."""
    lines = run_on(asked, f"cat {FOLDER}/home").stdout.splitlines()
    return {number for number, _, fields in (line.partition(":") for line in lines) if fields == "::::::"}


def open_ports(asked: str) -> str:
    """Return the elements of the kernel's set of open ports; empty when the fence is closed."""
    output = run_on(asked, "nft list set inet onedallmail_fence alive")
    assert output.code == 0, output
    return output.stdout.partition("elements = {")[2].partition("}")[0].strip()


def signal_service(asked: str, name: str) -> None:
    """Send a signal to the placement service of a server."""
    output = run_on(asked, f"systemctl kill --kill-whom=main --signal={name} {SERVICE}")
    assert output.code == 0, output


def give_back(wanted: Groups, within_s: float) -> None:
    """Give every group the home and standby that it had, as an operator does, and wait until they serve."""
    regions = {server.name: server.region for server in PLATFORM.mail_servers}
    keys = read_snapshot(STACK, PREFIX)
    now = relocation.placements(keys)
    standbys.withdraw(STACK, keys, [number for number, placement in now.items() if placement.joining])
    moves = [move for number, group in wanted.items() for move in _back(int(number), now[int(number)], group, regions)]
    left = rounds.carry_out(STACK, regions, moves, lambda *_: None)
    assert not left, f"groups are not where they were: {left}"
    by_home = {name: {n for n, group in wanted.items() if group["home"] == name} for name in MAIL}
    eventually("groups are served where they were", lambda: all(served(n) == by_home[n] for n in MAIL), within_s)


def _back(number: int, now: Placement, group: dict[str, Any], regions: dict[str, str]) -> Iterator[Move]:
    wanted = str(group["home"]), str(group["standby"])
    path = way((now.home, now.standby), wanted, lambda name: regions[name], lambda _: False)
    return moves_of(number, now, path, 0, Reason.BALANCE)
