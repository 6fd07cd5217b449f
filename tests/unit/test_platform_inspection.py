"""The network firewall's rule groups: exact, complete, and within the limits of AWS."""

import re
from collections import Counter

import pytest
from hypothesis import given

from onedallmail.platform.egress import allowed_domains
from onedallmail.platform.flows import Party
from onedallmail.platform.inspection import InspectionRule, pass_rules
from onedallmail.platform.inspection_rules import (
    MAX_CAPACITY,
    MAX_RULE_LENGTH,
    RuleGroup,
    rule_groups,
    rule_lines,
    suricata_variables,
)
from onedallmail.platform.model import Platform, build_platform
from onedallmail.platform.stack import parse_stack

from .fabrics import example, platforms, small_on_aws
from .stacks import small

RULE = re.compile(
    r"(pass|drop|alert) (tcp|udp|icmp|ip|tls|dns|smtp|http|ssh) "
    r"(?P<source>\S+ \S+) -> (?P<target>\S+ \S+) \((?P<options>.+;)\)"
)


def option(rule: str, name: str) -> str:
    found = re.search(rf"[(; ]{name}:([^;]+);", rule)
    assert found, f"{name} is missing: {rule}"
    return found[1]


def lines(groups: tuple[RuleGroup, ...]) -> list[str]:
    return [line for group in groups for line in rule_lines(group.text)]


@given(platforms())
def test_every_rule_is_well_formed_and_says_what_it_is(platform: Platform) -> None:
    for region in platform.regions:
        for line in lines(rule_groups(platform, region)):
            assert RULE.fullmatch(line), line
            assert option(line, "msg").strip('"')
            assert option(line, "rev").isdecimal()
            assert option(line, "classtype")


@given(platforms())
def test_numbers_are_unique_in_a_policy_and_local(platform: Platform) -> None:
    for region in platform.regions:
        sids = Counter(int(option(line, "sid")) for line in lines(rule_groups(platform, region)))
        assert set(sids.values()) <= {1}
        assert all(1_000_000 <= sid < 2_000_000 for sid in sids)


def test_a_flow_keeps_its_number_whatever_else_the_stack_has() -> None:
    def numbers(platform: Platform) -> dict[str, int]:
        return {rule.name: rule.sid for rule in pass_rules(platform, platform.home)}

    everything, less = numbers(small_on_aws()), numbers(small_on_aws(web=False, endpoints=False, cloudHsm=False))
    assert less.items() <= everything.items()


@given(platforms(servers=12))
def test_groups_stay_within_the_limits_of_aws(platform: Platform) -> None:
    for region in platform.regions:
        groups = rule_groups(platform, region)
        for group in groups:
            rules = len(rule_lines(group.text)) or len(group.domains) + 1
            assert rules <= group.capacity <= MAX_CAPACITY
            values = {f"${name}": ",".join(held) for name, held in group.variables.items()}
            for line in rule_lines(group.text):
                named = re.findall(r"\$[A-Z_]+", line)
                assert set(named) <= set(values), f"{group.name} defines no {named}"
                assert len(line) + sum(len(values[name]) for name in named) <= MAX_RULE_LENGTH
        assert [g.priority for g in groups] == sorted({g.priority for g in groups})


@pytest.mark.control("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", basis="recorded")
@given(platforms())
def test_only_what_the_intent_graph_has_passes_and_between_its_servers_only(platform: Platform) -> None:
    for region in platform.regions:
        rules = {rule.sid: rule for rule in pass_rules(platform, region)}
        rules |= {rule.answer_sid: rule for rule in rules.values()}
        passed = [line for line in lines(rule_groups(platform, region)) if line.startswith("pass ")]
        assert {int(option(line, "sid")) for line in passed} == set(rules)
        for line in passed:
            rule = rules[int(option(line, "sid"))]
            assert str(rule.flow.port.value) in (line.split()[3], line.split()[6])
            assert_exact(platform, rule, region)


def assert_exact(platform: Platform, rule: InspectionRule, region: str) -> None:
    servers = {s.private_ip: s for s in platform.servers}
    for network in rule.source.networks:
        assert servers[network.network_address] in platform.members(rule.flow.source)
        assert network.prefixlen == 32
    if rule.destination is not None and rule.flow.destination is not Party.HSM:
        held = {servers[n.network_address] for n in rule.destination.networks}
        assert held <= set(platform.members(rule.flow.destination))
        here = {servers[n.network_address].region == region for n in rule.source.networks}
        assert here == {s.region != region for s in held}, "a firewall sees what crosses regions only"


def test_a_stack_without_inspection_has_no_groups() -> None:
    assert rule_groups(small_on_aws(inspection=False), "eu-central-1") == ()
    assert rule_groups(example("lab"), "eu-central-1") == ()


@pytest.mark.control("iso27001:A.8.23", "soc2:CC6.6", basis="recorded")
def test_https_leaves_by_name_only_and_the_list_has_what_servers_need() -> None:
    platform = example("example")
    for region in platform.regions:
        names = allowed_domains(platform, region)
        assert {"security.debian.org", "database.clamav.net", "acme-v02.api.letsencrypt.org"} <= set(names)
        assert f".s3.{region}.amazonaws.com" in names
        assert not [n for n in names if n.count(".") < 2]
        assert not [n for n in lines(rule_groups(platform, region)) if n.startswith("pass") and " 443 " in n]


def test_without_endpoints_the_apis_of_the_own_region_are_on_the_list() -> None:
    names = set(allowed_domains(small_on_aws(endpoints=False), "eu-west-1"))
    assert {f"{s}.eu-west-1.amazonaws.com" for s in ("ssm", "ssmmessages", "ec2messages", "kms", "logs")} <= names
    assert "ssm.eu-west-1.amazonaws.com" not in allowed_domains(small_on_aws(), "eu-west-1")


def test_an_operators_names_stand_for_all_below_them_and_nothing_is_said_twice() -> None:
    settings = small() | {"target": "aws", "options": {}, "egressDomains": ["debian.org", "example.net"]}
    names = allowed_domains(build_platform(parse_stack("prod", settings)), "eu-west-1")
    assert {".debian.org", ".example.net"} <= set(names)
    assert not [n for n in names if n.endswith("debian.org") and n != ".debian.org"]
    assert len(set(names)) == len(names)


def test_an_address_set_with_two_meanings_is_refused() -> None:
    one = rule_groups(example("example"), "eu-central-1")
    two = rule_groups(example("example"), "eu-west-1")
    with pytest.raises(ValueError, match="two meanings"):
        suricata_variables((*one, *two))
