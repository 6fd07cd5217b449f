"""Which route tables a mail network has, and in which zones a NAT gateway. Pure: no resource is made here."""

from collections.abc import Sequence
from dataclasses import dataclass

from onedallmail.platform.addresses import ZONES, Subnet, Tier, tier_of
from onedallmail.platform.model import Platform
from onedallmail.platform.routes import PRIVATE_TIERS
from onedallmail.platform.stack import RegionConfig


@dataclass(frozen=True)
class Table:
    """A route table: of a whole tier, or of a tier in one zone where each zone has a way out of its own."""

    tier: Tier
    zone: str | None = None

    @property
    def label(self) -> str:
        """Return the part of a name that tells this table from others: `edge`, `data-a`."""
        return f"{self.tier}-{self.zone}" if self.zone else str(self.tier)


def table_of(subnet: Subnet, platform: Platform) -> Table:
    """Return the table of a subnet: private tiers have one a zone where the mail network has NAT gateways itself."""
    by_zone = subnet.tier in PRIVATE_TIERS and not platform.options.inspection
    return Table(subnet.tier, subnet.zone if by_zone else None)


def tables_of(subnets: Sequence[Subnet], platform: Platform) -> tuple[Table, ...]:
    """Return the tables of these subnets, each once, in the order of the subnets."""
    return tuple(dict.fromkeys(table_of(subnet, platform) for subnet in subnets))


def nat_zones(platform: Platform, region: RegionConfig) -> tuple[str, ...]:
    """Return the zones in which a mail network has a NAT gateway: those with a server in a private tier.

    None with inspection: packets then leave through the inspection network's NAT gateways.
    """
    if platform.options.inspection:
        return ()
    held = {s.zone for s in region.servers if tier_of(s.role, platform.options) in PRIVATE_TIERS}
    return tuple(zone for zone in ZONES if zone in held)
