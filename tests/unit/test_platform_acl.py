"""Network ACLs: all that the intent graph needs passes, within AWS's quota, and little else does."""

from collections import Counter
from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings

from onedallmail.platform.acl import MAX_QUOTA, QUOTA, SERVER_TCP, AclRule, Crossing, acl_rules, acl_tiers, crossings
from onedallmail.platform.addresses import Tier
from onedallmail.platform.flows import Protocol
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.ports import Port
from onedallmail.platform.sites import cover
from onedallmail.platform.stack import parse_stack

from .fabrics import example, platforms, small_on_aws
from .stacks import small


def fits(rule: AclRule, crossing: Crossing) -> bool:
    return (
        rule.egress is crossing.egress
        and rule.protocol is crossing.protocol
        and rule.cidr.version == crossing.peer.version
        and crossing.peer.subnet_of(rule.cidr)  # type: ignore[arg-type]  # same version
        and rule.first_port <= crossing.ports[0]
        and crossing.ports[1] <= rule.last_port
    )


def open_to_all(platform: Platform, region: str, tier: Tier) -> list[AclRule]:
    return [r for r in acl_rules(platform, region, tier) if not r.egress and r.cidr.prefixlen == 0]


@settings(max_examples=15)
@given(platforms())
def test_every_crossing_of_the_intent_graph_and_its_answer_is_allowed(platform: Platform) -> None:
    for crossing in crossings(platform):
        if crossing.tier in acl_tiers(platform, crossing.region):
            rules = acl_rules(platform, crossing.region, crossing.tier)
            assert any(fits(rule, crossing) for rule in rules), crossing


@settings(max_examples=15)
@given(platforms(servers=12))
def test_each_direction_fits_the_default_quota_of_aws_with_up_to_twelve_mail_regions(platform: Platform) -> None:
    for region in platform.regions:
        for tier in acl_tiers(platform, region):
            assert all(n <= QUOTA for n in Counter(r.egress for r in acl_rules(platform, region, tier)).values())


def test_networks_of_all_three_private_blocks_are_never_joined_and_fit_the_raised_quota() -> None:
    settings = small() | {"target": "aws", "options": {}}
    for region, cidr in zip(settings["regions"], ("10.10.0.0/16", "172.16.0.0/16", "192.168.0.0/16"), strict=True):
        region["cidr"] = cidr
    platform = build_platform(parse_stack("prod", settings))
    for region in platform.regions:
        for tier in acl_tiers(platform, region):
            rules = acl_rules(platform, region, tier)
            assert max(Counter(r.egress for r in rules).values(), default=0) <= MAX_QUOTA
            assert all(r.cidr.prefixlen == 0 or r.cidr.is_private for r in rules)


@settings(max_examples=15)
@given(platforms())
def test_numbers_are_unique_in_a_direction_and_in_the_range_of_aws(platform: Platform) -> None:
    for region in platform.regions:
        for tier in acl_tiers(platform, region):
            numbers = Counter((r.egress, r.number) for r in acl_rules(platform, region, tier))
            assert set(numbers.values()) <= {1}
            assert all(1 <= number <= 32766 for _, number in numbers)


def test_an_entry_that_stays_keeps_its_number_when_others_come() -> None:
    with_web, without = small_on_aws(), small_on_aws(web=False)

    def numbers(platform: Platform) -> dict[tuple[object, ...], int]:
        rules = acl_rules(platform, platform.home, Tier.MAIL)
        return {(r.egress, r.protocol, r.first_port, r.last_port, r.cidr): r.number for r in rules}

    before, after = numbers(without), numbers(with_web)
    assert len(after) > len(before)
    assert before.items() <= after.items()


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", basis="recorded")
def test_no_list_lets_the_internet_reach_a_port_that_servers_serve_behind_load_balancers() -> None:
    platform = example("example")
    inner = {p for p in Port if p not in (Port.DNS, Port.NTP, Port.NTS)}
    for region in platform.regions:
        for tier in (Tier.MAIL, Tier.DATA, Tier.ENDPOINT, Tier.TRANSIT):
            for rule in open_to_all(platform, region, tier):
                reached = {p for p in inner if rule.first_port <= p <= rule.last_port}
                assert not reached or rule.protocol is Protocol.UDP, f"{region} {tier}: {rule}"


@given(platforms())
def test_the_internet_is_let_to_no_administration_port(platform: Platform) -> None:
    for region in platform.regions:
        for tier in acl_tiers(platform, region):
            for rule in open_to_all(platform, region, tier):
                assert not rule.first_port <= Port.SSH <= rule.last_port


def test_a_server_hears_answers_on_the_ports_of_its_kernel_only() -> None:
    rules = acl_rules(small_on_aws(), "eu-central-1", Tier.MAIL)
    tcp = {(r.first_port, r.last_port) for r in rules if not r.egress and r.protocol is Protocol.TCP}
    assert {ports for ports in tcp if ports[1] - ports[0] > 1} == {SERVER_TCP}


def test_ports_lie_below_those_from_which_servers_call() -> None:
    assert max(Port) < SERVER_TCP[0]


def test_a_stack_without_whole_tiers_has_no_lists() -> None:
    assert acl_tiers(example("lab"), "eu-central-1") == ()


def test_cover_takes_the_smallest_networks_and_keeps_private_blocks_apart() -> None:
    def nets(*texts: str) -> list[IPv4Network]:
        return [IPv4Network(t) for t in texts]

    assert cover(nets("10.0.0.0/24", "10.0.1.0/24"), 1) == tuple(nets("10.0.0.0/23"))
    assert cover(nets("10.0.0.0/24", "10.0.3.0/24", "10.9.0.0/24"), 2) == tuple(nets("10.0.0.0/22", "10.9.0.0/24"))
    assert cover(nets("10.0.0.0/24", "192.168.0.0/24"), 1) == tuple(nets("10.0.0.0/24", "192.168.0.0/24"))
    assert cover([], 1) == ()
