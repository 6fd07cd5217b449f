"""Where the parties of the intent graph stand: the tiers of regions, and the internet around them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network
from itertools import pairwise

from .addresses import ZONES, Tier, region_subnets, tier_of
from .flows import Flow, Party
from .model import HSM_ZONES, Platform
from .servers import Server
from .stack import RegionConfig


@dataclass(frozen=True)
class Site:
    """A tier of a region, or the internet; `zones` are those that the party uses."""

    region: str | None = None
    tier: Tier | None = None
    zones: tuple[str, ...] = ()

    @property
    def inside(self) -> bool:
        """Whether the site belongs to the platform."""
        return self.region is not None

    def __str__(self) -> str:
        return f"{self.region} {self.tier}" if self.inside else "internet"


INTERNET = Site()


def region_named(platform: Platform, region: str) -> RegionConfig:
    """Return the configuration of a region.

    Raises:
        KeyError: the stack has no such region.
    """
    for config in platform.config.regions:
        if config.name == region:
            return config
    msg = f"the stack has no region {region}; it has {', '.join(platform.regions)}"
    raise KeyError(msg)


@lru_cache(maxsize=4096)
def tier_network(platform: Platform, region: str, tier: Tier) -> IPv4Network:
    """Return the smallest network that holds a tier's subnets in all zones."""
    plan = region_subnets(region_named(platform, region))
    return cover([plan[tier, zone].cidr for zone in ZONES], parts=1)[0]


def server_tier(platform: Platform, server: Server) -> Tier:
    """Return the tier in which a server stands."""
    return tier_of(server.role, platform.options)


def mail_regions(platform: Platform) -> tuple[str, ...]:
    """Return the regions with mail servers: those that have load balancers, where the stack has any."""
    return tuple(name for name in platform.regions if any(s.region == name for s in platform.mail_servers))


def sites(platform: Platform, party: Party) -> tuple[Site, ...]:
    """Return where a party stands; nothing for management, whose way in is no network of the platform."""
    match party:
        case Party.INTERNET:
            return (INTERNET,)
        case Party.MANAGEMENT:
            return ()
        case Party.EDGE | Party.WEB:
            return tuple(Site(region, Tier.EDGE, ZONES) for region in mail_regions(platform))
        case Party.ENDPOINT:
            return tuple(Site(region, Tier.ENDPOINT, ZONES) for region in platform.regions)
        case Party.HSM:
            return (Site(platform.home, Tier.ENDPOINT, HSM_ZONES),)
        case _:
            return _server_sites(platform, platform.members(party))


def _server_sites(platform: Platform, servers: Iterable[Server]) -> tuple[Site, ...]:
    found: dict[tuple[str, Tier], set[str]] = {}
    for server in servers:
        found.setdefault((server.region, server_tier(platform, server)), set()).add(server.zone[-1])
    return tuple(Site(region, tier, tuple(sorted(zones))) for (region, tier), zones in found.items())


def conversations(platform: Platform, flow: Flow) -> tuple[tuple[Site, Site], ...]:
    """Return the pairs of sites between which a flow's packets leave a subnet."""
    return tuple(
        (source, target)
        for source in sites(platform, flow.source)
        for target in sites(platform, flow.destination)
        if not (flow.regional and source.inside and target.inside and source.region != target.region)
        and not _one_subnet(source, target)
    )


def _one_subnet(source: Site, target: Site) -> bool:
    return source == target and len(source.zones) == 1


def cover(networks: Iterable[IPv4Network], parts: int) -> tuple[IPv4Network, ...]:
    """Return at most `parts` networks that hold all the given ones, as narrow as that number allows.

    Networks of different private blocks (RFC 1918) are never joined, so there may be one a block even so.
    """
    found = _without_parts(networks)
    if parts == 1 and found and (all_in_one := _join(found[0], found[-1])).is_private:
        return (all_in_one,)
    while len(found) > parts:
        joined = [(wider, one, two) for one, two in pairwise(found) if (wider := _join(one, two)).is_private]
        if not joined:
            break
        wider, one, two = max(joined, key=lambda j: j[0].prefixlen)
        found = _without_parts([n for n in found if n not in (one, two)] + [wider])
    return tuple(found)


def _without_parts(networks: Iterable[IPv4Network]) -> list[IPv4Network]:
    found: list[IPv4Network] = []
    for network in sorted(set(networks), key=lambda n: (n.network_address, n.prefixlen)):
        if not found or not network.subnet_of(found[-1]):
            found.append(network)
    return found


def _join(one: IPv4Network, two: IPv4Network) -> IPv4Network:
    """Return the smallest network that holds both."""
    first, second = int(one.network_address), int(two.network_address)
    alike = one.max_prefixlen - (first ^ second).bit_length()
    prefix = min(one.prefixlen, two.prefixlen, alike)
    spare = one.max_prefixlen - prefix
    return IPv4Network((first >> spare << spare, prefix))
