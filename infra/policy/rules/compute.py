"""Servers: metadata tokens, encrypted disks, no way in but the planned ones, protected against a slip."""

import base64
import re
from collections.abc import Iterator

from ..catalogue import resource_rule
from ..model import AnyRule, Level, Resource, Severity
from ..values import Props, is_true

INSTANCE = "aws:ec2/instance:Instance"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
METADATA_DEFAULTS = "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults"
ELASTIC_IP = "aws:ec2/eip:Eip"
ELASTIC_IP_ASSOCIATION = "aws:ec2/eipAssociation:EipAssociation"
PATCH_BASELINE = "aws:ssm/patchBaseline:PatchBaseline"
DOCUMENT = "aws:ssm/document:Document"
LATEST_PATCH_DAYS = 7
SECRETS = re.compile(r"(AKIA|ASIA)[A-Z0-9]{16}|-----BEGIN [A-Z ]*PRIVATE KEY-----|(?i:aws_secret_access_key)\s*[=:]")


def _from_template(server: Resource, name: str) -> bool:
    """Tell whether an instance leaves a setting to its launch template, where the same rule checks it."""
    return server.type == INSTANCE and server.props.get(name) is None and bool(server.props.get("launchTemplate"))


@resource_rule(
    "metadata-tokens",
    "Instance metadata is given to token holders on the instance only",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.9", "iso27001:A.8.5", "soc2:CC6.1", "soc2:CC6.6", "cis-aws:3.0/5.6"),
    remediation="Set http_tokens to required and http_put_response_hop_limit to 1",
    applies_to=(INSTANCE, TEMPLATE),
)
def metadata_tokens(server: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 5.6. A hop limit of 1 keeps containers and forwarded requests out."""
    if _from_template(server, "metadataOptions"):
        return
    if server.props.get("metadataOptions.httpTokens") != "required":
        yield "answers metadata requests without a token (IMDSv1)"
    if server.props.get("metadataOptions.httpPutResponseHopLimit") != 1:
        yield "lets metadata tokens travel beyond the instance"


@resource_rule(
    "metadata-tokens-by-default",
    "New instances of a region take metadata tokens only",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.9", "soc2:CC6.1", "cis-aws:3.0/5.6"),
    remediation="Set http_tokens to required and http_put_response_hop_limit to 1",
    applies_to=(METADATA_DEFAULTS,),
)
def metadata_tokens_by_default(defaults: Resource) -> Iterator[str]:
    """For instances that somebody starts by hand."""
    if defaults.props.get("httpTokens") != "required":
        yield "lets new instances answer without a token"
    if defaults.props.get("httpPutResponseHopLimit") != 1:
        yield "lets tokens of new instances travel"


@resource_rule(
    "disks-encrypted",
    "Every disk of a server is encrypted under a customer managed key",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.24", "soc2:CC6.1", "cis-aws:3.0/2.2.1"),
    remediation="Set encrypted and kms_key_id on each block device",
    applies_to=(INSTANCE, TEMPLATE),
)
def disks_encrypted(server: Resource) -> Iterator[str]:
    """An image's own disks are unencrypted unless the server says otherwise."""
    if _from_template(server, "rootBlockDevice"):
        return
    disks = list(_disks(server))
    if not disks:
        yield "says nothing of its root disk"
    for name, disk in disks:
        if not is_true(disk.get("encrypted")):
            yield f"{name} is not encrypted"
        if not disk.get("kmsKeyId"):
            yield f"{name} names no key"


def _disks(server: Resource) -> Iterator[tuple[str, Props]]:
    if server.type == TEMPLATE:
        for mapping in server.props.each("blockDeviceMappings"):
            for disk in mapping.each("ebs"):
                yield str(mapping.get("deviceName") or "disk"), disk
        return
    for disk in server.props.each("rootBlockDevice"):
        yield "root disk", disk
    for disk in server.props.each("ebsBlockDevices"):
        yield str(disk.get("deviceName") or "disk"), disk


@resource_rule(
    "server-no-public-address",
    "A server gets no public address by itself",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
    remediation="Set associate_public_ip_address to false; public addresses are Elastic IPs of the plan",
    applies_to=(INSTANCE, TEMPLATE),
)
def server_no_public_address(server: Resource) -> Iterator[str]:
    """An address that changes has neither PTR nor reputation."""
    if is_true(server.props.get("associatePublicIpAddress")):
        yield "asks for a public address"
    for interface in server.props.each("networkInterfaces"):
        if is_true(interface.get("associatePublicIpAddress")):
            yield "its interface asks for a public address"


@resource_rule(
    "elastic-address-at-edge",
    "Behind balancers no server has an address of its own",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
    remediation="Give the address to the balancer or the NAT gateway, or turn the option balancers off",
    applies_to=(ELASTIC_IP, ELASTIC_IP_ASSOCIATION),
)
def elastic_address_at_edge(address: Resource) -> Iterator[str]:
    """Without balancers the mail servers are the edge and carry the addresses."""
    if address.plan.options is None or not address.plan.options.balancers:
        return
    for name in ("instance", "instanceId"):
        if address.props.is_unknown(name) or address.props.get(name):
            yield "belongs to an instance, though the stack has balancers"


@resource_rule(
    "termination-protected",
    "A server cannot be terminated in passing",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.14", "iso27001:A.8.32", "soc2:CC7.5", "soc2:CC8.1"),
    remediation="Set disable_api_termination to true",
    applies_to=(INSTANCE,),
)
def termination_protected(server: Resource) -> Iterator[str]:
    """Replacement of a server is a planned move of its mailboxes first."""
    if _from_template(server, "disableApiTermination"):
        return
    if not is_true(server.props.get("disableApiTermination")):
        yield "can be terminated by one call"


@resource_rule(
    "server-has-role",
    "A server has a role instead of stored credentials",
    severity=Severity.HIGH,
    controls=("iso27001:A.5.16", "iso27001:A.5.17", "soc2:CC6.1", "cis-aws:3.0/1.18"),
    remediation="Set iam_instance_profile",
    applies_to=(INSTANCE,),
)
def server_has_role(server: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 1.18."""
    if not (server.props.get("iamInstanceProfile") or _from_template(server, "iamInstanceProfile")):
        yield "has no instance profile"


@resource_rule(
    "server-no-key-pair",
    "A server takes no SSH key pair of EC2",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.5", "iso27001:A.5.17", "soc2:CC6.1"),
    remediation="Drop key_name; operators come through Session Manager",
    applies_to=(INSTANCE, TEMPLATE),
)
def server_no_key_pair(server: Resource) -> Iterator[str]:
    """A key pair is a credential that nobody rotates."""
    if server.props.get("keyName"):
        yield f"takes the key pair {server.props.get('keyName')}"


@resource_rule(
    "user-data-no-secrets",
    "No secret is in a server's user data",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.5.17", "iso27001:A.8.12", "soc2:CC6.1"),
    remediation="Read secrets from Secrets Manager at run time, and rotate what was shown",
    applies_to=(INSTANCE, TEMPLATE),
)
def user_data_no_secrets(server: Resource) -> Iterator[str]:
    """User data is readable by every program on the server and in the console."""
    for name in ("userData", "userDataBase64"):
        if SECRETS.search(_decoded(str(server.props.get(name) or ""))):
            yield f"{name} holds a key"


def _decoded(text: str) -> str:
    try:
        return text + base64.b64decode(text, validate=True).decode(errors="replace")
    except ValueError:
        return text


@resource_rule(
    "server-monitored",
    "A server reports its metrics by the minute",
    severity=Severity.LOW,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.16", "iso27001:A.8.6", "soc2:CC7.2"),
    remediation="Set monitoring to true",
    applies_to=(INSTANCE,),
)
def server_monitored(server: Resource) -> Iterator[str]:
    """Recovery alarms look at the last minutes."""
    if not (is_true(server.props.get("monitoring")) or _from_template(server, "monitoring")):
        yield "reports every five minutes only"


@resource_rule(
    "patches-within-a-week",
    "Security patches are approved within a week",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.8", "iso27001:A.8.19", "soc2:CC7.1", "soc2:CC6.8"),
    remediation=f"Give every approval rule approve_after_days of {LATEST_PATCH_DAYS} or less",
    applies_to=(PATCH_BASELINE,),
)
def patches_within_a_week(baseline: Resource) -> Iterator[str]:
    """A date instead of days (approve_until_date) freezes the baseline."""
    rules = list(baseline.props.each("approvalRules"))
    if not rules:
        yield "approves nothing by itself"
    for number, rule in enumerate(rules, start=1):
        days = rule.get("approveAfterDays")
        if rule.get("approveUntilDate") or days is None or days > LATEST_PATCH_DAYS:
            yield f"approval rule {number} takes longer than {LATEST_PATCH_DAYS} days"


@resource_rule(
    "sessions-encrypted-and-kept",
    "Sessions of operators are encrypted under our key and logged",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.15", "iso27001:A.8.18", "iso27001:A.8.24", "soc2:CC6.1", "soc2:CC7.2"),
    remediation="Set kmsKeyId and an encrypted CloudWatch log group in the session preferences",
    applies_to=(DOCUMENT,),
)
def sessions_encrypted(document: Resource) -> Iterator[str]:
    """Source: Systems Manager, session document schema."""
    if document.props.get("documentType") != "Session":
        return
    inputs = document.props.document("content").get("inputs", {})
    if not inputs.get("kmsKeyId"):
        yield "encrypts sessions by TLS only"
    logged = bool(inputs.get("cloudWatchLogGroupName")) and is_true(inputs.get("cloudWatchEncryptionEnabled"))
    kept = bool(inputs.get("s3BucketName")) and is_true(inputs.get("s3EncryptionEnabled"))
    if not (logged or kept):
        yield "keeps no encrypted record of sessions"


RULES: tuple[AnyRule, ...] = (
    metadata_tokens,
    metadata_tokens_by_default,
    disks_encrypted,
    server_no_public_address,
    elastic_address_at_edge,
    termination_protected,
    server_has_role,
    server_no_key_pair,
    user_data_no_secrets,
    server_monitored,
    patches_within_a_week,
    sessions_encrypted,
)
