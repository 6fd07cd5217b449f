"""Pins: users and domains whose mail must stay in regions, and the placement groups that are reserved for them. Pure.

A pin of one region keeps the home there; the standby, which is a copy, is in any other region. A pin of two or more
keeps home and standby among them. Pins of the same regions share their groups.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from .domains import Domain, checked_domain
from .options import Strict

SHARE = 16
"""Without a number of its own a pin reserves this part of the groups."""


def _address(value: str) -> str:
    local, at, domain = value.strip().rpartition("@")
    if not at or not local or "+" in local or any(char.isspace() for char in local):
        msg = f"'{value}' is no mailbox: write NAME@DOMAIN, without a +detail"
        raise ValueError(msg)
    return f"{unicodedata.normalize('NFC', local).lower()}@{checked_domain(domain)}"


class PinConfig(Strict):
    """One domain or one mailbox, and the regions in which its mail must stay."""

    domain: Domain | None = None
    address: Annotated[str, AfterValidator(_address)] | None = None
    regions: tuple[str, ...] = Field(min_length=1)
    groups: Annotated[int, Field(ge=1)] | None = None
    """How many placement groups are reserved for pins of these regions, a SHARE when left out; the largest counts."""

    @model_validator(mode="after")
    def _whose(self) -> Self:
        if (self.domain is None) == (self.address is None):
            msg = "a pin is of either a domain or an address: write one of them"
            raise ValueError(msg)
        for region, count in Counter(self.regions).items():
            if count > 1:
                msg = f"region {region} is named twice: name it once"
                raise ValueError(msg)
        return self

    @property
    def name(self) -> str:
        """The name of its reservation: its regions."""
        return "+".join(sorted(self.regions))


@dataclass(frozen=True)
class Reservation:
    """Placement groups for the users that are pinned to some regions."""

    name: str
    regions: tuple[str, ...]
    groups: tuple[int, ...]

    @property
    def home(self) -> str | None:
        """The only region, which is that of the homes; None when home and standby stay in all of them."""
        return self.regions[0] if len(self.regions) == 1 else None


def reservations(pins: Sequence[PinConfig], groups: int) -> tuple[Reservation, ...]:
    """Return the groups of each set of regions, out of 0..groups-1, in the order in which pins name the sets.

    A set takes those groups of which its name and their numbers make the largest hashes, so the choice depends on
    nothing but the file. A pin that is added at the end, or a larger number of the last set, changes no other set.
    """
    free, found = set(range(groups)), []
    for name, size in _sizes(pins, groups).items():
        ranked = sorted(free, key=lambda number: (_rank(name, number), number), reverse=True)
        chosen = ranked[:size]
        free -= set(chosen)
        found.append(Reservation(name, tuple(name.split("+")), tuple(sorted(chosen))))
    return tuple(found)


def _sizes(pins: Sequence[PinConfig], groups: int) -> dict[str, int]:
    """Return how many groups each set of regions has, in the order in which pins name the sets."""
    sizes: dict[str, int] = {}
    for pin in pins:
        sizes[pin.name] = max(sizes.get(pin.name, 0), pin.groups or max(1, groups // SHARE))
    return sizes


def _rank(name: str, number: int) -> bytes:
    return hashlib.blake2b(f"{name} {number}".encode(), digest_size=8).digest()


def pin_of(pins: Sequence[PinConfig], address: str) -> PinConfig | None:
    """Return the pin of a mailbox in its one spelling: its own one, else that of its domain."""
    domain = address.rpartition("@")[2]
    own = (pin for pin in pins if pin.address == address)
    return next(own, None) or next((pin for pin in pins if pin.domain == domain), None)


def pin_problems(
    pins: Sequence[PinConfig], domains: Collection[str], regions: Collection[str], groups: int
) -> list[str]:
    """Return what is wrong with the pins of a stack of these mail domains, mail regions and placement groups."""
    found = [text for number, pin in enumerate(pins) for text in _wrong(f"pins.{number}", pin, domains, regions)]
    found += [
        f"pins: {whose} is pinned {count} times: leave one of them"
        for whose, count in Counter(pin.domain or pin.address for pin in pins).items()
        if count > 1
    ]
    wanted = _sizes(pins, groups)
    if sum(wanted.values()) > groups // 2:
        each = ", ".join(f"{size} for {name}" for name, size in wanted.items())
        found.append(
            f"pins reserve {sum(wanted.values())} of {groups} placement groups ({each}): at most half of them; "
            "state smaller numbers as 'groups' of the pins, or pin to fewer different sets of regions"
        )
    return found


def _wrong(where: str, pin: PinConfig, domains: Collection[str], regions: Collection[str]) -> Iterator[str]:
    domain = pin.domain or str(pin.address).rpartition("@")[2]
    if domain not in domains:
        field = "domain" if pin.domain else "address"
        yield f"{where}.{field}: {domain} is no domain of this stack: write one of {', '.join(sorted(domains))}"
    for region in pin.regions:
        if region not in regions:
            known = ", ".join(sorted(regions))
            yield f"{where}.regions: no mail server stands in {region}: name one or more of {known}"
