"""Reads the rules of security groups: those of their own resources and those written inside the group.

IPv6 rules are left out, because the lab's networks carry IPv4 only and its routers drop everything else.
"""

from ipaddress import IPv4Network
from typing import Any

from .errors import LabError
from .estate import GroupRule
from .resources import Resource, Resources

_TYPES = {
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": False,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": True,
}
_PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "tcp": "tcp", "udp": "udp", "icmp": "icmp", "-1": "-1"}
_IPV6_PROTOCOLS = ("icmpv6", "58")


def read_rules(found: Resources, place: dict[str, str]) -> dict[str, list[GroupRule]]:
    """Return the rules of each group of `place` (group id to region).

    Raises LabError for an unknown group or protocol, for prefix lists, and for a group of another region.
    """
    rules: dict[str, list[GroupRule]] = {id_: [] for id_ in place}
    for type_, egress in _TYPES.items():
        for r in found.all(type_):
            group = _checked(r, r.text("securityGroupId"), place)
            rules[group] += _own_resource(r, group, egress=egress, place=place)
    for r in found.items:
        if r.id in place and "ecurityGroup:" in r.type:
            for key, egress in (("ingress", False), ("egress", True)):
                for inline in r.optional(key, []):
                    rules[r.id] += _inline(r, inline, egress=egress, place=place)
    return rules


def _checked(where: Resource, group: str, place: dict[str, str], home: str | None = None) -> str:
    if group not in place:
        message = f"{where.urn} refers to the security group {group!r}, which is not in the deployment."
        raise LabError(message)
    if home is not None and place[group] != place[home]:
        message = (
            f"{where.urn} refers to the security group {group} of {place[group]}, but a group can be referred to "
            f"in its own region ({place[home]}) only. Name addresses (cidrIpv4) instead."
        )
        raise LabError(message)
    return group


def _own_resource(r: Resource, group: str, *, egress: bool, place: dict[str, str]) -> list[GroupRule]:
    _refuse_prefix_list(r, r.optional("prefixListId"))
    protocol = _protocol(r, r.text("ipProtocol"))
    if r.optional("cidrIpv6") or protocol is None:
        return []
    ports = _ports(protocol, r.optional("fromPort"), r.optional("toPort"))
    if other := r.optional("referencedSecurityGroupId"):
        other = _checked(r, str(other), place, group)
        return [GroupRule(egress=egress, protocol=protocol, ports=ports, cidr=None, group_id=other)]
    cidr = IPv4Network(r.text("cidrIpv4"))
    return [GroupRule(egress=egress, protocol=protocol, ports=ports, cidr=cidr, group_id=None)]


def _inline(r: Resource, inline: dict[str, Any], *, egress: bool, place: dict[str, str]) -> list[GroupRule]:
    _refuse_prefix_list(r, inline.get("prefixListIds"))
    protocol = _protocol(r, str(inline.get("protocol", "")))
    if protocol is None:
        return []
    ports = _ports(protocol, inline.get("fromPort"), inline.get("toPort"))
    others = [_checked(r, str(g), place, r.id) for g in inline.get("securityGroups") or ()]
    others += [r.id] if inline.get("self") else []
    sides: list[tuple[IPv4Network | None, str | None]] = [
        *((IPv4Network(c), None) for c in inline.get("cidrBlocks") or ()),
        *((None, g) for g in others),
    ]
    return [GroupRule(egress=egress, protocol=protocol, ports=ports, cidr=c, group_id=g) for c, g in sides]


def _refuse_prefix_list(r: Resource, value: object) -> None:
    if value:
        message = (
            f"{r.urn} names a prefix list ({value}), which the lab does not know. Name addresses (cidrIpv4) instead."
        )
        raise LabError(message)


def _protocol(r: Resource, value: str) -> str | None:
    """Return tcp, udp, icmp or -1; None for protocols of IPv6."""
    if value in _IPV6_PROTOCOLS:
        return None
    if value not in _PROTOCOLS:
        message = f"{r.urn} has the protocol {value!r}; the lab knows tcp, udp, icmp and -1 (all)."
        raise LabError(message)
    return _PROTOCOLS[value]


def _ports(protocol: str, first: object, last: object) -> tuple[int, int] | None:
    if protocol == "-1" or first is None:
        return None
    low = int(str(first).split(".")[0])
    high = low if last is None else int(str(last).split(".")[0])
    if (protocol == "icmp" and low == -1) or (protocol != "icmp" and (low, high) in ((0, 65535), (-1, -1))):
        return None
    return (low, high)
