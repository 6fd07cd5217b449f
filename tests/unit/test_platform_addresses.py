"""The address plan: nothing overlaps, every address has one home, there is room to grow."""

from ipaddress import IPv6Network
from itertools import combinations
from typing import Any

from hypothesis import given

from onedallmail.platform.addresses import (
    FIRST_HOST,
    Tier,
    inspection_network,
    inspection_subnets,
    region_subnets,
    subnet_ipv6,
    tier_of,
    used_subnets,
)
from onedallmail.platform.model import build_platform
from onedallmail.platform.stack import parse_stack

from .stacks import small, stacks


@given(stacks())
def test_subnets_of_all_regions_never_overlap_and_stay_inside_their_network(settings: dict[str, Any]) -> None:
    stack = parse_stack("prod", settings)
    subnets = [s for region in stack.regions for s in region_subnets(region).values()]
    for region in stack.regions:
        assert all(s.cidr.subnet_of(region.cidr) for s in region_subnets(region).values())
    assert not any(one.cidr.overlaps(two.cidr) for one, two in combinations(subnets, 2))


@given(stacks())
def test_every_address_has_exactly_one_home_in_the_subnet_of_its_zone(settings: dict[str, Any]) -> None:
    stack = parse_stack("prod", settings)
    platform = build_platform(stack)
    addresses = [s.private_ip for s in platform.servers]
    assert len(set(addresses)) == len(addresses)
    plans = {region.name: region_subnets(region) for region in stack.regions}
    for server in platform.servers:
        subnet = plans[server.region][tier_of(server.role, stack.options), server.zone[-1]].cidr
        assert server.private_ip in list(subnet)[FIRST_HOST:-1]


@given(stacks())
def test_a_fifth_of_each_network_and_a_slot_of_each_tier_is_left_for_growth(settings: dict[str, Any]) -> None:
    stack = parse_stack("prod", settings)
    for region in stack.regions:
        taken = [s.cidr for s in region_subnets(region).values()]
        assert sum(c.num_addresses for c in taken) <= region.cidr.num_addresses * 4 // 5
        slots = list(region.cidr.subnets(prefixlen_diff=4))
        free = [s for s in slots if not any(s.overlaps(c) for c in taken)]
        assert len(free) == 3, "one a tier, but the last, whose slot holds the transit subnets"


@given(stacks())
def test_an_inner_subnet_has_an_edge_subnet_of_its_zone_to_go_out_by(settings: dict[str, Any]) -> None:
    stack = parse_stack("prod", settings)
    for region in stack.regions:
        used = {(s.tier, s.zone) for s in used_subnets(region, stack.options)}
        assert all((Tier.EDGE, zone) in used for tier, zone in used if tier in (Tier.MAIL, Tier.DATA))


@given(stacks())
def test_every_server_stands_in_a_subnet_that_the_stack_makes(settings: dict[str, Any]) -> None:
    stack = parse_stack("prod", settings)
    for region in stack.regions:
        used = [s.cidr for s in used_subnets(region, stack.options)]
        for server in (s for s in build_platform(stack).servers if s.region == region.name):
            assert sum(server.private_ip in cidr for cidr in used) == 1


@given(stacks())
def test_inspection_networks_overlap_neither_each_other_nor_a_mail_network(settings: dict[str, Any]) -> None:
    stack = parse_stack("prod", settings)
    networks = [inspection_network(stack, r.name) for r in stack.regions]
    assert not any(one.overlaps(two) for one, two in combinations([*networks, *(r.cidr for r in stack.regions)], 2))
    for region in stack.regions:
        subnets = [s.cidr for s in inspection_subnets(stack, region.name).values()]
        assert all(s.subnet_of(inspection_network(stack, region.name)) for s in subnets)
        assert not any(one.overlaps(two) for one, two in combinations(subnets, 2))


@given(stacks())
def test_each_subnet_has_a_network_of_ipv6_of_its_own(settings: dict[str, Any]) -> None:
    for region in parse_stack("prod", settings).regions:
        slots = [s.ipv6_slot for s in region_subnets(region).values()]
        assert len({subnet_ipv6(IPv6Network("2001:db8:0:100::/56"), n) for n in slots}) == len(slots)


def test_a_region_that_goes_moves_no_inspection_network_of_another() -> None:
    settings = small()
    before = parse_stack("lab", settings)
    settings["regions"].insert(
        0, {"name": "eu-west-3", "cidr": "10.40.0.0/16", "servers": [{"name": "d1", "voter": False}]}
    )
    after = parse_stack("lab", settings)
    assert inspection_network(before, "eu-west-1") == inspection_network(after, "eu-west-1")


def test_a_stated_address_is_kept_and_the_others_make_room() -> None:
    settings = small()
    settings["regions"][0]["servers"][1].update(zone="a", address="10.10.0.10")
    platform = build_platform(parse_stack("lab", settings))
    assert str(platform.server("a2").private_ip) == "10.10.0.10"
    assert str(platform.server("a1").private_ip) == "10.10.0.11"


def test_a_new_server_at_the_end_moves_nobody() -> None:
    before = build_platform(parse_stack("lab", small()))
    settings = small()
    settings["regions"][0]["servers"].append({"name": "a3", "voter": False})
    after = build_platform(parse_stack("lab", settings))
    assert {s.name: s.private_ip for s in before.servers}.items() <= {
        s.name: s.private_ip for s in after.servers
    }.items()
