"""The routing plan: every flow has a way, both directions pass the same firewalls, and only the edge faces outwards."""

import pytest
from hypothesis import given

from onedallmail.platform.addresses import Tier
from onedallmail.platform.flows import Party
from onedallmail.platform.model import Platform
from onedallmail.platform.routes import Route, Side, Step, Target, inspection_routes, mail_routes, transit_routes, way
from onedallmail.platform.sites import INTERNET, Site, conversations

from .fabrics import platforms, small_on_aws


def firewalls(platform: Platform, source: Site, target: Site) -> list[str]:
    return [hop.region for hop in way(platform, source, target) or () if hop.step is Step.FIREWALL]


@given(platforms())
def test_every_conversation_of_the_intent_graph_has_a_way(platform: Platform) -> None:
    for flow in platform.flows:
        for source, target in conversations(platform, flow):
            assert way(platform, source, target), f"{flow.name}: {source} to {target}"


@given(platforms())
def test_answers_come_back_through_the_same_firewalls(platform: Platform) -> None:
    for flow in platform.flows:
        for source, target in conversations(platform, flow):
            if source.inside and target.inside:
                assert firewalls(platform, source, target) == firewalls(platform, target, source)[::-1]


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", basis="recorded")
@given(platforms())
def test_with_inspection_both_regions_firewalls_see_what_crosses_between_them(platform: Platform) -> None:
    inspected = platform.options.inspection
    for flow in platform.flows:
        for source, target in conversations(platform, flow):
            if source.inside and target.inside and source.region != target.region:
                seen = firewalls(platform, source, target)
                assert seen == ([source.region, target.region] if inspected else []), flow.name


@given(platforms())
def test_private_tiers_call_out_by_their_own_regions_gateway_only(platform: Platform) -> None:
    for tier in (Tier.MAIL, Tier.DATA):
        for region in platform.regions:
            if not any(r.tier is tier for r in mail_routes(platform, region)):
                continue
            hops = way(platform, Site(region, tier), INTERNET) or ()
            steps = [h.step for h in hops]
            assert {h.region for h in hops} == {region}
            assert steps[-2:] == [Step.NAT, Step.INTERNET] or Step.NAT in steps
            assert (Step.FIREWALL in steps) is platform.options.inspection


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", basis="recorded")
@given(platforms())
def test_the_internet_has_a_way_to_the_edge_only(platform: Platform) -> None:
    for region in platform.regions:
        for tier in Tier:
            assert bool(way(platform, INTERNET, Site(region, tier))) is (tier is Tier.EDGE)


@given(platforms())
def test_inner_tiers_have_no_way_out_and_lead_nothing_to_the_internet_gateway(platform: Platform) -> None:
    for region in platform.regions:
        for route in mail_routes(platform, region):
            assert (route.target is Target.INTERNET) is (route.tier is Tier.EDGE and route.destination.prefixlen == 0)
            assert route.tier is not Tier.TRANSIT, "the VPC's own route is all that the transit subnets need"
        assert way(platform, Site(region, Tier.ENDPOINT), INTERNET) is None


def test_private_space_that_is_no_mail_network_is_dropped_on_both_sides_of_the_transit_gateway() -> None:
    platform = small_on_aws()
    for side in Side:
        dropped = [
            r for r in transit_routes(platform, platform.home) if r.side is side and r.target is Target.BLACKHOLE
        ]
        assert {str(r.destination) for r in dropped} == {
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",
        }


def test_a_firewall_subnet_leads_the_internet_to_nat_and_every_mail_network_to_the_transit_gateway() -> None:
    platform = small_on_aws()
    routes: list[Route] = [r for r in inspection_routes(platform, platform.home) if str(r.tier) == "firewall"]
    by_target = {r.target: {str(x.destination) for x in routes if x.target is r.target} for r in routes}
    assert by_target == {
        Target.NAT: {"0.0.0.0/0"},
        Target.TRANSIT: {"10.10.0.0/16", "10.20.0.0/16", "10.30.0.0/16"},
    }


def test_management_has_no_site_and_so_no_way() -> None:
    platform = small_on_aws()
    flow = next(f for f in platform.flows if f.source is Party.MANAGEMENT)
    assert conversations(platform, flow) == ()
