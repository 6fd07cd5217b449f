"""Where packets go: each test follows one through the recorded route tables."""

from itertools import permutations

import pytest

from .network_stack import ALL_OFF, network, platform_of
from .routing import Paths

INTERNET = "198.51.100.7"
NO_INSPECTION = {"inspection": False}
NO_BALANCERS = {"balancers": False, "web": False, "accelerator": False}


def firewalls(hops: list[str]) -> list[str]:
    return [h for h in hops if h.startswith("inspection-") and "-firewall-" in h]


@pytest.mark.parametrize("options", [{}, NO_BALANCERS], ids=["all", "no balancers"])
def test_a_packet_between_regions_passes_both_firewalls_and_its_answer_the_same_ones(options: dict[str, bool]) -> None:
    platform, paths = platform_of(options), Paths(network(options))
    tier = "mail" if platform.options.balancers else "edge"
    for source in paths.subnets(tier):
        zone = source.name[-1]
        for target in paths.subnets(tier):
            here, there = source.inputs["region"], target.inputs["region"]
            if here == there:
                continue
            way = paths.walk(source, str(platform.regions[there][10]))
            wanted = [f"inspection-{here}-firewall-{zone}", f"inspection-{there}-firewall-{zone}"]
            assert firewalls(way) == wanted, way
            assert way[-1] == f"arrived in network-{there}-vpc", way
            back = paths.walk(target, str(platform.regions[here][10]))
            if target.name[-1] == zone:
                assert firewalls(back) == wanted[::-1], "only a firewall that sees both directions can judge a flow"


def test_private_servers_reach_the_internet_through_firewall_and_nat_of_their_zone() -> None:
    paths = Paths(network())
    for subnet in [*paths.subnets("mail"), *paths.subnets("data")]:
        region, zone = subnet.inputs["region"], subnet.name[-1]
        way = paths.walk(subnet, INTERNET)
        assert way == [f"inspection-{region}-firewall-{zone}", f"inspection-{region}-nat-{zone}", "internet"]


def test_an_answer_from_the_internet_passes_the_firewall_of_its_nat_before_the_mail_network() -> None:
    made, platform = network(), platform_of({})
    paths = Paths(made)
    for subnet in (m for m in made if m.kind == "Subnet" and "-nat-" in m.name):
        region, zone = subnet.inputs["region"], subnet.name[-1]
        way = paths.walk(subnet, str(platform.regions[region][10]))
        assert way == [f"inspection-{region}-firewall-{zone}", f"arrived in network-{region}-vpc"]


@pytest.mark.parametrize("address", ["10.200.0.1", "172.20.0.1", "192.168.7.7", "100.64.0.1"])
def test_private_addresses_of_nobody_end_in_a_black_hole(address: str) -> None:
    paths = Paths(network())
    for subnet in paths.subnets("mail"):
        assert paths.walk(subnet, address) == ["blackhole"]


@pytest.mark.parametrize("options", [{}, NO_INSPECTION], ids=["inspection", "peering"])
def test_endpoints_and_transit_subnets_have_no_way_out(options: dict[str, bool]) -> None:
    paths = Paths(network(options))
    for subnet in [*paths.subnets("endpoint"), *paths.subnets("transit")]:
        assert paths.walk(subnet, INTERNET) == ["no route"]


def test_only_edge_and_nat_subnets_are_routed_to_an_internet_gateway() -> None:
    made = network()
    tables = {m.id: m.name for m in made if m.type.startswith("aws:ec2/routeTable:")}
    open_tables = {tables[m.inputs["routeTableId"]] for m in made if "gatewayId" in m.inputs}
    assert open_tables
    assert all(name.endswith("-edge") or "-nat-" in name for name in open_tables), open_tables


def test_the_hsm_answers_witnesses_of_other_regions() -> None:
    platform, paths = platform_of({}), Paths(network())
    for subnet in paths.subnets("endpoint"):
        way = paths.walk(subnet, str(platform.regions[platform.archive][10]))
        if subnet.inputs["region"] == platform.home:
            assert way[-1] == f"arrived in network-{platform.archive}-vpc"
        elif subnet.inputs["region"] != platform.archive:
            assert way == ["no route"], "endpoints serve their own region only"


@pytest.mark.parametrize(("options", "count"), [(NO_INSPECTION, 3), (ALL_OFF, 3), (ALL_OFF, 12)])
def test_without_inspection_each_ordered_pair_of_regions_has_its_own_peering(
    options: dict[str, bool], count: int
) -> None:
    platform, paths = platform_of(options, count), Paths(network(options, count))
    subnets = [*paths.subnets("mail"), *paths.subnets("data"), *(paths.subnets("edge") if options == ALL_OFF else ())]
    pairs = set()
    for subnet in subnets:
        here = subnet.inputs["region"]
        for there in set(platform.regions) - {here}:
            way = paths.walk(subnet, str(platform.regions[there][10]))
            assert way[0] in (f"peering {here}-{there}", f"peering {there}-{here}")
            assert way[1:] == [f"arrived in network-{there}-vpc"]
            pairs.add((here, there))
    assert pairs == set(permutations(platform.regions, 2))


def test_twelve_regions_with_inspection_reach_each_other() -> None:
    platform, paths = platform_of({}, 12), Paths(network({}, 12))
    for subnet in (s for s in paths.subnets("mail") if s.name.endswith("-a")):
        here = subnet.inputs["region"]
        for there in set(platform.regions) - {here}:
            way = paths.walk(subnet, str(platform.regions[there][10]))
            assert way == [
                f"inspection-{here}-firewall-a",
                f"transit {here} to {there}",
                f"inspection-{there}-firewall-a",
                f"arrived in network-{there}-vpc",
            ]


def test_without_inspection_private_servers_leave_by_the_nat_of_their_zone() -> None:
    paths = Paths(network(NO_INSPECTION))
    servers = {(s.region, s.zone[-1], s.role.value) for s in platform_of(NO_INSPECTION).servers}
    for region, zone, role in servers:
        tier = "mail" if role == "mail" else "data"
        (subnet,) = (s for s in paths.subnets(tier) if s.name == f"network-{region}-{tier}-{zone}")
        assert paths.walk(subnet, INTERNET) == [f"network-{region}-nat-{zone}", "internet"]
