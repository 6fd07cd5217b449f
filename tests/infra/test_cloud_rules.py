"""What the lab's provider refuses, by the SDK's classes and by its rules; and that its data agrees with pulumi-aws."""

import collections.abc
import typing
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as proto

from onedallmail import cloud
from onedallmail.cloud import emulated, invokes, rules, schema
from onedallmail.cloud.addresses import AddressBook, AddressesExhaustedError
from onedallmail.cloud.emulated.api import RefusedError
from onedallmail.cloud.emulated.route53 import text_value
from onedallmail.cloud.provider import Provider
from onedallmail.cloud.rules.paths import steps
from onedallmail.engine.values import UNKNOWN, from_struct, to_struct

VPC, SUBNET, ROUTES = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/routeTable:RouteTable"


def check(folder: Path, token: str, inputs: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    request = proto.CheckRequest(
        urn=f"urn:pulumi:test::sample::{token}::thing", type=token, name="thing", news=to_struct(inputs)
    )
    answer = Provider(folder).Check(request, None)
    return from_struct(answer.inputs), [f"{f.property}: {f.reason}" for f in answer.failures]


@pytest.mark.parametrize(
    ("token", "inputs", "expected"),
    [
        (VPC, {"cidrBlok": "10.0.0.0/16"}, "cidrBlok: no such property"),
        (ROUTES, {"vpcId": "vpc-1", "routes": [{"cidrBlok": "::/0"}]}, "routes[0].cidrBlok: no such property"),
        (SUBNET, {"cidrBlock": "10.0.1.0/24"}, "vpcId: required property is missing"),
        (SUBNET, {"vpcId": "subnet-1"}, "vpcId: must be an id that begins with vpc-"),
        (VPC, {"cidrBlock": "10.0.0.1/16"}, "cidrBlock: must be an IPv4 network in CIDR form"),
        (VPC, {"cidrBlock": "10.0.0.0"}, "the prefix length is missing"),
        (VPC, {"enableDnsSupport": "yes"}, "enableDnsSupport: must be a boolean, not str"),
        (VPC, {"tags": ["a"]}, "tags: must be a map, not list"),
        (VPC, {"region": "eu-central-9"}, "region: must be one of the AWS regions"),
        (VPC, {"instanceTenancy": "shared"}, "instanceTenancy: must be one of default, dedicated"),
        (
            "aws:ec2/instance:Instance",
            {"ami": "ami-1", "instanceType": "t3.micro"},
            "privateIp: is needed: the lab gives",
        ),
        ("aws:ec2/vcp:Vcp", {}, "pulumi_aws has no resource type aws:ec2/vcp:Vcp"),
        ("aws:workspaces/directory:Directory", {}, "no rules for aws:workspaces/directory:Directory: add an entry"),
        ("aws:s3/bucket:Bucket", {"acl": "private"}, "acl: the lab's emulation does not do it"),
    ],
)
def test_what_aws_would_refuse_is_refused_with_its_path(
    tmp_path: Path, token: str, inputs: dict[str, Any], expected: str
) -> None:
    _, failures = check(tmp_path, token, inputs)
    assert any(expected in failure for failure in failures), failures


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        (VPC, {"cidrBlock": "10.0.0.0/16", "region": "eu-west-1", "tags": {"a": "b"}}),
        (SUBNET, {"vpcId": UNKNOWN, "cidrBlock": UNKNOWN, "region": "eu-west-1"}),
        ("aws:ec2/vpcPeeringConnectionAccepter:VpcPeeringConnectionAccepter", {"vpcPeeringConnectionId": "pcx-1"}),
    ],
)
def test_what_aws_would_take_is_taken(tmp_path: Path, token: str, inputs: dict[str, Any]) -> None:
    checked, failures = check(tmp_path, token, inputs)
    assert failures == []
    assert checked["region"] == inputs.get("region", "us-east-1")


def test_messages_never_show_values_because_they_may_be_secret(tmp_path: Path) -> None:
    _, failures = check(tmp_path, VPC, {"enableDnsSupport": "swordfish", "instanceTenancy": "swordfish"})
    assert len(failures) == 2
    assert not [f for f in failures if "swordfish" in f]


def paths_of(own: rules.Rules) -> set[str]:
    """Return every path that the rules of a type name."""
    named = {*own.force_new, *own.enums, *own.ranges, *own.cidrs, *own.cidrs6, *own.json_texts, *own.policies, *own.ids}
    named |= {path for group in (*own.conflicts, *own.needs_one_of) for path in group}
    named |= {*own.lab_needs, *own.together, *(path for group in own.together.values() for path in group)}
    return named


def exists(token: str, path: str) -> bool:
    """Tell whether an input property stands at a path, with lists where the path says so."""
    fields = schema.inputs_of(token)
    for name, each in steps(path):
        if name not in fields:
            return False
        hint = schema.plain_type(fields[name].type)
        if (typing.get_origin(hint) is collections.abc.Sequence) < each:
            return False
        while typing.get_args(hint):
            hint = schema.plain_type(typing.get_args(hint)[-1])
        fields = schema.fields(hint) if schema.is_object(hint) else {}
    return True


@pytest.mark.parametrize("token", rules.known_types())
def test_every_rule_is_about_a_type_and_properties_that_pulumi_aws_has(token: str) -> None:
    assert schema.known(token)
    own = rules.rules_of(token)
    missing = {path for path in paths_of(own) if not exists(token, path)}
    assert not missing
    outputs = schema.outputs_of(token)
    assert set(own.outputs) <= set(outputs), set(own.outputs) - set(outputs)
    computed_arn = "arn" in outputs and "arn" not in schema.inputs_of(token)
    assert bool(own.arn or "arn" in own.outputs) or not computed_arn, "an ARN needs its form"


def test_what_is_said_to_be_emulated_has_a_handler_and_nothing_else_has() -> None:
    said = {token for token in rules.known_types() if cloud.realisation(token) == "emulated"}
    assert said == set(emulated.HANDLERS)
    assert cloud.realisation("aws:ec2/instance:Instance") == "recorded"
    assert cloud.realisation("aws:no/such:Type") == "recorded"
    for token, handler in emulated.HANDLERS.items():
        assert handler.inputs <= set(schema.inputs_of(token)), token


def test_functions_that_the_lab_does_not_answer_are_named() -> None:
    with pytest.raises(invokes.InvokeError, match="no function aws:ec2/getVpc:getVpc"):
        invokes.invoke("aws:ec2/getVpc:getVpc", {}, "eu-west-1")
    with pytest.raises(invokes.InvokeError, match="'mars-1' is not a region"):
        invokes.invoke("aws:index/getRegion:getRegion", {"region": "mars-1"}, "eu-west-1")


def test_addresses_are_stable_unique_and_finite(tmp_path: Path) -> None:
    book = AddressBook(tmp_path)
    taken = {book.allocate(f"urn-{n}", f"id-{n}") for n in range(254)}
    assert len(taken) == 254
    with pytest.raises(AddressesExhaustedError):
        book.allocate("urn-more", "id-more")
    mine = book.address("id-7")
    book.release("id-7")
    assert book.address("id-7") is None
    assert AddressBook(tmp_path).allocate("urn-7", "id-new") == mine


def test_text_records_are_quoted_once_and_their_strings_are_bounded() -> None:
    assert text_value("v=spf1 -all") == '"v=spf1 -all"'
    assert text_value('"already"') == '"already"'
    assert text_value('a" "b') == '"a" "b"'
    assert text_value("x" * 255)
    with pytest.raises(RefusedError, match="more than 255"):
        text_value("x" * 256)
