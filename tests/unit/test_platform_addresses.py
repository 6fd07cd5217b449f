"""The address plan: nothing overlaps, every address has one home, there is room to grow."""

from itertools import combinations
from typing import Any

from hypothesis import given

from onedallmail.platform.addresses import FIRST_HOST, TIER_OF_ROLE, region_subnets, used_subnets
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
        subnet = plans[server.region][TIER_OF_ROLE[server.role], server.zone[-1]].cidr
        assert server.private_ip in list(subnet)[FIRST_HOST:-1]


@given(stacks())
def test_half_of_each_network_is_left_for_growth(settings: dict[str, Any]) -> None:
    stack = parse_stack("prod", settings)
    for region in stack.regions:
        planned = sum(s.cidr.num_addresses for s in region_subnets(region).values())
        assert planned <= region.cidr.num_addresses // 2


@given(stacks())
def test_a_core_subnet_has_an_edge_subnet_to_go_out_by(settings: dict[str, Any]) -> None:
    for region in parse_stack("prod", settings).regions:
        tiers = {s.tier.value for s in used_subnets(region)}
        assert "edge" in tiers


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
