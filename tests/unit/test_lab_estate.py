"""From a deployment to an estate: what is read, and what is refused with the name of the thing that is wrong."""

from typing import Any

import pytest

from onedallmail.lab.deployment import REFUSED_TYPES, read_estate
from onedallmail.lab.errors import LabError

from .lab_estates import ONE, TWO, deployment, instance, resource, rule


def changed(id_: str, **properties: object) -> dict[str, Any]:
    found = deployment()
    target = next(r for r in found["deployment"]["resources"] if r.get("id") == id_)
    target["inputs"].update(properties)
    return found


def extended(*resources: dict[str, Any]) -> dict[str, Any]:
    found = deployment()
    found["deployment"]["resources"] += resources
    return found


def test_servers_have_their_name_address_and_elastic_ip() -> None:
    made = {i.name: (str(i.private_ip), str(i.public_ip), i.region) for i in read_estate(deployment()).instances}
    assert made == {
        "m1": ("10.10.0.10", "198.51.100.7", ONE),
        "m2": ("10.10.0.11", "None", ONE),
        "w1": ("10.30.0.10", "None", TWO),
    }


def test_a_peering_that_nobody_accepted_is_no_link() -> None:
    assert read_estate(deployment()).peerings
    assert not read_estate(deployment(accepted=False)).peerings


def test_a_resource_marked_for_deletion_is_passed_over() -> None:
    found = deployment()
    next(r for r in found["deployment"]["resources"] if r.get("id") == "i-m2")["delete"] = True
    assert [i.name for i in read_estate(found).instances] == ["m1", "w1"]


@pytest.mark.parametrize(
    ("id_", "properties", "words"),
    [
        ("i-m1", {"subnetId": "subnet-x"}, "subnet-x"),
        ("i-m1", {"vpcSecurityGroupIds": ["sg-x"]}, "sg-x"),
        ("i-m1", {"privateIp": "10.11.0.1"}, "not in its subnet"),
        ("i-m2", {"privateIp": "10.10.0.10"}, "private address 10.10.0.10"),
        ("i-m2", {"tags": {"Name": "m1.acme.example"}}, "name m1"),
        ("i-m2", {"tags": {}}, "no tag Name"),
        ("eip-1", {"instance": "i-gone"}, "i-gone"),
        ("subnet-one", {"vpcId": "vpc-x"}, "vpc-x"),
        ("nat-1", {"allocationId": "eip-x"}, "eip-x"),
        ("route-one-0.0.0.0/0", {"gatewayId": "igw-x"}, "igw-x"),
        ("route-one-0.0.0.0/0", {"gatewayId": None, "transitGatewayId": "tgw-1"}, "does not realise"),
        ("pcx-1", {"peerVpcId": "vpc-x"}, "vpc-x"),
    ],
)
def test_a_reference_to_something_unknown_is_refused_with_its_name(
    id_: str, properties: dict[str, object], words: str
) -> None:
    with pytest.raises(LabError, match=words):
        read_estate(changed(id_, **properties))


@pytest.mark.parametrize("type_", sorted(REFUSED_TYPES))
def test_what_decides_over_packets_and_is_not_realised_is_refused(type_: str) -> None:
    with pytest.raises(LabError, match="does not realise"):
        read_estate(extended(resource(type_.removeprefix("aws:"), "x-1", ONE)))


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"ipProtocol": "tcp", "fromPort": 1, "referencedSecurityGroupId": "sg-two"}, "own region"),
        ({"ipProtocol": "tcp", "fromPort": 1, "referencedSecurityGroupId": "sg-x"}, "sg-x"),
        ({"ipProtocol": "sctp", "fromPort": 1, "cidrIpv4": "10.0.0.0/8"}, "sctp"),
        ({"ipProtocol": "tcp", "fromPort": 1, "prefixListId": "pl-1"}, "pl-1"),
    ],
)
def test_a_rule_that_the_lab_would_get_wrong_is_refused(properties: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError, match=words):
        read_estate(extended(rule("one", "Ingress", ONE, **properties)))


def test_a_second_vpc_in_a_region_is_refused() -> None:
    with pytest.raises(LabError, match=ONE):
        read_estate(extended(resource("ec2/vpc:Vpc", "vpc-b", ONE, cidrBlock="10.40.0.0/16")))


def test_an_empty_deployment_says_what_to_do() -> None:
    with pytest.raises(LabError, match="provision the stack"):
        read_estate({"resources": []})
    with pytest.raises(LabError, match="not a Pulumi deployment"):
        read_estate({})


def test_stack_outputs_name_a_server_before_its_tag_does() -> None:
    found = extended(instance("m3", "one", ONE, "10.10.0.12"))
    facts = {"instanceId": "i-m3", "name": "a9", "fqdn": "a9.acme.example", "role": "mail"}
    found["deployment"]["resources"][0]["outputs"] = {"servers": {"a9": facts}}
    assert "a9" in {i.name for i in read_estate(found).instances}
