"""What the Pulumi program registers for the lab stack, recorded under mocks."""

import json
from functools import cache
from typing import Any

import pytest

from onedallmail.cloud.iam import Request, allows
from onedallmail.cloud.schema import inputs_of
from onedallmail.platform.firewall import Direction, security_group_rules
from onedallmail.platform.naming import COPIES_CONTEXT
from onedallmail.stackfile import load_platform

from .recording import ProgramError, Registered, record_program

STACKS = ("lab", "example")
PARTS = {f"aws:vpc/securityGroup{way}Rule:SecurityGroup{way}Rule" for way in ("Ingress", "Egress")}
"""They could have tags, but are parts of a group that has them."""


@cache
def recorded(stack: str) -> list[Registered]:
    return record_program(stack)


def lab() -> list[Registered]:
    return recorded("lab")


def aws_resources(stack: str) -> list[Registered]:
    return [r for r in recorded(stack) if r.type.startswith("aws:")]


def of_type(token: str) -> list[Registered]:
    return [r for r in lab() if r.type == token]


@pytest.mark.parametrize("stack", STACKS)
def test_every_regional_resource_names_its_region(stack: str) -> None:
    bare = [r.name for r in aws_resources(stack) if "region" in inputs_of(r.type) and not r.inputs.get("region")]
    assert not bare, f"resources without a region would land in the provider's default region: {bare}"


def test_the_production_example_has_what_a_company_needs() -> None:
    assert len(aws_resources("example")) >= 400
    kinds = {r.type for r in aws_resources("example")}
    assert {
        "aws:networkfirewall/firewall:Firewall",
        "aws:ec2transitgateway/transitGateway:TransitGateway",
        "aws:wafv2/webAcl:WebAcl",
        "aws:globalaccelerator/accelerator:Accelerator",
        "aws:cloudhsmv2/cluster:Cluster",
        "aws:backup/plan:Plan",
        "aws:ssm/maintenanceWindow:MaintenanceWindow",
        "aws:route53/hostedZoneDnsSec:HostedZoneDnsSec",
        "aws:guardduty/detector:Detector",
    } <= kinds


def test_one_instance_for_each_server_at_its_planned_address() -> None:
    planned = {s.name: str(s.private_ip) for s in load_platform("lab").servers}
    made = {r.name: r.inputs["privateIp"] for r in of_type("aws:ec2/instance:Instance")}
    assert made == planned


def test_instances_need_tokens_for_metadata_and_encrypt_their_disks() -> None:
    for instance in of_type("aws:ec2/instance:Instance"):
        assert instance.inputs["metadataOptions"]["httpTokens"] == "required"
        assert instance.inputs["metadataOptions"]["httpPutResponseHopLimit"] == 1
        assert instance.inputs["rootBlockDevice"]["encrypted"] is True
        assert instance.inputs["rootBlockDevice"]["kmsKeyId"].startswith("arn:")


@pytest.mark.parametrize("direction", list(Direction))
def test_security_group_rules_are_exactly_the_intent_graph(direction: Direction) -> None:
    platform = load_platform("lab")
    kind = "Ingress" if direction is Direction.IN else "Egress"
    made = sorted(
        (r.inputs["region"], r.inputs["description"], r.inputs["fromPort"], r.inputs["cidrIpv4"])
        for r in of_type(f"aws:vpc/securityGroup{kind}Rule:SecurityGroup{kind}Rule")
    )
    wanted = sorted(
        (region, rule.flow.name, rule.flow.port.value, str(peer))
        for region in platform.regions
        for role in sorted({s.role for s in platform.servers if s.region == region})
        for rule in security_group_rules(
            platform, [s for s in platform.servers if s.region == region and s.role is role]
        )
        if rule.direction is direction
        for peer in rule.peers
    )
    assert made == wanted
    assert made


@pytest.mark.parametrize("stack", STACKS)
def test_no_security_group_has_a_rule_twice(stack: str) -> None:
    told = ("securityGroupId", "ipProtocol", "fromPort", "toPort", "cidrIpv4", "cidrIpv6")
    rules = [(r.type, *(r.inputs.get(name) for name in told)) for r in aws_resources(stack) if r.type in PARTS]
    assert rules
    assert len(set(rules)) == len(rules), "AWS refuses the second of two equal rules"


def test_no_security_group_opens_ssh_or_a_database_to_the_internet() -> None:
    rules = of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    open_ports = {r.inputs["fromPort"] for r in rules if r.inputs["cidrIpv4"] == "0.0.0.0/0"}
    assert open_ports == {25, 443, 465, 587, 993, 4190}


@pytest.mark.parametrize("stack", STACKS)
def test_everything_that_can_carry_tags_carries_owner_class_and_scope(stack: str) -> None:
    wanted = {"Owner", "DataClass", "ControlScope"}
    bare = [
        f"{r.type} {r.name}"
        for r in aws_resources(stack)
        if "tags" in inputs_of(r.type) and r.type not in PARTS and not wanted <= set(r.inputs.get("tags") or {})
    ]
    assert not bare


def test_evidence_bucket_is_locked_encrypted_private_and_tls_only() -> None:
    def part(kind: str) -> Registered:
        (found,) = [r for r in lab() if r.name == "evidence" and r.type.endswith(f":{kind}")]
        return found

    assert part("BucketObjectLockConfiguration").inputs["rule"]["defaultRetention"]["mode"] == "COMPLIANCE"
    block = part("BucketPublicAccessBlock").inputs
    assert all(block[k] for k in ("blockPublicAcls", "blockPublicPolicy", "restrictPublicBuckets"))
    denied = {s["Sid"] for s in json.loads(part("BucketPolicy").inputs["policy"])["Statement"] if s["Effect"] == "Deny"}
    assert {"TlsOnly", "Tls13Only"} <= denied


def test_policies_of_servers_grant_no_wildcard_action_or_resource() -> None:
    policies = [r for r in of_type("aws:iam/rolePolicy:RolePolicy") if r.name.endswith(("mail-data", "witness-data"))]
    assert len(policies) == 3
    for policy in policies:
        for statement in json.loads(policy.inputs["policy"])["Statement"]:
            assert statement["Resource"] != "*", policy.name
            assert not any("*" in action for action in statement["Action"]), policy.name


SERVER_ROLES = ("eu-central-1-mail", "eu-west-1-mail", "eu-north-1-witness")


def data_policy(role: str) -> dict[str, Any]:
    (found,) = [r for r in of_type("aws:iam/rolePolicy:RolePolicy") if r.name == f"{role}-data"]
    return dict(json.loads(found.inputs["policy"]))


def mail_keys() -> list[str]:
    """Return the ARNs of the mail key in all regions."""
    keys = [*of_type("aws:kms/key:Key"), *of_type("aws:kms/replicaKey:ReplicaKey")]
    return [k.outputs["arn"] for k in keys if k.inputs["tags"]["DataClass"] == "mail"]


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.5.15", "soc2:CC6.1", basis="recorded")
def test_mail_servers_use_the_mail_key_of_every_region_for_copies_and_for_nothing_else() -> None:
    copies = {f"kms:EncryptionContext:{name}": value for name, value in COPIES_CONTEXT.items()}
    assert len(mail_keys()) == 3
    for role in SERVER_ROLES[:2]:
        for key in mail_keys():
            for action in ("kms:GenerateDataKey", "kms:Decrypt"):
                assert allows(data_policy(role), Request(action, key, copies)), (role, key)
                assert not allows(data_policy(role), Request(action, key)), "a context is required"
                assert not allows(data_policy(role), Request(action, key, {"kms:EncryptionContext:purpose": "x"}))
            assert not allows(data_policy(role), Request("kms:Encrypt", key, copies))
            assert not allows(data_policy(role), Request("kms:ReEncryptFrom", key, copies))


@pytest.mark.control("iso27001:A.8.24", "iso27001:A.5.15", "soc2:CC6.1", basis="recorded")
def test_the_witness_keeps_copies_that_it_cannot_open() -> None:
    copies = {f"kms:EncryptionContext:{name}": value for name, value in COPIES_CONTEXT.items()}
    contexts: tuple[dict[str, str], ...] = (copies, {}, {"kms:EncryptionContext:aws:ssm:TargetId": "i-1"})
    for key in mail_keys():
        for action in ("kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt", "kms:ReEncryptFrom"):
            assert not any(allows(data_policy(SERVER_ROLES[2]), Request(action, key, c)) for c in contexts)


def test_sessions_of_operators_open_with_a_key_that_is_not_the_mails() -> None:
    for document in of_type("aws:ssm/document:Document"):
        if document.inputs["name"] == "SSM-SessionManagerRunShell":
            key = json.loads(document.inputs["content"])["inputs"]["kmsKeyId"]
            (role,) = [r for r in SERVER_ROLES if r.startswith(document.inputs["region"])]
            assert key not in mail_keys()
            opens = Request("kms:Decrypt", key, {"kms:EncryptionContext:aws:ssm:TargetId": "i-0123"})
            assert allows(data_policy(role), opens)
            assert not allows(data_policy(role), Request("kms:Decrypt", key))


def test_the_private_dkim_key_is_secret_and_only_in_secrets_manager() -> None:
    holders = [r.type for r in lab() if "the-private-key" in json.dumps(r.inputs, default=str)]
    assert holders == ["aws:secretsmanager/secretVersion:SecretVersion"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"onedallmail:domains": ["nodomain"]}, "domains.0"),
        ({"onedallmail:dkimPublicKeys": "{}"}, "no DKIM key for acme.example"),
        ({"onedallmail:accountId": "111122223333"}, "no other account is touched"),
    ],
)
def test_a_wrong_stack_registers_nothing_and_names_the_field(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        record_program(changes=changes)
