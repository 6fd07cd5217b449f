"""One reading of etcd, judged: the map with what is wrong with it, and who has a lease."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from onedallmail.placement.map import Placement, PlacementError, PlacementMap, from_json, joining_wrong, validate
from onedallmail.placement.settings import Settings
from onedallmail.placement.store import ALIVE, GROUPS, MOVES, Snapshot, group_key


@dataclass(frozen=True, slots=True)
class View:
    """What etcd says at one revision. `alive` is server to region; `wrong` is what an operator should mend.

    `requests` are the keys by which groups are wanted elsewhere.
    """

    placements: PlacementMap
    changes: Mapping[str, int]
    leases: Mapping[str, int]
    alive: dict[str, str]
    changed: int
    revision: int
    wrong: tuple[str, ...]
    requests: Snapshot


def judged(snapshot: Snapshot, known: PlacementMap, settings: Settings) -> View:
    """Return the view of a snapshot. A wrong group keeps the place that this server knew before, and is not taken over.

    Raises PlacementError for a wrong group that had no place before.
    """
    groups, alive = snapshot.under(GROUPS), snapshot.under(ALIVE)
    placements, changes, wrong = {}, dict(groups.changes), _strangers(groups, settings.groups)
    for number in range(settings.groups):
        try:
            placement = _found(number, groups)
            validate(number, placement, settings.regions)
            if reason := joining_wrong(number, placement, settings.regions):
                wrong.append(reason)
                placement = placement.settled
        except PlacementError as error:
            wrong.append(str(error))
            if number not in known:
                raise
            placement = known[number]
            changes.pop(group_key(number), None)
        placements[number] = placement
    names = {key.removeprefix(ALIVE): value for key, value in alive.values.items()}
    regions = {name: settings.regions.get(name) or _region(value) for name, value in names.items()}
    return View(
        placements,
        changes,
        alive.leases,
        dict(sorted(regions.items())),
        groups.changed,
        snapshot.revision,
        tuple(wrong),
        snapshot.under(MOVES),
    )


def _found(number: int, groups: Snapshot) -> Placement:
    key = group_key(number)
    try:
        return from_json(number, groups.values[key])
    except KeyError as error:
        msg = f"placement group {number}: etcd has no key {key}; write it again"
        raise PlacementError(msg) from error


def _strangers(groups: Snapshot, number: int) -> list[str]:
    strangers = sorted(set(groups.values) - {group_key(n) for n in range(number)})
    return [f"etcd has {key}, which is no group of this platform (0 to {number - 1}); delete it" for key in strangers]


def _region(value: bytes) -> str:
    try:
        return str(json.loads(value)["region"])
    except (ValueError, KeyError, TypeError):
        return ""
