"""What the mail and inspection networks are made of, and what keeps them closed."""

from collections.abc import Sequence
from ipaddress import IPv6Network

import pytest

from .network_stack import ALL_OFF, Made, network, platform_of

VARIANTS = [{}, {"inspection": False}, {"ipv6": False}, ALL_OFF]


def of_type(made: Sequence[Made], type_: str) -> list[Made]:
    return [m for m in made if m.type.startswith(f"aws:{type_}:")]


@pytest.mark.parametrize("options", VARIANTS)
def test_every_resource_names_its_region_and_carries_tags_where_it_can(options: dict[str, bool]) -> None:
    untaggable = ("Rule", "Route", "Association", "LoggingConfiguration", "DnsSecConfig", "FirewallConfig")
    for m in network(options):
        if m.type.startswith("aws:"):
            assert m.inputs.get("region"), f"{m.name} would land in the provider's default region"
            tagged = {"Name", "Owner", "DataClass", "ControlScope"} <= set(m.inputs.get("tags", {}))
            assert tagged or m.kind.endswith(untaggable), f"{m.type} {m.name} carries no tags"


def test_no_two_resources_of_a_type_share_a_name() -> None:
    for options in VARIANTS:
        names = [(m.type, m.name) for m in network(options)]
        assert len(names) == len(set(names)) > 50


def test_every_vpc_logs_all_packets_with_what_an_investigation_asks_for() -> None:
    made = network()
    logs = {m.inputs["vpcId"]: m.inputs for m in of_type(made, "ec2/flowLog")}
    assert set(logs) == {m.id for m in of_type(made, "ec2/vpc")}
    for log in logs.values():
        assert log["trafficType"] == "ALL", "a refused packet is a trace, too"
        assert {"${tcp-flags}", "${pkt-srcaddr}", "${flow-direction}", "${traffic-path}", "${instance-id}"} <= set(
            log["logFormat"].split()
        )
        assert log["destinationOptions"] == {
            "fileFormat": "parquet",
            "hiveCompatiblePartitions": True,
            "perHourPartition": True,
        }


def test_subnets_lie_in_zones_that_their_region_offers() -> None:
    made = of_type(network(count=6), "ec2/subnet")
    tokyo = {m.inputs["availabilityZone"] for m in made if m.inputs["region"] == "ap-northeast-1"}
    assert tokyo == {"ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"}, "Tokyo has no b for new accounts"


def test_default_group_table_and_acl_let_nothing_through() -> None:
    made = network()
    for type_ in ("ec2/defaultSecurityGroup", "ec2/defaultRouteTable", "ec2/defaultNetworkAcl"):
        found = of_type(made, type_)
        assert found
        assert not any(m.inputs.get(k) for m in found for k in ("ingress", "egress", "routes")), type_
    assert len(of_type(made, "ec2/defaultSecurityGroup")) == len(of_type(made, "ec2/vpc"))


@pytest.mark.parametrize("options", [{}, ALL_OFF])
def test_each_mail_network_has_a_group_without_rules_for_incidents(options: dict[str, bool]) -> None:
    made = network(options)
    groups = [m for m in of_type(made, "ec2/securityGroup") if m.name.endswith("-quarantine")]
    assert {m.inputs["region"] for m in groups} == set(platform_of(options).regions)
    assert not any(m.inputs.get("ingress") or m.inputs.get("egress") for m in groups)
    rules = [m for m in made if m.type.startswith("aws:vpc/securityGroup")]
    assert not {m.inputs["securityGroupId"] for m in rules} & {m.id for m in groups}


def test_only_the_edge_is_dual_stack_and_its_subnets_are_64s_of_their_vpc() -> None:
    dual = [m for m in of_type(network(), "ec2/subnet") if m.inputs.get("ipv6CidrBlock")]
    assert {m.name.split("-")[-2] for m in dual} == {"edge"}
    assert len(dual) == 9
    blocks = {IPv6Network(m.inputs["ipv6CidrBlock"]) for m in dual}
    assert len(blocks) == 9
    assert all(block.prefixlen == 64 for block in blocks)


def test_without_ipv6_nothing_has_such_an_address_or_route() -> None:
    made = network({"ipv6": False})
    assert not any("ipv6CidrBlock" in m.inputs or "destinationIpv6CidrBlock" in m.inputs for m in made)
    assert not any(m.inputs.get("assignGeneratedIpv6CidrBlock") for m in made)


def test_subnets_never_give_public_addresses_by_themselves() -> None:
    subnets = of_type(network(), "ec2/subnet")
    assert subnets
    assert all(m.inputs["mapPublicIpOnLaunch"] is False for m in subnets)


@pytest.mark.parametrize("options", [{}, {"inspection": False}])
def test_fixed_addresses_outlive_mistakes_in_a_cloud(options: dict[str, bool]) -> None:
    addresses = of_type(network(options), "ec2/eip")
    assert addresses
    assert all(m.protect for m in addresses)


def test_the_labs_network_is_of_kinds_that_the_lab_realises() -> None:
    refused = ("networkAcl", "transitGateway", "networkfirewall", "vpcEndpoint", "NetworkAcl")
    made = network(ALL_OFF, target="lab")
    assert not [m.type for m in made if any(word in m.type for word in refused)]
    assert len(of_type(made, "ec2/vpc")) == 3
    assert not any(m.protect for m in made)


def test_transit_gateways_attach_nothing_by_themselves() -> None:
    made = network()
    for gateway in of_type(made, "ec2transitgateway/transitGateway"):
        for key in ("defaultRouteTableAssociation", "defaultRouteTablePropagation", "autoAcceptSharedAttachments"):
            assert gateway.inputs[key] == "disable"
    asns = [m.inputs["amazonSideAsn"] for m in of_type(made, "ec2transitgateway/transitGateway")]
    assert len(asns) == len(set(asns)) == 3


def test_the_inspection_attachment_alone_is_in_appliance_mode() -> None:
    modes = {
        m.name.split("-")[-1]: m.inputs["applianceModeSupport"]
        for m in of_type(network(), "ec2transitgateway/vpcAttachment")
    }
    assert modes == {"mail": "disable", "inspection": "enable"}


def test_the_firewall_has_an_endpoint_a_zone_logs_to_the_archive_and_is_not_removed_by_mistake() -> None:
    made = network()
    for firewall in of_type(made, "networkfirewall/firewall"):
        assert len(firewall.inputs["subnetMappings"]) == 3
        assert firewall.inputs["deleteProtection"] is True
        assert firewall.inputs["subnetChangeProtection"] is True
    for log in of_type(made, "networkfirewall/loggingConfiguration"):
        configs = log.inputs["loggingConfiguration"]["logDestinationConfigs"]
        assert {c["logType"] for c in configs} == {"ALERT", "FLOW"}
        assert {c["logDestinationType"] for c in configs} == {"S3"}


def test_what_bore_no_zone_in_its_name_is_found_under_the_old_one() -> None:
    """A rename without alias would give the witness another address, and its route table another id."""
    aliases = {(m.kind, m.name): m.aliases for m in network(ALL_OFF)}
    old = "network-eu-north-1"
    assert aliases["Eip", f"{old}-nat-a"] == (f"{old}-nat",)
    assert aliases["NatGateway", f"{old}-nat-a"] == (f"{old}-nat",)
    assert aliases["RouteTable", f"{old}-data-a"] == (f"{old}-data",)
    assert aliases["Route", f"{old}-data-a-nat"] == (f"{old}-data-nat",)
    assert aliases["Route", "eu-north-1-eu-west-1-data-a"] == ("eu-north-1-eu-west-1-data",)
