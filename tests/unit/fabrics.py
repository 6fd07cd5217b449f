"""Platforms and filters for tests of the network plan: small random stacks, examples, and filters made wider."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

from hypothesis import strategies as st

from onedallmail.platform.firewall import ANYWHERE, Direction, Network
from onedallmail.platform.layers import Fabric, Filter, Layer, Transport
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.stack import parse_stack
from onedallmail.stackfile import load_platform

from .stacks import small, stacks

EXAMPLES = ("lab", "example")
LAST_PORT = 65535


def example(name: str) -> Platform:
    """Return the platform of a stack file of the checkout."""
    return load_platform(name)


def small_on_aws(**options: bool) -> Platform:
    """Return the small stack of tests in the cloud, with what it has set on or off."""
    settings = small() | {"target": "aws", "options": options}
    return build_platform(parse_stack("prod", settings))


@st.composite
def platforms(draw: st.DrawFn, servers: int = 2) -> Platform:
    """Draw a platform of any shape and options with at most `servers` a region."""
    settings: dict[str, Any] = draw(stacks())
    for region in settings["regions"]:
        region["servers"] = region["servers"][:servers]
    settings["options"]["ipv6"] = draw(st.booleans())
    return build_platform(parse_stack("prod", settings))


def widened(rule: Filter) -> Iterator[Filter]:
    """Return a filter made wider: in its ports by one or to all, in its peers, in its protocol."""
    yield replace(rule, first_port=max(0, rule.first_port - 1))
    yield replace(rule, last_port=min(LAST_PORT, rule.last_port + 1))
    yield replace(rule, first_port=0, last_port=LAST_PORT)
    yield replace(rule, transport=Transport.ALL)
    everywhere: tuple[Network, ...] = (ANYWHERE,)
    if rule.direction is Direction.IN or rule.layer is Layer.FIREWALL:
        yield replace(rule, sources=everywhere)
        yield replace(rule, sources=tuple(_doubled(n) for n in rule.sources))
    if rule.direction is Direction.OUT:
        yield replace(rule, destinations=everywhere)
        yield replace(rule, destinations=tuple(_doubled(n) for n in rule.destinations))


def _doubled(network: Network) -> Network:
    return network.supernet() if isinstance(network, IPv4Network) and network.prefixlen else network


def lets_more(fabric: Fabric, rule: Filter, wider: Filter) -> bool:
    """Return whether a widened filter lets pass what its holder's filters together did not."""
    own = [f for f in fabric.filters if (f.layer, f.holder, f.direction) == (rule.layer, rule.holder, rule.direction)]
    if wider.transport is Transport.ALL:
        return True
    ports = {wider.first_port, wider.last_port} if wider.last_port - wider.first_port < LAST_PORT else {0, LAST_PORT}
    return any(
        not any(_holds(f, wider.transport, port, source, target) for f in own)
        for port in ports
        for source in wider.sources
        for target in wider.destinations
    )


def _holds(rule: Filter, transport: Transport, port: int, source: Network, target: Network) -> bool:
    fits = rule.transport is transport and rule.first_port <= port <= rule.last_port
    return fits and _inside(source, rule.sources) and _inside(target, rule.destinations)


def _inside(network: Network, others: tuple[Network, ...]) -> bool:
    return any(
        network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]  # same version
        for other in others
    )
