"""Security groups and network ACLs: a port is open only where the intent graph says so."""

from collections.abc import Iterator
from ipaddress import ip_network

from onedallmail.platform.flows import Flow, Party

from ..catalogue import resource_rule
from ..model import AnyRule, Resource, Severity
from ..values import MalformedError

GROUP = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
DEFAULT_ACL = "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl"
ACL = "aws:ec2/networkAcl:NetworkAcl"
ACL_RULE = "aws:ec2/networkAclRule:NetworkAclRule"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
ADMIN_PORTS = (22, 3389)
EVERY_PORT = (0, 65535)


def is_public(cidr: object) -> bool:
    """Tell whether a network reaches beyond private address space (RFC 1918, RFC 4193)."""
    if not cidr:
        return False
    try:
        return not ip_network(str(cidr), strict=False).is_private
    except ValueError as error:
        message = f"{cidr} is no network"
        raise MalformedError(message) from error


def faces_internet(rule: Resource) -> bool:
    """Tell whether a security group rule's other end is not a private network."""
    return is_public(rule.props.get("cidrIpv4")) or is_public(rule.props.get("cidrIpv6"))


def _ports(rule: Resource) -> tuple[int, int]:
    low, high = rule.props.get("fromPort"), rule.props.get("toPort")
    return (int(low), int(high)) if low is not None and high is not None else EVERY_PORT


def described(rule: Resource) -> str:
    """Return how a message calls what a rule opens: `tcp 25`."""
    low, high = _ports(rule)
    return f"{rule.props.get('ipProtocol')} {low if low == high else f'{low}-{high}'}"


def serves(rule: Resource, flow: Flow) -> bool:
    """Tell whether a rule opens exactly a flow's protocol and port."""
    port = flow.port.value
    return flow.protocol.value == rule.props.get("ipProtocol") and _ports(rule) == (port, port)


@resource_rule(
    "ingress-from-internet-by-flow",
    "The internet reaches only the ports that a flow from the internet has",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", "cis-aws:3.0/5.2", "cis-aws:3.0/5.3"),
    remediation="Close the port, or declare the flow from the internet in platform/flows.py",
    applies_to=(INGRESS,),
)
def ingress_from_internet(rule: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 5.2 and 5.3, made stricter: every port, not administration alone."""
    wanted = [f for f in rule.plan.flows if f.source is Party.INTERNET]
    if faces_internet(rule) and not any(serves(rule, f) for f in wanted):
        yield f"{described(rule)} is open to the internet, and no flow of the intent graph comes from there on it"


@resource_rule(
    "egress-to-internet-by-flow",
    "Only the ports that a flow to the internet has lead there",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "iso27001:A.8.23", "iso27001:A.8.12", "soc2:CC6.6", "soc2:CC6.7"),
    remediation="Close the port, or declare the flow to the internet in platform/flows.py",
    applies_to=(EGRESS,),
)
def egress_to_internet(rule: Resource) -> Iterator[str]:
    """What leaves the platform leaves by a declared flow: data has no other way out."""
    wanted = [f for f in rule.plan.flows if f.destination is Party.INTERNET]
    if faces_internet(rule) and not any(serves(rule, f) for f in wanted):
        yield f"{described(rule)} may call the internet, and no flow of the intent graph goes there on it"


@resource_rule(
    "group-ports-by-flow",
    "A security group opens exactly the ports of flows, one port a rule",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "iso27001:A.8.21", "soc2:CC6.1", "soc2:CC6.6"),
    remediation="Generate the rule from the intent graph: one rule a flow, with the flow's protocol and port",
    applies_to=(INGRESS, EGRESS),
)
def group_ports(rule: Resource) -> Iterator[str]:
    """Management has no security group rule at all: Session Manager needs no open port."""
    wanted = [f for f in rule.plan.flows if f.source is not Party.MANAGEMENT]
    if not any(serves(rule, f) for f in wanted):
        yield f"{described(rule)} belongs to no flow of the intent graph"


@resource_rule(
    "group-rule-names-flow",
    "A security group rule names the flow it serves",
    severity=Severity.LOW,
    controls=("iso27001:A.8.9", "iso27001:A.8.20", "soc2:CC8.1"),
    remediation="Write the flow's name into the rule's description",
    applies_to=(INGRESS, EGRESS),
)
def rule_names_flow(rule: Resource) -> Iterator[str]:
    """So that a reviewer of the account finds the reason of each open port."""
    names = {f.name for f in rule.plan.flows if serves(rule, f)}
    description = str(rule.props.get("description") or "")
    if not any(description == name or description.startswith(f"{name} ") for name in names):
        yield f"its description {description!r} names none of the flows on {described(rule)}"


@resource_rule(
    "group-rules-stand-alone",
    "Security group rules are resources of their own",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.9", "iso27001:A.8.20", "soc2:CC8.1"),
    remediation="Use aws.vpc.SecurityGroupIngressRule and SecurityGroupEgressRule, which the other rules check",
    applies_to=(GROUP, OLD_RULE),
)
def rules_stand_alone(group: Resource) -> Iterator[str]:
    """Inline rules and the older rule type would pass by the checks of ports."""
    if group.type == OLD_RULE:
        yield "the older type SecurityGroupRule is not compared with the intent graph"
    for direction in ("ingress", "egress"):
        if group.props.get(direction):
            yield f"has {direction} rules inside the group"


@resource_rule(
    "default-group-closed",
    "The default security group of a VPC has no rules",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", "cis-aws:3.0/5.4"),
    remediation="Adopt the group with aws.ec2.DefaultSecurityGroup and give it no rules",
    applies_to=(DEFAULT_GROUP,),
)
def default_group_closed(group: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 5.4."""
    for direction in ("ingress", "egress"):
        if group.props.get(direction):
            yield f"has {direction} rules"


@resource_rule(
    "default-acl-closed",
    "The default network ACL of a VPC lets nothing pass",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
    remediation="Adopt the list with aws.ec2.DefaultNetworkAcl without rules; give each subnet a list of its own",
    applies_to=(DEFAULT_ACL,),
)
def default_acl_closed(acl: Resource) -> Iterator[str]:
    """A subnet that is forgotten must fall back on nothing."""
    for direction in ("ingress", "egress"):
        if any(str(entry.get("action")).lower() == "allow" for entry in acl.props.each(direction)):
            yield f"allows {direction}"


@resource_rule(
    "acl-no-administration",
    "No network ACL lets the internet reach administration ports",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "soc2:CC6.6", "cis-aws:3.0/5.1"),
    remediation="Narrow the rule's ports or networks; administrators come through Session Manager",
    applies_to=(ACL_RULE,),
)
def acl_no_administration(rule: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 5.1. Protocols: 6 is TCP, -1 is all."""
    props = rule.props
    if props.get("egress") or str(props.get("ruleAction")).lower() != "allow":
        return
    if str(props.get("protocol")).lower() not in ("6", "tcp", "-1", "all"):
        return
    public = is_public(props.get("cidrBlock")) or is_public(props.get("ipv6CidrBlock"))
    low, high = _ports(rule)
    reached = [p for p in ADMIN_PORTS if low <= p <= high]
    if public and reached:
        yield f"lets the internet reach port {' and '.join(map(str, reached))}"


@resource_rule(
    "acl-rules-stand-alone",
    "Network ACL rules are resources of their own",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.9", "iso27001:A.8.20", "soc2:CC8.1"),
    remediation="Use aws.ec2.NetworkAclRule, which the other rules check",
    applies_to=(ACL,),
)
def acl_rules_stand_alone(acl: Resource) -> Iterator[str]:
    """Inline rules would pass by the checks of ports."""
    for direction in ("ingress", "egress"):
        if acl.props.get(direction):
            yield f"has {direction} rules inside the list"


RULES: tuple[AnyRule, ...] = (
    ingress_from_internet,
    egress_to_internet,
    group_ports,
    rule_names_flow,
    rules_stand_alone,
    default_group_closed,
    default_acl_closed,
    acl_no_administration,
    acl_rules_stand_alone,
)
