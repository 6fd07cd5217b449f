"""Makes a Topology true: namespaces, veth pairs, addresses, routes and rules.

What is right stays as it is, what is missing is made, what is wrong is made anew; so it may run at any time.
"""

import json
from pathlib import Path
from typing import Any

from . import naming
from .command import run, succeeds
from .errors import LabError
from .network import End, Link, Namespace, RouteSpec, RuleSpec, Topology

NETNS_DIR = Path("/run/netns")


def apply(topology: Topology, lab_id: str) -> None:
    """Bring the machine's namespaces of this lab to the topology, and remove those that are not in it."""
    wanted = {n.name for n in topology.namespaces}
    for name in existing(lab_id):
        if name not in wanted:
            remove_namespace(name)
    for space in topology.namespaces:
        _ensure_namespace(space)
    _ensure_links(topology)
    for space in topology.namespaces:
        _ensure_addresses(topology, space)
        _ensure_routes(space)


def existing(lab_id: str) -> list[str]:
    """Return the names of this lab's namespaces."""
    return sorted(p.name for p in NETNS_DIR.glob(f"{naming.prefix(lab_id)}*"))


def remove_namespace(name: str) -> None:
    """Remove a namespace with its links, also one that was made only half."""
    if succeeds(["ip", "-n", name, "link"]):
        for link in _json(name, "link"):
            if link.get("linkinfo", {}).get("info_kind") == "veth":
                _ip(name, f"link del {link['ifname']}")
    run(["ip", "netns", "del", name])


def _json(namespace: str, *words: str) -> list[dict[str, Any]]:
    text = run(["ip", "-d", "-j", "-n", namespace, *words])
    found: list[dict[str, Any]] = json.loads(text) if text.strip() else []
    return [entry for entry in found if entry]


def _ip(namespace: str, *lines: str) -> None:
    """Run iproute2 commands in a namespace, in one process."""
    if lines:
        run(["ip", "-n", namespace, "-batch", "-"], stdin="\n".join(lines) + "\n")


def _ensure_namespace(space: Namespace) -> None:
    path = NETNS_DIR / space.name
    if path.exists() and not succeeds(["ip", "-n", space.name, "link"]):
        run(["ip", "netns", "del", space.name])
    if not path.exists():
        run(["ip", "netns", "add", space.name])
    forward = 1 if space.forwards else 0
    settings = [
        f"net.ipv4.ip_forward={forward}",
        "net.ipv6.conf.default.disable_ipv6=1",
        *(f"net.ipv4.conf.{scope}.rp_filter=1" for scope in ("all", "default")),
        *(f"net.ipv4.conf.{scope}.send_redirects=0" for scope in ("all", "default")),
        *(f"net.ipv4.conf.{scope}.accept_redirects=0" for scope in ("all", "default")),
    ]
    run(["ip", "netns", "exec", space.name, "sysctl", "-q", "-w", *settings])


def _ensure_links(topology: Topology) -> None:
    present = {n.name: {e["ifname"]: e for e in _json(n.name, "link")} for n in topology.namespaces}
    for space in topology.namespaces:
        if space.bridge and space.bridge.interface not in present[space.name]:
            _ip(space.name, f"link add {space.bridge.interface} type bridge", f"link set {space.bridge.interface} up")
        if space.owned:
            known = {"lo", *(e.interface for e in topology.ends(space.name))}
            extra = [name for name in present[space.name] if name not in known]
            _ip(space.name, *(f"link del {name}" for name in extra))
    for link in topology.links:
        if not _joined(link, present):
            _remake(link, present)
    for space in topology.namespaces:
        _ip(space.name, "link set lo up", *(f"link set {e.interface} up" for e in topology.ends(space.name)))


def _joined(link: Link, present: dict[str, dict[str, dict[str, Any]]]) -> bool:
    one = present[link.one.namespace].get(link.one.interface)
    two = present[link.two.namespace].get(link.two.interface)
    return (
        one is not None
        and two is not None
        and one.get("link_index") == two["ifindex"]
        and two.get("link_index") == one["ifindex"]
        and (link.one.isolated_in is None or one.get("master") == link.one.isolated_in)
    )


def _remake(link: Link, present: dict[str, dict[str, dict[str, Any]]]) -> None:
    for end in (link.one, link.two):
        if end.interface in present[end.namespace] and succeeds(
            ["ip", "-n", end.namespace, "link", "show", end.interface]
        ):
            _ip(end.namespace, f"link del {end.interface}")
    one, two = link.one, link.two
    _ip(one.namespace, f"link add {one.interface} type veth peer name {two.interface} netns {two.namespace}")
    if one.isolated_in:
        _ip(one.namespace, f"link set {one.interface} master {one.isolated_in}")
        run(["bridge", "-n", one.namespace, "link", "set", "dev", one.interface, "isolated", "on"])


def _ensure_addresses(topology: Topology, space: Namespace) -> None:
    present = {e["ifname"]: e for e in _json(space.name, "-4", "addr")}
    for end in topology.ends(space.name):
        has = [
            f"{a['local']}/{a['prefixlen']}"
            for a in present.get(end.interface, {}).get("addr_info", [])
            if "local" in a
        ]
        if tuple(has) != end.addresses:
            _set_addresses(end, has)


def _set_addresses(end: End, has: list[str]) -> None:
    removed = [f"addr del {a} dev {end.interface}" for a in has]
    added = [f"addr add {a} dev {end.interface}" for a in end.addresses]
    _ip(end.namespace, *removed, *added)


def _ensure_routes(space: Namespace) -> None:
    has = {_route(r) for r in _json(space.name, "-4", "route", "show", "table", "all", "proto", "static")}
    _ip(space.name, *(f"route del {r.words()}" for r in has - space.routes))
    missing = sorted(space.routes - has, key=lambda r: r.gateway is not None)
    _ip(space.name, *(f"route replace {r.words()}" for r in missing))
    ours = {_rule(r) for r in _json(space.name, "-4", "rule", "show") if "iif" in r}
    _ip(space.name, *(f"rule del pref {r.priority} iif {r.device} lookup {r.table}" for r in ours - space.rules))
    _ip(space.name, *(f"rule add pref {r.priority} iif {r.device} lookup {r.table}" for r in space.rules - ours))


def _route(entry: dict[str, Any]) -> RouteSpec:
    unreachable = entry.get("type") == "unreachable"
    return RouteSpec(
        destination=str(entry["dst"]),
        device=None if unreachable else entry.get("dev"),
        gateway=entry.get("gateway"),
        table=str(entry.get("table", "main")),
        unreachable=unreachable,
    )


def _rule(entry: dict[str, Any]) -> RuleSpec:
    return RuleSpec(priority=int(entry["priority"]), device=str(entry["iif"]), table=str(entry["table"]))


def load_firewall(namespace: str, text: str) -> None:
    """Replace a router's nftables rules in one transaction. Raises LabError with the line that nft refuses."""
    try:
        run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], stdin=text)
    except LabError as error:
        message = f"The firewall of {namespace} was refused, so its former rules stay. {error}"
        raise LabError(message) from error
