"""The placement map as a value: each placement group has a home server, a standby in another region, and an epoch.

Nothing here reads or writes; the map lives in etcd, one key a group.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MAX_GROUPS = 4096
"""The map is seeded in one transaction; role etcd allows a few more operations than this in one."""
FIELDS = ("home", "standby", "epoch")


class PlacementError(ValueError):
    """A placement that can't be, with the group, the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a group lives. The epoch grows by one whenever the home changes."""

    home: str
    standby: str
    epoch: int


PlacementMap = dict[int, Placement]


def initial(groups: int, servers: Mapping[str, str]) -> PlacementMap:
    """Return the first map of a platform: the same for the same servers (name to region), in any order.

    Homes are balanced within one. Standbys are too, unless one region has more than half of the servers; then they
    are balanced within each side. The groups of one server have their standbys on several.
    Raises PlacementError without groups, or without a second region.
    """
    if not 1 <= groups <= MAX_GROUPS:
        msg = f"{groups} placement groups: choose 1 to {MAX_GROUPS}"
        raise PlacementError(msg)
    if len(set(servers.values())) < 2:  # noqa: PLR2004 - a home and a standby
        msg = f"servers {sorted(servers)} are not in two regions: a standby lives in another region than its home"
        raise PlacementError(msg)
    blocks = _by_region(servers)
    ring = [name for block in blocks for name in block]
    widest, total = max(len(block) for block in blocks), len(ring)
    if 2 * widest > total:
        return _two_sided(groups, ring, max(blocks, key=len))
    # Two places on the ring that are at least the widest block apart, both ways round, are in different regions.
    distances = range(widest, total - widest + 1)
    placements = {}
    for number in range(groups):
        turn, place = divmod(number, total)
        rotation, choice = divmod(turn, len(distances))
        standbys = [name for block in blocks for name in _rotated(block, rotation)]
        standby = standbys[(place + distances[choice]) % total]
        placements[number] = Placement(home=ring[place], standby=standby, epoch=1)
    return placements


def validate(number: int, placement: Placement, servers: Mapping[str, str]) -> None:
    """Raise PlacementError unless both servers are known, in different regions, and the epoch is positive."""
    where = f"placement group {number}"
    for role, name in (("home", placement.home), ("standby", placement.standby)):
        if name not in servers:
            msg = f"{where}: {role} {name!r} is no mail server of this platform ({', '.join(sorted(servers))})"
            raise PlacementError(msg)
    if servers[placement.home] == servers[placement.standby]:
        both = f"home {placement.home} and standby {placement.standby} are both in {servers[placement.home]}"
        msg = f"{where}: {both}; choose a standby in another region"
        raise PlacementError(msg)
    if placement.epoch < 1:
        msg = f"{where}: epoch {placement.epoch} is not positive; it grows by one whenever the home changes"
        raise PlacementError(msg)


def to_json(placement: Placement) -> str:
    """Return the value of a group's key in etcd."""
    return json.dumps(as_record(placement), separators=(",", ":"))


def as_record(placement: Placement) -> dict[str, str | int]:
    """Return a group as a JSON object, fields in a fixed order."""
    return {"home": placement.home, "standby": placement.standby, "epoch": placement.epoch}


def from_json(number: int, text: str | bytes) -> Placement:
    """Return the placement that to_json wrote; raises PlacementError for anything else."""
    try:
        record = json.loads(text)
    except ValueError as error:
        msg = f"placement group {number}: its value is no JSON ({error})"
        raise PlacementError(msg) from error
    return from_record(number, record)


def from_record(number: int, record: object) -> Placement:
    """Return the placement of a JSON object; raises PlacementError unless it has exactly the fields of a group."""
    if not isinstance(record, dict) or set(record) != set(FIELDS):
        msg = f"placement group {number}: its value must be an object with {', '.join(FIELDS)}"
        raise PlacementError(msg)
    home, standby, epoch = (record[name] for name in FIELDS)
    if not (isinstance(home, str) and isinstance(standby, str) and type(epoch) is int):
        msg = f"placement group {number}: home and standby must be strings, epoch a whole number"
        raise PlacementError(msg)
    return Placement(home=home, standby=standby, epoch=epoch)


def _by_region(servers: Mapping[str, str]) -> list[list[str]]:
    """Return the sorted names of each region, regions in order of their names."""
    return [sorted(n for n, r in servers.items() if r == region) for region in sorted(set(servers.values()))]


def _rotated(block: Sequence[str], by: int) -> list[str]:
    cut = by % len(block)
    return [*block[cut:], *block[:cut]]


def _two_sided(groups: int, ring: Sequence[str], majority: Sequence[str]) -> PlacementMap:
    """Place homes of the majority region's servers opposite all others, and the others' opposite the majority's."""
    minority = [name for name in ring if name not in majority]
    placements, used = {}, {True: 0, False: 0}
    for number in range(groups):
        home = ring[number % len(ring)]
        side = home in majority
        candidates = minority if side else majority
        placements[number] = Placement(home=home, standby=candidates[used[side] % len(candidates)], epoch=1)
        used[side] += 1
    return placements
