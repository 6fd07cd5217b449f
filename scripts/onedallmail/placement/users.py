"""Which group a new user gets: a pure function. Users keep the group that the directory holds for them.

Groups that a pin reserves are for its users alone, and its users get no others.
"""

import hashlib
from collections.abc import Mapping, Sequence

from onedallmail.placement.fleet import Fleet, Pin, PlanError


def group_of(address: str, fleet: Fleet, sizes: Mapping[int, int], pin: str | None = None) -> int:
    """Return the group of least size among those of the pin, or among those without one.

    Among groups of the same size the address decides (rendezvous hashing), so the same question has the same answer
    and users who are added at one time do not all get one group.

    Raises:
        PlanError: there is no such pin, or it leaves no group.
    """
    groups = groups_for(fleet, pin)
    least = min(sizes.get(number, 0) for number in groups)
    return max((number for number in groups if sizes.get(number, 0) == least), key=lambda n: (_rank(address, n), n))


def groups_for(fleet: Fleet, pin: str | None) -> Sequence[int]:
    """Return the groups that users of a pin, or users without one, may have.

    Raises:
        PlanError: there is no such pin, or all groups are reserved.
    """
    if pin is not None:
        return sorted(_named(fleet, pin).groups)
    reserved = frozenset[int]().union(*(one.groups for one in fleet.pins))
    free = [number for number in range(fleet.groups) if number not in reserved]
    if not free:
        msg = f"all {fleet.groups} groups are reserved by pins: take groups out of them, or name a pin for the user"
        raise PlanError(msg)
    return free


def _named(fleet: Fleet, pin: str) -> Pin:
    for one in fleet.pins:
        if one.name == pin:
            return one
    known = ", ".join(one.name for one in fleet.pins) or "none"
    msg = f"there is no pin {pin}: pins are {known}"
    raise PlanError(msg)


def _rank(address: str, number: int) -> bytes:
    return hashlib.blake2b(f"{number} {address}".encode(), digest_size=8).digest()
