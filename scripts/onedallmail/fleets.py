"""What the planner of placement is told of a stack: weights and pins from its file, states of servers as etcd has them.

Also which placement group a new mailbox gets: one that its pin reserves, or one that no pin does.
"""

from collections.abc import Callable, Mapping

from onedallmail.directory.errors import InputError
from onedallmail.directory.session import read
from onedallmail.placement.fleet import Fleet, MailHost, Pin, State, with_states
from onedallmail.placement.users import group_of, groups_for
from onedallmail.platform.model import Platform
from onedallmail.platform.pins import Reservation, pin_of, reservations

_COUNTS = """
SELECT coalesce(jsonb_object_agg(placement_group, n), '{}') FROM (
  SELECT placement_group, count(*) AS n FROM directory.mailboxes GROUP BY placement_group) AS c"""

_PINNED = """
SELECT coalesce(jsonb_agg(jsonb_build_array(address, placement_group)), '[]') FROM directory.mailboxes
WHERE address IN (SELECT jsonb_array_elements_text(:input -> 'addresses'))
  OR domain IN (SELECT jsonb_array_elements_text(:input -> 'domains'))"""


def reserved(platform: Platform) -> tuple[Reservation, ...]:
    """Return the groups that the stack's pins reserve."""
    return reservations(platform.config.pins, platform.config.placement_groups)


def pins_of(platform: Platform) -> tuple[Pin, ...]:
    """Return the stack's pins as the planner takes them."""
    return tuple(_pin(reservation) for reservation in reserved(platform))


def _pin(reservation: Reservation) -> Pin:
    regions = frozenset() if reservation.home else frozenset(reservation.regions)
    return Pin(reservation.name, frozenset(reservation.groups), reservation.home, regions)


def stack_fleet(platform: Platform, states: Mapping[str, State], *, leaving: frozenset[str] = frozenset()) -> Fleet:
    """Return the mail servers of a stack in their states; raises PlanError for what no map could obey."""
    hosts = [MailHost(server.name, server.region, server.weight) for server in platform.mail_servers]
    return Fleet(with_states(hosts, states), platform.config.placement_groups, pins_of(platform), leaving)


def group_for(platform: Platform, address: str, number: int | None, sizes: Callable[[], Mapping[int, int]]) -> int:
    """Return the group of a new mailbox: `number` if it is one that the mailbox may have, else the smallest of those.

    `sizes` tells how large groups are; it is asked only if that decides.

    Raises:
        InputError: there is no such group, or it is not for this mailbox.
    """
    groups = platform.config.placement_groups
    if number is not None and not 0 <= number < groups:
        msg = f"placement group {number} does not exist: take one of 0 to {groups - 1}, or leave --group out"
        raise InputError(msg)
    pin = _pin_name(platform, address)
    if number is None:
        return group_of(address, stack_fleet(platform, {}), sizes(), pin)
    if number not in allowed_groups(platform, address):
        raise InputError(_not_for(address, number, pin))
    return number


def _pin_name(platform: Platform, address: str) -> str | None:
    pin = pin_of(platform.config.pins, address)
    return pin.name if pin else None


def _not_for(address: str, number: int, pin: str | None) -> str:
    if pin is None:
        return f"placement group {number} is reserved by a pin of the stack file, not for {address}: leave --group out"
    where = pin.replace("+", " and ")
    return f"{address} is pinned to {where}, and placement group {number} is not of that pin: leave --group out"


def allowed_groups(platform: Platform, address: str) -> frozenset[int]:
    """Return the groups that a mailbox may have."""
    return frozenset(groups_for(stack_fleet(platform, {}), _pin_name(platform, address)))


def mailboxes_by_group(stack: str) -> dict[int, int]:
    """Return how many mailboxes each group has; raises DirectoryError."""
    return {int(number): int(count) for number, count in read(stack, _COUNTS).value.items()}


def misplaced(platform: Platform) -> dict[str, int]:
    """Return pinned mailboxes in groups that are not their pin's: they were there before it. Raises DirectoryError."""
    pins = platform.config.pins
    if not pins:
        return {}
    wanted = {"addresses": [p.address for p in pins if p.address], "domains": [p.domain for p in pins if p.domain]}
    groups = {reservation.name: reservation.groups for reservation in reserved(platform)}
    found = {}
    for address, group in read(platform.stack, _PINNED, wanted).value:
        pin = pin_of(pins, address)
        if pin is not None and group not in groups[pin.name]:
            found[str(address)] = int(group)
    return found
