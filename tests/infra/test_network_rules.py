"""ACLs, firewall rules, endpoints and resolver: what is registered is what the plan says."""

import json
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from onedallmail.platform.acl import acl_rules, acl_tiers
from onedallmail.platform.addresses import InspectionTier, Tier
from onedallmail.platform.egress import REGIONAL_SERVICES
from onedallmail.platform.firewall import Direction, party_rules, security_group_rules
from onedallmail.platform.flows import Party
from onedallmail.platform.inspection_rules import rule_groups
from onedallmail.platform.routes import Route, Target, inspection_routes, mail_routes, transit_routes

from .network_stack import ALL_OFF, KEY, Made, network, platform_of

OPTIONS: list[dict[str, bool]] = [
    {},
    {"inspection": False},
    {"balancers": False, "web": False, "accelerator": False},
    {"balancers": False, "accelerator": False},
    {"ipv6": False},
    ALL_OFF,
]
TARGETS = {
    "gatewayId": Target.INTERNET,
    "natGatewayId": Target.NAT,
    "vpcPeeringConnectionId": Target.PEERING,
    "transitGatewayId": Target.TRANSIT,
    "vpcEndpointId": Target.FIREWALL,
}


def of_type(options: dict[str, bool], type_: str) -> list[Made]:
    return [m for m in network(options) if m.type.startswith(f"aws:{type_}:")]


def registered_routes(options: dict[str, bool]) -> Iterator[tuple[str, str, Route]]:
    """Return network, region and route of every subnet's table."""
    tables: dict[str, list[Made]] = {}
    for route in of_type(options, "ec2/route"):
        tables.setdefault(route.inputs["routeTableId"], []).append(route)
    subnets = {m.id: m for m in of_type(options, "ec2/subnet")}
    for link in of_type(options, "ec2/routeTableAssociation"):
        subnet = subnets[link.inputs["subnetId"]]
        kind, tier, zone = subnet.name.split("-")[0], *subnet.name.split("-")[-2:]
        for route in tables.get(link.inputs["routeTableId"], ()):
            (target,) = (target for key, target in TARGETS.items() if key in route.inputs)
            destination = route.inputs.get("destinationCidrBlock") or route.inputs["destinationIpv6CidrBlock"]
            held = Tier(tier) if kind == "network" else InspectionTier(tier)
            peer = None
            if target is Target.PEERING:
                peer = next(n for n, c in platform_of(options).regions.items() if str(c) == destination)
            yield kind, subnet.inputs["region"], Route(held, zone, ip_network(destination), target, peer)


@pytest.mark.parametrize("options", OPTIONS)
def test_routes_are_those_of_the_plan(options: dict[str, bool]) -> None:
    """Without a server in it, a zone has no NAT gateway of its own, and its private subnets no way out."""
    platform = platform_of(options)
    held = {(s.region, s.zone[-1]) for s in platform.servers}
    made = set(registered_routes(options))
    planned = {
        ("network", region, route)
        for region in platform.regions
        for route in mail_routes(platform, region)
        if route.target is not Target.NAT or (region, route.zone) in held
    }
    if platform.options.inspection:
        planned |= {("inspection", n, route) for n in platform.regions for route in inspection_routes(platform, n)}
    assert made == planned


def test_transit_routes_are_those_of_the_plan() -> None:
    platform = platform_of({})
    attachments = {m.id: m for m in network() if m.type.startswith("aws:ec2transitgateway/") and "ttachment" in m.kind}
    made = set()
    for route in of_type({}, "ec2transitgateway/route"):
        side = route.inputs["transitGatewayRouteTableId"].split("-")[-1]
        target = "blackhole"
        if not route.inputs.get("blackhole"):
            attachment = attachments[route.inputs["transitGatewayAttachmentId"]]
            target = f"{attachment.name.split('-')[-1]} attachment"
            if attachment.kind != "VpcAttachment":
                target = Target.REGION.value
        made.add((route.inputs["region"], side, route.inputs["destinationCidrBlock"], target))
    planned = {
        (region, route.side.value, str(route.destination), route.target.value)
        for region in platform.regions
        for route in transit_routes(platform, region)
    }
    assert made == planned


@pytest.mark.parametrize("options", OPTIONS)
def test_network_acls_are_exactly_the_rules_of_the_plan(options: dict[str, bool]) -> None:
    platform = platform_of(options)
    acls = {m.id: m.name.removeprefix("network-") for m in of_type(options, "ec2/networkAcl")}
    made = {
        (
            acls[m.inputs["networkAclId"]],
            m.inputs["ruleNumber"],
            m.inputs["egress"],
            m.inputs["protocol"],
            m.inputs["fromPort"],
            m.inputs["toPort"],
            m.inputs.get("cidrBlock") or m.inputs.get("ipv6CidrBlock"),
        )
        for m in of_type(options, "ec2/networkAclRule")
        if m.name.startswith("network-")
    }
    planned = {
        (f"{region}-{tier}", r.number, r.egress, r.protocol, r.first_port, r.last_port, str(r.cidr))
        for region in platform.regions
        for tier in acl_tiers(platform, region)
        for r in acl_rules(platform, region, tier)
    }
    assert made == planned
    assert bool(planned) is platform.network_acls


def test_every_subnet_of_a_whole_network_has_an_acl_of_its_own_and_only_one() -> None:
    """The default ACL is closed: a subnet left on it would be cut off."""
    listed = [id_ for m in of_type({}, "ec2/networkAcl") for id_ in m.inputs["subnetIds"]]
    assert sorted(listed) == sorted(m.id for m in of_type({}, "ec2/subnet"))


def test_the_internet_only_answers_an_inspection_network() -> None:
    rules = [m.inputs for m in of_type({}, "ec2/networkAclRule") if m.name.startswith("inspection-")]
    entering = [r for r in rules if not r.get("egress") and r["cidrBlock"] == "0.0.0.0/0"]
    assert entering
    assert all(r["protocol"] == "icmp" or r["fromPort"] >= 1024 for r in entering)
    assert not [r for r in entering if r["protocol"] == "tcp" and r["fromPort"] <= 3389 <= r["toPort"]], "CIS AWS 5.1"


def test_firewall_and_rules_lie_under_the_regions_key() -> None:
    for type_ in ("firewall", "firewallPolicy", "ruleGroup"):
        for made in of_type({}, f"networkfirewall/{type_}"):
            assert made.inputs["encryptionConfiguration"] == {"type": "CUSTOMER_KMS", "keyId": KEY}


def test_rule_groups_are_those_of_the_plan_and_tried_in_strict_order() -> None:
    platform = platform_of({})
    groups = {m.name: m for m in of_type({}, "networkfirewall/ruleGroup")}
    for region in platform.regions:
        for group in rule_groups(platform, region):
            made = groups[f"inspection-{region}-{group.name}"].inputs
            source = made["ruleGroup"]["rulesSource"]
            assert made["capacity"] == group.capacity
            assert made["ruleGroup"]["statefulRuleOptions"]["ruleOrder"] == "STRICT_ORDER"
            assert source.get("rulesString", "") == group.text
            assert tuple(source.get("rulesSourceList", {}).get("targets", ())) == group.domains
            sets = {s["key"]: tuple(s["ipSet"]["definitions"]) for s in made["ruleGroup"]["ruleVariables"]["ipSets"]}
            assert sets == group.variables


def test_the_firewall_drops_what_no_rule_passes_and_fails_closed() -> None:
    policies = of_type({}, "networkfirewall/firewallPolicy")
    assert len(policies) == 3
    for made in policies:
        policy = made.inputs["firewallPolicy"]
        assert policy["statelessDefaultActions"] == ["aws:forward_to_sfe"]
        assert policy["statelessFragmentDefaultActions"] == ["aws:forward_to_sfe"]
        assert set(policy["statefulDefaultActions"]) == {"aws:drop_established", "aws:alert_established"}
        assert policy["statefulEngineOptions"] == {"ruleOrder": "STRICT_ORDER", "streamExceptionPolicy": "DROP"}
        priorities = [r["priority"] for r in policy["statefulRuleGroupReferences"]]
        assert priorities == sorted(set(priorities))
        assert len(priorities) == len(rule_groups(platform_of({}), made.inputs["region"]))


def statements(made: Made) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(made.inputs["policy"])["Statement"]
    return found


def test_endpoints_take_only_this_accounts_principals_and_named_actions() -> None:
    endpoints = of_type({}, "ec2/vpcEndpoint")
    for endpoint in endpoints:
        for statement in statements(endpoint):
            assert not [a for a in statement["Action"] if "*" in a], endpoint.name
            if statement["Sid"] == "PackagesOfAws":
                assert statement["Action"] == ["s3:GetObject"], "AWS's buckets are there to read from"
                assert "*" not in statement["Resource"]
            else:
                assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}
    services = {m.inputs["serviceName"].split(".")[-1] for m in endpoints}
    assert services == {"s3", *REGIONAL_SERVICES}


def test_endpoints_hear_exactly_the_servers_of_the_intent_graph_and_call_nobody() -> None:
    platform = platform_of({})
    groups = {m.id: m.inputs["region"] for m in of_type({}, "ec2/securityGroup") if m.name.endswith("-endpoint")}
    made = {
        (groups[m.inputs["securityGroupId"]], m.inputs["fromPort"], m.inputs["cidrIpv4"])
        for m in of_type({}, "vpc/securityGroupIngressRule")
        if m.inputs["securityGroupId"] in groups
    }
    assert made == {
        (region, rule.flow.port, str(peer))
        for region in platform.regions
        for rule in party_rules(platform, Party.ENDPOINT, region)
        for peer in rule.peers
    }
    assert made
    assert not [m for m in of_type({}, "vpc/securityGroupEgressRule") if m.inputs["securityGroupId"] in groups]


@pytest.mark.parametrize("count", [3, 12])
def test_role_groups_hold_exactly_the_intent_graph_within_awss_quotas(count: int) -> None:
    """60 rules a group and direction, five groups an interface (Amazon VPC quotas)."""
    platform = platform_of({}, count)
    made: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
    per_group: Counter[tuple[str, str]] = Counter()
    for m in network({}, count):
        if m.type.startswith("aws:vpc/securityGroup") and not m.inputs["securityGroupId"].endswith("-endpoint"):
            direction = "in" if "Ingress" in m.kind else "out"
            owner = m.name[: m.name.index(f"-{direction}-{m.inputs['description']}")]
            made.setdefault((owner, direction), []).append(
                (m.inputs["description"], m.inputs["fromPort"], m.inputs["cidrIpv4"])
            )
            per_group[m.inputs["securityGroupId"], direction] += 1
    planned = {
        (f"{region}-{role}", direction.value): sorted(
            (rule.flow.name, rule.flow.port.value, str(peer))
            for rule in security_group_rules(platform, members)
            if rule.direction is direction
            for peer in rule.peers
        )
        for region in platform.regions
        for role in {s.role for s in platform.servers if s.region == region}
        for members in [[s for s in platform.servers if s.region == region and s.role is role]]
        for direction in Direction
    }
    assert {owner: sorted(rules) for owner, rules in made.items()} == planned
    assert max(per_group.values()) <= 60
    assert max(len([g for g in {g for g, _ in per_group} if f"/{r}-mail" in g]) for r in platform.regions) <= 5


def test_interface_endpoints_stand_in_each_zone_of_their_own_tier() -> None:
    tiers = {m.id: m.name.split("-")[-2:] for m in of_type({}, "ec2/subnet")}
    for endpoint in of_type({}, "ec2/vpcEndpoint"):
        if endpoint.inputs["vpcEndpointType"] == "Interface":
            assert [tiers[s] for s in endpoint.inputs["subnetIds"]] == [["endpoint", z] for z in "abc"]
            assert endpoint.inputs["privateDnsEnabled"] is True


def test_the_resolver_answers_allowed_names_only_and_none_when_its_firewall_fails() -> None:
    rules = sorted(of_type({}, "route53/resolverFirewallRule"), key=lambda m: m.inputs["priority"])
    lists = {m.id: m.inputs["domains"] for m in of_type({}, "route53/resolverFirewallDomainList")}
    allow, block = rules[0].inputs, rules[-1].inputs
    assert (allow["action"], block["action"]) == ("ALLOW", "BLOCK")
    assert lists[block["firewallDomainListId"]] == ["*"]
    allowed = lists[allow["firewallDomainListId"]]
    assert {"acme.example", "*.acme.example", "deb.debian.org"} <= set(allowed)
    assert not {"*", "*.com", "*.amazonaws.com"} & set(allowed)
    config = of_type({}, "route53/resolverFirewallConfig")
    assert {m.inputs["firewallFailOpen"] for m in config} == {"DISABLED"}


@pytest.mark.parametrize("options", [{}, ALL_OFF])
def test_every_network_logs_and_validates_its_resolvers_answers(options: dict[str, bool]) -> None:
    networks = {m.id for m in of_type(options, "ec2/vpc")}
    for type_ in ("resolverQueryLogConfigAssociation", "resolverDnsSecConfig", "resolverFirewallConfig"):
        assert {m.inputs["resourceId"] for m in of_type(options, f"route53/{type_}")} == networks
