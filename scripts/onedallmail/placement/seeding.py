"""Writes the first map. A transaction takes fewer groups than a platform may have, so a key says that it is unfinished.

Whoever finds that key goes on with the servers, weights and pins that it names; nobody uses the map before it is gone.
Groups that exist are left alone, so several services may write at the same time.
"""

import json
import logging
from collections.abc import Iterator
from typing import Any

from onedallmail.placement.fleet import Fleet, MailHost, pin_from, pin_record
from onedallmail.placement.map import PlacementError, PlacementMap, in_batches, to_json
from onedallmail.placement.plan import applied, plan
from onedallmail.placement.settings import Settings
from onedallmail.placement.store import (
    GROUPS,
    PREFIX,
    SEEDING,
    Compare,
    MapStore,
    Snapshot,
    Target,
    Transaction,
    group_key,
    server_key,
)

IN_ONE = 100
"""Groups in a transaction."""
SERVING = '{"state":"serving"}'
"""The servers of the first map are admitted with it; those that are added later, by an operator."""

log = logging.getLogger("placement")


def seed(store: MapStore, snapshot: Snapshot, settings: Settings) -> Snapshot:
    """Begin the first map if there is none, go on with one that is unfinished; return what is there afterwards.

    Raises EtcdError, and PlacementError for a key that nobody can go on with.
    """
    if SEEDING not in snapshot.values:
        wanted = json.dumps(_wanted(settings), sort_keys=True)
        absent = (Compare(SEEDING, Target.CREATED, 0), Compare(GROUPS, Target.CREATED, 0, prefix=True))
        store.commit(Transaction(absent, {SEEDING: wanted}))
        snapshot = store.read(PREFIX)
    while SEEDING in snapshot.values:
        # A part that is refused was written by another service at least in part: look again what is left.
        if all(store.commit(transaction) for transaction in _parts(snapshot)):
            log.info("wrote what was left of the first map")
        snapshot = store.read(PREFIX)
    return snapshot


def _parts(snapshot: Snapshot) -> Iterator[Transaction]:
    """Yield the transactions that are left: groups, the servers that serve them, and then that the map is whole."""
    unfinished = Compare(SEEDING, Target.CHANGED, snapshot.changes[SEEDING])
    fleet = _planned(snapshot.values[SEEDING])
    missing = {n: p for n, p in first_map(fleet).items() if group_key(n) not in snapshot.values}
    names = [host.name for host in fleet.hosts]
    new = sorted(server_key(name) for name in names if server_key(name) not in snapshot.values)
    if not missing and not new:
        yield Transaction((unfinished,), deletes=(SEEDING,))
    for begin in range(0, len(new), IN_ONE):
        keys = new[begin : begin + IN_ONE]
        absent = tuple(Compare(key, Target.CREATED, 0) for key in keys)
        yield Transaction((unfinished, *absent), dict.fromkeys(keys, SERVING))
    for part in in_batches(missing, IN_ONE):
        absent = tuple(Compare(group_key(n), Target.CREATED, 0) for n in part)
        yield Transaction((unfinished, *absent), {group_key(n): to_json(p) for n, p in part.items()})


def _wanted(settings: Settings) -> dict[str, Any]:
    return {
        "groups": settings.groups,
        "servers": settings.regions,
        "weights": {name: server.weight for name, server in settings.servers.items()},
        "pins": [pin_record(pin) for pin in settings.pins],
    }


def first_map(fleet: Fleet) -> PlacementMap:
    """Return the map that a fleet begins with: the plan for no map."""
    return applied({}, plan(fleet, {}, {}, tolerance=0).moves)


def _planned(value: bytes) -> Fleet:
    try:
        wanted = json.loads(value)
        groups, weights = int(wanted["groups"]), dict(wanted.get("weights", {}))
        hosts = [MailHost(name, region, float(weights.get(name, 1))) for name, region in wanted["servers"].items()]
        pins = tuple(pin_from(record) for record in wanted.get("pins", ()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{SEEDING} is not what a placement service writes: delete it and all keys under {GROUPS}"
        raise PlacementError(msg) from error
    return Fleet(tuple(hosts), groups, pins)
