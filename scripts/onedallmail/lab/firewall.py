"""A region router's nftables rules from the stack's security groups (pure).

A new connection passes if the groups of the sender let it out *and* those of the receiver let it in; what belongs to
neither is dropped. Addresses are checked as EC2 does: before the internet gateway's translation on the way out,
after it on the way in. Refused packets are counted per server and direction.
"""

from . import naming
from .aws.names import METADATA_ADDRESS, METADATA_PORT
from .estate import Estate, GroupRule, Instance, Route, TargetKind

TABLE = "onedallmail"


def render(estate: Estate, region: str) -> str:
    """Return the text for `nft -f` that replaces the router's rules in one transaction."""
    instances = estate.instances_of(region)
    blocks = [
        *(f"counter dropped_{way}_{_id(i)} {{ }}" for i in instances for way in ("out", "in")),
        "counter dropped_other { }",
        "counter dropped_spoofed { }",
        *(_chain(estate, i, egress=egress) for i in instances for egress in (True, False)),
        _input(instances),
        _forward(instances),
        *_translation(estate, instances),
    ]
    body = "\n".join(blocks)
    return f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{body}\n}}\n" + _no_ipv6()


def _no_ipv6() -> str:
    table = f"{TABLE}_6"
    chain = "chain forward {\n type filter hook forward priority filter; policy drop;\n}"
    return f"table ip6 {table}\ndelete table ip6 {table}\ntable ip6 {table} {{\n{chain}\n}}\n"


def _id(instance: Instance) -> str:
    return instance.name.replace("-", "_")


def _device(instance: Instance) -> str:
    return f'"{naming.interface("i", instance.name)}"'


def _chain(estate: Estate, instance: Instance, *, egress: bool) -> str:
    """Return the chain that returns for what one server's groups permit and drops the rest."""
    way, side = ("out", "daddr") if egress else ("in", "saddr")
    groups = [g for g in estate.security_groups if g.id in instance.group_ids]
    rules = {
        f"{match} return"
        for group in groups
        for rule in group.rules
        if rule.egress is egress
        for match in _matches(estate, rule, side)
    }
    lines = [*sorted(rules), f'counter name "dropped_{way}_{_id(instance)}" drop']
    return f"chain {way}_{_id(instance)} {{\n " + "\n ".join(lines) + "\n}"


def _matches(estate: Estate, rule: GroupRule, side: str) -> list[str]:
    """Return the packet matches of one rule; none for a group that no server is in."""
    if rule.cidr is not None:
        addresses = [] if rule.cidr.prefixlen == 0 else [str(rule.cidr)]
        anywhere = not addresses
    else:
        addresses = sorted(str(i.private_ip) for i in estate.instances if rule.group_id in i.group_ids)
        anywhere = False
    if not addresses and not anywhere:
        return []
    where = "" if anywhere else f"ip {side} {{ {', '.join(addresses)} }} "
    return [(where + _service(rule)).strip()]


def _service(rule: GroupRule) -> str:
    if rule.protocol == "-1":
        return "meta l4proto != 0"
    if rule.ports is None:
        return f"meta l4proto {rule.protocol}"
    first, last = rule.ports
    if rule.protocol == "icmp":
        code = "" if last == -1 else f" icmp code {last}"
        return f"icmp type {first}{code}"
    ports = str(first) if first == last else f"{first}-{last}"
    return f"{rule.protocol} dport {ports}"


def _input(instances: tuple[Instance, ...]) -> str:
    """Return the chain for the router itself, which offers its servers their metadata and nothing else."""
    service = f"ip daddr {METADATA_ADDRESS} tcp dport {METADATA_PORT} accept"
    lines = [f"iifname {_device(i)} ip saddr {i.private_ip} {service}" for i in instances]
    return "\n ".join(["chain input {\n type filter hook input priority filter; policy drop;", *lines]) + "\n}"


def _forward(instances: tuple[Instance, ...]) -> str:
    lines = ["type filter hook forward priority filter; policy drop;"]
    lines += [f'iifname {_device(i)} ip saddr != {i.private_ip} counter name "dropped_spoofed" drop' for i in instances]
    lines += ["ct state established,related accept", 'ct state invalid counter name "dropped_other" drop']
    if instances:
        outs = ", ".join(f"{_device(i)} : jump out_{_id(i)}" for i in instances)
        ins = ", ".join(f"{_device(i)} : jump in_{_id(i)}" for i in instances)
        devices = ", ".join(_device(i) for i in instances)
        lines += [f"iifname vmap {{ {outs} }}", f"oifname vmap {{ {ins} }}"]
        lines += [f"iifname {{ {devices} }} accept", f"oifname {{ {devices} }} accept"]
    lines.append('counter name "dropped_other" drop')
    return "chain forward {\n " + "\n ".join(lines) + "\n}"


def _translation(estate: Estate, instances: tuple[Instance, ...]) -> list[str]:
    """Return Elastic IPs as translation one to one, NAT gateways as masquerade behind their address."""
    incoming = [
        f'iifname "{naming.INET}" ip daddr {i.public_ip} dnat to {i.private_ip}' for i in instances if i.public_ip
    ]
    outgoing, ways_out = [], []
    for instance in instances:
        for route in sorted(estate.routes_of(instance), key=lambda r: -r.destination.prefixlen):
            if route.kind is TargetKind.PEERING:
                continue
            match = f'oifname "{naming.INET}" ip saddr {instance.private_ip} ip daddr {route.destination}'
            address = _public_address(estate, instance, route)
            if address:
                outgoing.append(f"{match} snat to {address}")
                ways_out.append(f"{match} accept")
            else:
                ways_out.append(f'{match} counter name "dropped_out_{_id(instance)}" drop')
    return [
        "chain prerouting {\n type nat hook prerouting priority dstnat;\n " + "\n ".join(incoming) + "\n}",
        "chain unaddressed {\n type filter hook forward priority filter - 1;\n " + "\n ".join(ways_out) + "\n}",
        "chain postrouting {\n type nat hook postrouting priority srcnat;\n " + "\n ".join(outgoing) + "\n}",
    ]


def _public_address(estate: Estate, instance: Instance, route: Route) -> str | None:
    """Return the source address that the internet sees, or None for a server that has none and no NAT gateway."""
    if route.kind is TargetKind.NAT_GATEWAY:
        return next(str(n.public_ip) for n in estate.nat_gateways if n.id == route.target_id)
    return str(instance.public_ip) if instance.public_ip else None
