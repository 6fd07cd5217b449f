"""What the network firewall of a region lets pass, as values: one rule a flow and direction, addresses by set.

A firewall sees what crosses regions, and what private servers send to the internet. Rules name exactly the servers of
the flow; where the client speaks first in a protocol that the engine reads (TLS, DNS) they name it too, so that another
one on the same port does not pass.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network

from .flows import Flow, Party, Protocol
from .model import Platform
from .ports import Port
from .routes import UNUSED, Step, way
from .sites import INTERNET, Site, server_tier

FIRST_SID = 1_000_000
"""Numbers from here to 1 999 999 are for local rules (Suricata, "sid")."""
SIDS_PER_PORT = 20
ANSWER = 4
"""What a rule's number grows by for the answers to its calls."""
UDP = 10


class Application(StrEnum):
    """A protocol as the firewall's engine names it; plain transport where it can't look inside."""

    TCP = "tcp"
    UDP = "udp"
    TLS = "tls"
    DNS = "dns"


BY_PORT = {Port.DNS: Application.DNS, Port.NTS: Application.TLS}
"""What the internet is called with on a port. HTTPS is not here: it passes by name (see `egress`). SMTP is not either:
its server speaks first, and the engine would have to drop the greeting before it knows the protocol."""


@dataclass(frozen=True)
class AddressSet:
    """Addresses under the name that rules refer to."""

    name: str
    networks: tuple[IPv4Network, ...]


PRIVATE = AddressSet("PRIVATE", UNUSED)
"""All private space; what is not in it is the internet."""


@dataclass(frozen=True)
class InspectionRule:
    """One rule that lets a flow pass in one direction of call; answers belong to it."""

    sid: int
    flow: Flow
    application: Application
    source: AddressSet
    destination: AddressSet | None
    """None: the internet, which is everything outside private space."""

    @property
    def answer_sid(self) -> int:
        """The number of the rule for the answers."""
        return self.sid + ANSWER

    @property
    def name(self) -> str:
        """The flow, and where it goes to as this region sees it."""
        where = "" if self.destination is None else f" to {self.destination.name.lower().replace('_', ' ')}"
        return self.flow.name + where


def pass_rules(platform: Platform, region: str) -> tuple[InspectionRule, ...]:
    """Return what a region's firewall lets pass, HTTPS to the internet excepted; nothing without inspection."""
    if not platform.options.inspection:
        return ()
    found: list[InspectionRule] = []
    for flow in platform.flows:
        if flow.destination is Party.INTERNET:
            found += _to_internet(platform, flow, region)
        elif Party.INTERNET not in (flow.source, flow.destination) and not flow.regional:
            found += _between_regions(platform, flow, region)
    return tuple(found)


def mail_networks(platform: Platform) -> AddressSet:
    """Return all mail networks: where calls come from that the firewall judges."""
    return AddressSet("MAIL_NET", tuple(sorted(platform.regions.values())))


def inspected_callers(platform: Platform, party: Party, region: str) -> AddressSet:
    """Return the servers of a party in a region whose way to the internet passes the firewall."""
    servers = [
        s
        for s in platform.members(party)
        if s.region == region and _inspected(platform, Site(s.region, server_tier(platform, s)), INTERNET)
    ]
    return AddressSet(f"{party.name}_OUT", tuple(sorted(IPv4Network(s.private_ip) for s in servers)))


def _inspected(platform: Platform, source: Site, target: Site) -> bool:
    return any(hop.step is Step.FIREWALL for hop in way(platform, source, target) or ())


def _to_internet(platform: Platform, flow: Flow, region: str) -> Iterable[InspectionRule]:
    callers = inspected_callers(platform, flow.source, region)
    if callers.networks and flow.port is not Port.HTTPS:
        plain = Application(flow.protocol.value)
        yield InspectionRule(_sid(flow, 0), flow, BY_PORT.get(flow.port, plain), callers, None)


def _between_regions(platform: Platform, flow: Flow, region: str) -> Iterable[InspectionRule]:
    """Return a rule for calls to other regions and one for calls from them."""
    for digit, calls_from_here in ((1, True), (2, False)):
        source = _set(platform, flow.source, region, here=calls_from_here)
        destination = _set(platform, flow.destination, region, here=not calls_from_here)
        if source.networks and destination.networks:
            yield InspectionRule(_sid(flow, digit), flow, Application(flow.protocol.value), source, destination)


def _set(platform: Platform, party: Party, region: str, *, here: bool) -> AddressSet:
    """Return a party's addresses in a region, or in all others; the HSM's are its subnets."""
    servers = [s for s in platform.members(party) if (s.region == region) is here]
    networks = [IPv4Network(s.private_ip) for s in servers]
    if party is Party.HSM and (platform.home == region) is here:
        networks += platform.networks(Party.HSM, region)
    return AddressSet(f"{party.name}_{'HERE' if here else 'ELSEWHERE'}", tuple(sorted(networks)))


def _sid(flow: Flow, digit: int) -> int:
    """Return a rule's number: the port, then transport and direction."""
    return FIRST_SID + flow.port * SIDS_PER_PORT + digit + (UDP if flow.protocol is Protocol.UDP else 0)
