"""Which balancer, region and health check stand behind each name of a domain, as values.

A name answers with a region's address only while the service there passes its check:
- exchangers have failover records: their own region, then the next one;
- client and web names have latency records, one a region, or lead to the accelerator, which chooses by itself;
- without balancers client names have a multivalue record for each server.
When every record of a name fails its check Route 53 answers as if all passed (Route 53 Developer Guide, "How Amazon
Route 53 chooses records when health checking is configured"): servers fence themselves, names never vanish.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from .model import Platform
from .ports import Port
from .records import CLIENT_NAMES, WEB_NAMES, exchanger, mail_regions, served_names

MAIL_CHECKS = (Port.SMTP, *CLIENT_NAMES.values())
"""Ports of a mail balancer that have a health check of their own."""


class Balancer(StrEnum):
    """What a name leads to."""

    MAIL = "mail"
    """A region's network load balancer."""
    WEB = "web"
    """A region's application load balancer."""
    ACCELERATOR = "accelerator"


class Routing(StrEnum):
    """How Route 53 chooses between the records of a name."""

    SIMPLE = "simple"
    LATENCY = "latency"
    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True)
class ServiceRecord:
    """One alias record."""

    name: str
    type: str
    balancer: Balancer
    routing: Routing
    region: str | None
    """Whose balancer; none for the accelerator."""
    port: Port
    """The service whose check decides."""

    @property
    def set_identifier(self) -> str | None:
        """What tells records of one name and type apart; none for a name that has a single one."""
        if self.region is None:
            return None
        return self.region if self.routing is Routing.LATENCY else f"{self.routing}-{self.region}"


@dataclass(frozen=True)
class CheckedAddress:
    """A client name's address record of one server, which answers while its service passes its check."""

    name: str
    server: str
    port: Port


def service_records(platform: Platform, domain: str) -> tuple[ServiceRecord, ...]:
    """Return the alias records of a domain; exchangers stand below the first domain only."""
    found: list[ServiceRecord] = []
    if platform.options.balancers:
        found += _exchangers(platform) if domain == platform.domain else ()
        found += _clients(platform, domain)
    if platform.options.web_balancers:
        for name in WEB_NAMES:
            found += _latency(platform, f"{name}.{domain}", Balancer.WEB, Port.HTTPS, _types(platform))
    return tuple(found)


def checked_addresses(platform: Platform, domain: str) -> tuple[CheckedAddress, ...]:
    """Return the client names' records where each server has an address of its own and health checks are on."""
    if platform.options.balancers or not platform.options.health_checks:
        return ()
    return tuple(
        CheckedAddress(f"{name}.{domain}", server.name, port)
        for name, port in served_names(platform).items()
        for server in platform.mail_servers
    )


def _types(platform: Platform) -> tuple[str, ...]:
    return ("A", "AAAA") if platform.options.ipv6 else ("A",)


def _exchangers(platform: Platform) -> Iterator[ServiceRecord]:
    regions = mail_regions(platform)
    for index, region in enumerate(regions):
        following = regions[(index + 1) % len(regions)]
        name = exchanger(platform, region)
        for record_type in _types(platform):
            yield ServiceRecord(name, record_type, Balancer.MAIL, Routing.PRIMARY, region, Port.SMTP)
            yield ServiceRecord(name, record_type, Balancer.MAIL, Routing.SECONDARY, following, Port.SMTP)


def _clients(platform: Platform, domain: str) -> Iterator[ServiceRecord]:
    """Yield the records of client names; the accelerator has IPv4 only, IPv6 goes to the nearest region itself."""
    for short, port in CLIENT_NAMES.items():
        name = f"{short}.{domain}"
        direct = _types(platform)
        if platform.options.accelerator:
            yield ServiceRecord(name, "A", Balancer.ACCELERATOR, Routing.SIMPLE, None, port)
            direct = direct[1:]
        yield from _latency(platform, name, Balancer.MAIL, port, direct)


def _latency(
    platform: Platform, name: str, balancer: Balancer, port: Port, types: tuple[str, ...]
) -> Iterator[ServiceRecord]:
    for record_type in types:
        for region in mail_regions(platform):
            yield ServiceRecord(name, record_type, balancer, Routing.LATENCY, region, port)
