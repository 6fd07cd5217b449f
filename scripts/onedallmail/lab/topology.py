"""From an Estate to namespaces, links and routes (pure).

A server has a link to its region's router and no other, so that every packet to a neighbour passes the router's
firewall. Routers know only what the stack's route tables say; nothing leads to the machine's own network.
"""

from collections.abc import Iterable, Mapping

from . import naming
from .aws.names import METADATA_ADDRESS
from .errors import LabError
from .estate import Estate, Instance, Region, Route, TargetKind
from .network import End, Link, Namespace, RouteSpec, RuleSpec, Topology
from .outside import OUTSIDE, OutsideNode

GATEWAY = "169.254.1.1"
"""A server's next hop, whatever its address: link-local and the same on every link (RFC 3927 range)."""
OPS_ADDRESS = "100.64.0.1"
_MANAGEMENT = "100.64.0."
_FIRST_MANAGEMENT, _LAST_MANAGEMENT = 11, 254
_PEERING_NET, _INET_NET = "169.254.16", "169.254.32"
_FIRST_TABLE = 100


def allocate_management(nodes: Iterable[str], previous: Mapping[str, str]) -> dict[str, str]:
    """Return a management address for each node; a node keeps the one it had.

    Raises LabError if there are more nodes than addresses.
    """
    names = sorted(nodes)
    kept = {n: previous[n] for n in names if n in previous}
    free = (
        address
        for number in range(_FIRST_MANAGEMENT, _LAST_MANAGEMENT + 1)
        if (address := f"{_MANAGEMENT}{number}") not in kept.values()
    )
    try:
        return {n: kept.get(n) or next(free) for n in names}
    except StopIteration as error:
        message = f"The lab has addresses for {_LAST_MANAGEMENT - _FIRST_MANAGEMENT + 1} nodes, not for {len(names)}."
        raise LabError(message) from error


def booting_nodes(estate: Estate) -> list[str]:
    """Return the names of the nodes that run Debian."""
    return [i.name for i in estate.instances] + [o.name for o in OUTSIDE if o.boots]


def build_topology(estate: Estate, lab_id: str, management: Mapping[str, str]) -> Topology:
    """Return the network of the whole lab. Raises LabError for names or addresses that clash."""
    _refuse_clashes(estate)
    links = [
        *(_instance_link(lab_id, i) for i in estate.instances),
        *(_outside_link(lab_id, o) for o in OUTSIDE),
        *_peering_links(estate, lab_id),
        *_inet_links(estate, lab_id),
        *(_management_link(lab_id, name, address) for name, address in management.items()),
    ]
    spaces = [
        *(_router(estate, lab_id, region) for region in estate.regions),
        _inet(estate, lab_id),
        _ops(lab_id, management),
        *(_node(lab_id, i.name, managed=True) for i in estate.instances),
        *(_node(lab_id, o.name, managed=o.boots) for o in OUTSIDE),
    ]
    return Topology(namespaces=tuple(spaces), links=tuple(links), management=dict(management))


def _refuse_clashes(estate: Estate) -> None:
    taken = {naming.OPS, naming.INET, *(o.name for o in OUTSIDE), *(naming.router(r.name) for r in estate.regions)}
    for instance in estate.instances:
        if instance.name in taken:
            message = (
                f"The server's name {instance.name!r} is one that the lab uses itself. Give the server another name."
            )
            raise LabError(message)
    outside = {a for o in OUTSIDE for a in o.addresses}
    public = [
        str(a) for a in (*(i.public_ip for i in estate.instances), *(n.public_ip for n in estate.nat_gateways)) if a
    ]
    for address in public:
        if address in outside or public.count(address) > 1:
            message = f"The public address {address} is used twice in the lab: each Elastic IP must be its own."
            raise LabError(message)


def _instance_link(lab_id: str, instance: Instance) -> Link:
    router = naming.namespace(lab_id, naming.router(instance.region))
    return Link(
        one=End(namespace=router, interface=naming.interface("i", instance.name), addresses=(f"{GATEWAY}/32",)),
        two=End(
            namespace=naming.namespace(lab_id, instance.name),
            interface="eth0",
            addresses=(f"{instance.private_ip}/32",),
        ),
    )


def _outside_link(lab_id: str, node: OutsideNode) -> Link:
    inet = naming.namespace(lab_id, naming.INET)
    return Link(
        one=End(namespace=inet, interface=naming.interface("o", node.name), addresses=(f"{GATEWAY}/32",)),
        two=End(
            namespace=naming.namespace(lab_id, node.name),
            interface="eth0",
            addresses=tuple(f"{a}/32" for a in node.addresses),
        ),
    )


def _management_link(lab_id: str, node: str, address: str) -> Link:
    return Link(
        one=End(
            namespace=naming.namespace(lab_id, naming.OPS),
            interface=naming.interface("m", node),
            isolated_in="mgmt",
        ),
        two=End(namespace=naming.namespace(lab_id, node), interface="mgmt0", addresses=(f"{address}/32",)),
    )


def _peering_links(estate: Estate, lab_id: str) -> list[Link]:
    return [
        Link(one=_peering_end(estate, lab_id, number, 0), two=_peering_end(estate, lab_id, number, 1))
        for number in range(len(estate.peerings))
    ]


def _peering_end(estate: Estate, lab_id: str, number: int, side: int) -> End:
    regions = estate.peerings[number].regions
    return End(
        namespace=naming.namespace(lab_id, naming.router(regions[side])),
        interface=naming.interface("p", naming.region_short(regions[1 - side])),
        addresses=(f"{_peering_address(number, side)}/31",),
    )


def _peering_address(number: int, side: int) -> str:
    return f"{_PEERING_NET}.{2 * number + side}"


def _connected(estate: Estate) -> list[str]:
    """Return the regions with an internet gateway, in a fixed order."""
    return sorted({g.region for g in estate.internet_gateways})


def _inet_links(estate: Estate, lab_id: str) -> list[Link]:
    return [
        Link(
            one=End(
                namespace=naming.namespace(lab_id, naming.INET),
                interface=naming.router(region),
                addresses=(f"{_INET_NET}.{2 * number}/31",),
            ),
            two=End(
                namespace=naming.namespace(lab_id, naming.router(region)),
                interface=naming.INET,
                addresses=(f"{_INET_NET}.{2 * number + 1}/31",),
            ),
        )
        for number, region in enumerate(_connected(estate))
    ]


def _router(estate: Estate, lab_id: str, region: Region) -> Namespace:
    instances = estate.instances_of(region.name)
    local = [(f"{i.private_ip}", naming.interface("i", i.name)) for i in instances]
    routes = {RouteSpec(destination=a, device=d) for a, d in local}
    rules = set()
    tables = [t for t in estate.route_tables if t.region == region.name]
    for number, table in enumerate(tables, start=_FIRST_TABLE):
        name = str(number)
        routes |= {RouteSpec(destination=a, device=d, table=name) for a, d in local}
        routes.add(RouteSpec(destination=str(region.cidr), table=name, unreachable=True))
        specs = (_leads(estate, region.name, route, name) for route in table.routes)
        routes |= {spec for spec in specs if spec}
    for number, instance in enumerate(instances):
        subnet = next(s for s in estate.subnets if s.id == instance.subnet_id)
        held = next((n for n, t in enumerate(tables, start=_FIRST_TABLE) if t.id == subnet.route_table_id), None)
        if held is not None:
            device = naming.interface("i", instance.name)
            rules.add(RuleSpec(priority=1000 + number, device=device, table=str(held)))
    return Namespace(
        name=naming.namespace(lab_id, naming.router(region.name)),
        forwards=True,
        owned=True,
        loopback=(f"{METADATA_ADDRESS}/32",),
        routes=frozenset(routes),
        rules=frozenset(rules),
    )


def _leads(estate: Estate, region: str, route: Route, table: str) -> RouteSpec | None:
    """Return a route of a router's table, or None where the stack's leads nowhere."""
    destination = "default" if route.destination.prefixlen == 0 else str(route.destination)
    if route.kind is TargetKind.PEERING:
        for number, peering in enumerate(estate.peerings):
            if peering.id == route.target_id and region in peering.regions:
                side = peering.regions.index(region)
                other = naming.region_short(peering.regions[1 - side])
                gateway = _peering_address(number, 1 - side)
                return RouteSpec(
                    destination=destination, device=naming.interface("p", other), gateway=gateway, table=table
                )
        return None
    if region not in _connected(estate) or not _reaches_internet(estate, route):
        return None
    gateway = f"{_INET_NET}.{2 * _connected(estate).index(region)}"
    return RouteSpec(destination=destination, device=naming.INET, gateway=gateway, table=table)


def _reaches_internet(estate: Estate, route: Route) -> bool:
    """Return whether a gateway carries packets out: a NAT gateway needs a subnet that leads to the internet gateway."""
    if route.kind is TargetKind.INTERNET_GATEWAY:
        return True
    gateway = next(n for n in estate.nat_gateways if n.id == route.target_id)
    subnet = next(s for s in estate.subnets if s.id == gateway.subnet_id)
    routes = next((t.routes for t in estate.route_tables if t.id == subnet.route_table_id), ())
    return any(r.kind is TargetKind.INTERNET_GATEWAY for r in routes)


def _inet(estate: Estate, lab_id: str) -> Namespace:
    routes = {RouteSpec(destination=a, device=naming.interface("o", o.name)) for o in OUTSIDE for a in o.addresses}
    public = [(i.region, i.public_ip) for i in estate.instances if i.public_ip]
    public += [(n.region, n.public_ip) for n in estate.nat_gateways]
    for region, address in public:
        if region in _connected(estate):
            gateway = f"{_INET_NET}.{2 * _connected(estate).index(region) + 1}"
            routes.add(RouteSpec(destination=str(address), device=naming.router(region), gateway=gateway))
    return Namespace(name=naming.namespace(lab_id, naming.INET), forwards=True, owned=True, routes=frozenset(routes))


def _ops(lab_id: str, management: Mapping[str, str]) -> Namespace:
    name = naming.namespace(lab_id, naming.OPS)
    bridge = End(namespace=name, interface="mgmt", addresses=(f"{OPS_ADDRESS}/32",))
    routes = frozenset(RouteSpec(destination=address, device="mgmt") for address in management.values())
    return Namespace(name=name, owned=True, bridge=bridge, routes=routes)


def _node(lab_id: str, name: str, *, managed: bool) -> Namespace:
    routes = {
        RouteSpec(destination=GATEWAY, device="eth0"),
        RouteSpec(destination="default", device="eth0", gateway=GATEWAY),
    }
    if managed:
        routes.add(RouteSpec(destination=OPS_ADDRESS, device="mgmt0"))
    return Namespace(name=naming.namespace(lab_id, name), routes=frozenset(routes))
