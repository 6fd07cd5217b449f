"""The placement map as a value: each placement group has a home server, a standby in another region, and an epoch.

Nothing here reads or writes; the map lives in etcd, one key a group.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

MAX_GROUPS = 65536
"""As many as the directory has numbers for. Transactions take fewer: see `in_batches`."""
FIELDS = ("home", "standby", "epoch")
JOINING = "joining"
"""A field that only groups have whose standby is being changed."""


class PlacementError(ValueError):
    """A placement that can't be, with the group, the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a group lives. The epoch grows by one whenever the home changes."""

    home: str
    standby: str
    epoch: int
    joining: str | None = None
    """The server that is being made the next standby; it does not take over, and vouches for nothing."""

    @property
    def holders(self) -> frozenset[str]:
        """The servers that have the group's mail, or are getting it."""
        return frozenset({self.home, self.standby, *([self.joining] if self.joining else [])})

    @property
    def receiving(self) -> frozenset[str]:
        """The servers into which the home may synchronise."""
        return frozenset({self.standby, *([self.joining] if self.joining else [])})

    @property
    def settled(self) -> "Placement":
        """The same without a server that joins."""
        return replace(self, joining=None)


PlacementMap = dict[int, Placement]


def initial(groups: int, servers: Mapping[str, str]) -> PlacementMap:
    """Return the first map of a platform: the plan for no map, the same for the same servers (name to region).

    Homes are balanced within one. Standbys are too, unless one region has more than half of the servers; then they
    are balanced within each side. The groups of one server have their standbys on several.
    Raises PlacementError without groups, or without a second region.
    """
    from onedallmail.placement.fleet import fleet_of  # noqa: PLC0415 - the planner is made of this module's values
    from onedallmail.placement.plan import applied, plan  # noqa: PLC0415 - as above

    return applied({}, plan(fleet_of(servers, groups), {}, {}, tolerance=0).moves)


def validate(number: int, placement: Placement, servers: Mapping[str, str]) -> None:
    """Raise PlacementError unless both servers are known, in different regions, and the epoch is positive.

    A server that joins is not looked at: see `joining_wrong`.
    """
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


def joining_wrong(number: int, placement: Placement, servers: Mapping[str, str]) -> str | None:
    """Return why a group can't get the standby that joins; None if nothing is wrong with it, or none joins."""
    name = placement.joining
    if name is None:
        return None
    where = f"placement group {number}"
    if name not in servers:
        return f"{where}: {name!r}, which joins, is no mail server of this platform ({', '.join(sorted(servers))})"
    if name == placement.standby:
        return f"{where}: {name} is its standby already"
    if servers[name] == servers.get(placement.home):
        there = f"{name} is in {servers[name]} as its home {placement.home} is"
        return f"{where}: {there}; choose a standby in another region"
    return None


def to_json(placement: Placement) -> str:
    """Return the value of a group's key in etcd."""
    return json.dumps(as_record(placement), separators=(",", ":"))


def as_record(placement: Placement) -> dict[str, str | int]:
    """Return a group as a JSON object, fields in a fixed order; `joining` only where a server joins."""
    record: dict[str, str | int] = {"home": placement.home, "standby": placement.standby, "epoch": placement.epoch}
    return record | ({JOINING: placement.joining} if placement.joining else {})


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
    if not isinstance(record, dict) or set(record) - {JOINING} != set(FIELDS):
        msg = f"placement group {number}: its value must be an object with {', '.join(FIELDS)}, and perhaps {JOINING}"
        raise PlacementError(msg)
    home, standby, epoch = (record[name] for name in FIELDS)
    joining = record.get(JOINING)
    if JOINING in record and not (isinstance(joining, str) and joining):
        msg = f"placement group {number}: {JOINING} must be the name of a server, or be left out"
        raise PlacementError(msg)
    if not (isinstance(home, str) and isinstance(standby, str) and type(epoch) is int):
        msg = f"placement group {number}: home and standby must be strings, epoch a whole number"
        raise PlacementError(msg)
    return Placement(home=home, standby=standby, epoch=epoch, joining=joining)


def in_batches(placements: PlacementMap, most: int) -> Iterator[PlacementMap]:
    """Yield a map in parts of at most `most` groups, in the order of their numbers: one transaction takes no more."""
    numbers = sorted(placements)
    for begin in range(0, len(numbers), most):
        yield {number: placements[number] for number in numbers[begin : begin + most]}
