"""Networks as a whole: each is logged, filtered and closed where nothing was planned."""

from collections.abc import Iterator

from ..catalogue import stack_rule
from ..model import AnyRule, Level, Resource, Severity, Stack
from .network import FIREWALL, FLOW_LOG, SUBNET, TRANSIT_ATTACHMENT
from .security_groups import ACL, DEFAULT_ACL, DEFAULT_GROUP

VPC = "aws:ec2/vpc:Vpc"
ACL_ASSOCIATION = "aws:ec2/networkAclAssociation:NetworkAclAssociation"
QUERY_LOG = "aws:route53/resolverQueryLogConfigAssociation:ResolverQueryLogConfigAssociation"
DNS_FIREWALL = "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation"
FIREWALL_LOGS = "aws:networkfirewall/loggingConfiguration:LoggingConfiguration"
TRANSIT_ASSOCIATION = "aws:ec2transitgateway/routeTableAssociation:RouteTableAssociation"


@stack_rule(
    "vpc-has-flow-log",
    "Every VPC has a flow log",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.15", "iso27001:A.8.16", "soc2:CC7.2", "cis-aws:3.0/3.7"),
    remediation="Add aws.ec2.FlowLog for the VPC",
    applies_to=(VPC,),
)
def vpc_has_flow_log(vpc: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, 3.7."""
    if not stack.naming(vpc, FLOW_LOG, by="vpcId"):
        yield "its traffic is not logged"


@stack_rule(
    "vpc-default-group-adopted",
    "The default security group of every VPC is adopted and closed",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", "cis-aws:3.0/5.4"),
    remediation="Add aws.ec2.DefaultSecurityGroup without rules for the VPC",
    applies_to=(VPC,),
)
def vpc_default_group_adopted(vpc: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, 5.4. Left alone, it lets its members speak to each other."""
    if not stack.naming(vpc, DEFAULT_GROUP, by="vpcId"):
        yield "its default security group is left as AWS makes it"


@stack_rule(
    "vpc-default-acl-adopted",
    "The default network ACL of every VPC is adopted and closed",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
    remediation="Add aws.ec2.DefaultNetworkAcl without rules for the VPC",
    applies_to=(VPC,),
)
def vpc_default_acl_adopted(vpc: Resource, stack: Stack) -> Iterator[str]:
    """Left alone, it lets everything pass."""
    if not stack.naming(vpc, DEFAULT_ACL, by="defaultNetworkAclId"):
        yield "its default network ACL is left as AWS makes it"


@stack_rule(
    "subnet-has-acl",
    "Every subnet has a network ACL of the plan",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
    remediation="Put the subnet into the network ACL of its tier",
    applies_to=(SUBNET,),
)
def subnet_has_acl(subnet: Resource, stack: Stack) -> Iterator[str]:
    """A second fence, in case a security group is wrong."""
    listed = stack.naming(subnet, ACL, by="subnetIds")
    if not (listed or stack.naming(subnet, ACL_ASSOCIATION, by="subnetId")):
        yield "falls back on the VPC's default network ACL"


@stack_rule(
    "vpc-names-logged",
    "Every VPC's name look-ups are logged",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.15", "iso27001:A.8.16", "soc2:CC7.2"),
    remediation="Associate the resolver's query log configuration with the VPC",
    applies_to=(VPC,),
)
def vpc_names_logged(vpc: Resource, stack: Stack) -> Iterator[str]:
    """Look-ups show command channels that flow logs do not."""
    if not stack.naming(vpc, QUERY_LOG, by="resourceId"):
        yield "its look-ups are not logged"


@stack_rule(
    "vpc-names-filtered",
    "Every VPC's name look-ups pass the DNS firewall",
    severity=Severity.MEDIUM,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.23", "iso27001:A.8.7", "soc2:CC6.6", "soc2:CC6.8"),
    remediation="Turn the option dnsFirewall on",
    applies_to=(VPC,),
)
def vpc_names_filtered(vpc: Resource, stack: Stack) -> Iterator[str]:
    """Servers resolve for mail on their own; everything else asks the VPC's resolver."""
    if not stack.naming(vpc, DNS_FIREWALL, by="vpcId"):
        yield "its look-ups are not filtered"


@stack_rule(
    "firewall-has-logs",
    "Every network firewall keeps alerts and flows",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.15", "iso27001:A.8.16", "soc2:CC7.2"),
    remediation="Add aws.networkfirewall.LoggingConfiguration with the types ALERT and FLOW",
    applies_to=(FIREWALL,),
)
def firewall_has_logs(firewall: Resource, stack: Stack) -> Iterator[str]:
    """An alert that nobody keeps has not happened."""
    kept = {
        str(target.get("logType"))
        for log in stack.naming(firewall, FIREWALL_LOGS, by="firewallArn")
        for target in log.props.each("loggingConfiguration.logDestinationConfigs")
    }
    for kind in ("ALERT", "FLOW"):
        if kind not in kept:
            yield f"keeps no {kind.lower()} log"


@stack_rule(
    "transit-attachment-associated",
    "Every attachment of a transit gateway has a route table of its own choice",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
    remediation="Add aws.ec2transitgateway.RouteTableAssociation for the attachment",
    applies_to=(TRANSIT_ATTACHMENT,),
)
def transit_attachment_associated(attachment: Resource, stack: Stack) -> Iterator[str]:
    """With defaults off, an attachment without a table reaches nothing; that must be seen before the mail is."""
    if not stack.naming(attachment, TRANSIT_ASSOCIATION, by="transitGatewayAttachmentId"):
        yield "is associated with no route table"


RULES: tuple[AnyRule, ...] = (
    vpc_has_flow_log,
    vpc_default_group_adopted,
    vpc_default_acl_adopted,
    subnet_has_acl,
    vpc_names_logged,
    vpc_names_filtered,
    firewall_has_logs,
    transit_attachment_associated,
)
