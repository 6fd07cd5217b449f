"""Networks: addresses, routes, transit gateways, endpoints and the network firewall."""

from collections.abc import Iterator
from ipaddress import ip_network

from ..catalogue import resource_rule
from ..documents import allowed
from ..model import AnyRule, Resource, Severity
from ..values import is_true
from .security_groups import is_public

SUBNET = "aws:ec2/subnet:Subnet"
ROUTE = "aws:ec2/route:Route"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
TRANSIT = "aws:ec2transitgateway/transitGateway:TransitGateway"
TRANSIT_ATTACHMENT = "aws:ec2transitgateway/vpcAttachment:VpcAttachment"
FIREWALL = "aws:networkfirewall/firewall:Firewall"
FIREWALL_POLICY = "aws:networkfirewall/firewallPolicy:FirewallPolicy"
FIREWALL_RULES = "aws:networkfirewall/ruleGroup:RuleGroup"
WIDEST_PEERED = {4: 16, 6: 48}
"""Shortest prefix that a route over a peering may have: the network of one region."""
DROPS = frozenset({"aws:drop_strict", "aws:drop_established", "aws:drop_established_app_layer"})


@resource_rule(
    "subnet-no-public-addresses",
    "No subnet hands out public addresses by itself",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
    remediation="Set map_public_ip_on_launch to false; public addresses are Elastic IPs of the plan",
    applies_to=(SUBNET,),
)
def subnet_no_public_addresses(subnet: Resource) -> Iterator[str]:
    """An instance in the wrong subnet must not become reachable by that alone."""
    if is_true(subnet.props.get("mapPublicIpOnLaunch")):
        yield "gives every instance a public IPv4 address"


@resource_rule(
    "peering-routes-least",
    "A route over a peering leads to one region's network and no further",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6", "cis-aws:3.0/5.5"),
    remediation="Route the peer's own network, as the address plan has it",
    applies_to=(ROUTE,),
)
def peering_routes(route: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 5.5."""
    if not (route.props.is_unknown("vpcPeeringConnectionId") or route.props.get("vpcPeeringConnectionId")):
        return
    for name in ("destinationCidrBlock", "destinationIpv6CidrBlock"):
        if cidr := route.props.get(name):
            network = ip_network(str(cidr), strict=False)
            if network.prefixlen < WIDEST_PEERED[network.version]:
                yield f"sends {cidr} over a peering, which is more than one region's network"
            elif network.version == 4 and is_public(cidr):  # noqa: PLR2004 - IP version
                yield f"sends the public network {cidr} over a peering"


@resource_rule(
    "flow-log-complete",
    "A flow log keeps accepted and refused traffic, by the minute",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.15", "iso27001:A.8.16", "soc2:CC7.2", "cis-aws:3.0/3.7"),
    remediation="Set traffic_type to ALL and max_aggregation_interval to 60",
    applies_to=(FLOW_LOG,),
)
def flow_log_complete(log: Resource) -> Iterator[str]:
    """Transit gateways have no traffic type; they log everything and by the minute anyway."""
    props = log.props
    if props.known("transitGatewayId") or props.is_unknown("transitGatewayId"):
        return
    if props.get("trafficType") != "ALL":
        yield f"keeps traffic of type {props.get('trafficType')} only"
    if props.get("maxAggregationInterval") != 60:  # noqa: PLR2004 - seconds, the shorter of the two AWS has
        yield "aggregates over ten minutes, too coarse to follow an intrusion"


@resource_rule(
    "endpoint-has-policy",
    "A VPC endpoint says who may use it for what",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.3", "iso27001:A.8.12", "soc2:CC6.1", "soc2:CC6.7"),
    remediation="Give the endpoint a policy bound to the account's or organisation's own principals and resources",
    applies_to=(ENDPOINT,),
)
def endpoint_has_policy(endpoint: Resource) -> Iterator[str]:
    """AWS's default endpoint policy allows every account's resources: a way out for data."""
    document = endpoint.props.document("policy")
    if not document:
        yield "has no policy, so AWS's default allows everything to everybody"
    for statement in allowed(document):
        bound = statement.has_condition(
            "aws:principalorgid",
            "aws:principalaccount",
            "aws:principalarn",
            "aws:resourceaccount",
            "aws:resourceorgid",
        )
        anybody = not statement.principals or any(name == "*" for _, name in statement.principals)
        if anybody and not bound and "*" in (*statement.resources, *statement.actions):
            yield f"statement {statement.sid or '(no Sid)'} allows anybody anything"


@resource_rule(
    "interface-endpoint-private",
    "An interface endpoint answers under the service's own name and has a security group",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
    remediation="Set private_dns_enabled, and give the endpoint a security group from the intent graph",
    applies_to=(ENDPOINT,),
)
def interface_endpoint_private(endpoint: Resource) -> Iterator[str]:
    """Without the private name programs keep going over the internet."""
    props = endpoint.props
    if props.get("vpcEndpointType") != "Interface":
        return
    if not is_true(props.get("privateDnsEnabled")):
        yield "leaves the service's name pointing to the internet"
    if not props.get("securityGroupIds"):
        yield "falls back on the VPC's default security group"


@resource_rule(
    "transit-no-defaults",
    "A transit gateway attaches and routes nothing by default",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
    remediation="Disable default association, default propagation and automatic acceptance",
    applies_to=(TRANSIT,),
)
def transit_no_defaults(gateway: Resource) -> Iterator[str]:
    """With defaults on, a new network reaches all others around the inspection."""
    for name in ("defaultRouteTableAssociation", "defaultRouteTablePropagation"):
        if gateway.props.get(name) != "disable":
            yield f"{name} is not disabled"
    if gateway.props.get("autoAcceptSharedAttachments") == "enable":
        yield "accepts attachments of other accounts by itself"


@resource_rule(
    "transit-attachment-explicit",
    "An attachment takes part in no default route table",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "soc2:CC6.6"),
    remediation="Set both transit_gateway_default_route_table settings to false; associate it explicitly",
    applies_to=(TRANSIT_ATTACHMENT,),
)
def transit_attachment_explicit(attachment: Resource) -> Iterator[str]:
    """The provider's own default is to join both tables."""
    for name in ("transitGatewayDefaultRouteTableAssociation", "transitGatewayDefaultRouteTablePropagation"):
        if attachment.props.get(name) is not False:
            yield f"{name} is not false"


@resource_rule(
    "firewall-drops-by-default",
    "The network firewall judges in strict order and drops what no rule passes",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.20", "iso27001:A.8.22", "iso27001:A.8.23", "soc2:CC6.6"),
    remediation="Set rule_order STRICT_ORDER, a drop as stateful default, and aws:forward_to_sfe as stateless default",
    applies_to=(FIREWALL_POLICY,),
)
def firewall_drops(policy: Resource) -> Iterator[str]:
    """Source: AWS Network Firewall, evaluation order for stateful rules."""
    content = policy.props
    if content.get("firewallPolicy.statefulEngineOptions.ruleOrder") != "STRICT_ORDER":
        yield "judges in action order, in which a pass anywhere wins"
    if not DROPS & set(content.texts("firewallPolicy.statefulDefaultActions")):
        yield "passes what no stateful rule names"
    for name in ("statelessDefaultActions", "statelessFragmentDefaultActions"):
        if content.texts(f"firewallPolicy.{name}") not in (("aws:forward_to_sfe",), ("aws:drop",)):
            yield f"{name} lets packets pass around the stateful rules"


@resource_rule(
    "firewall-rules-strict",
    "A stateful rule group is written for strict order",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.20", "soc2:CC6.6"),
    remediation="Set stateful_rule_options.rule_order to STRICT_ORDER",
    applies_to=(FIREWALL_RULES,),
)
def firewall_rules_strict(group: Resource) -> Iterator[str]:
    """AWS refuses a mix at apply; the plan should say so earlier."""
    order = group.props.get("ruleGroup.statefulRuleOptions.ruleOrder")
    if group.props.get("type") == "STATEFUL" and order != "STRICT_ORDER":
        yield "is in action order"


@resource_rule(
    "firewall-protected",
    "The network firewall cannot be deleted or rewired in passing",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.9", "iso27001:A.8.32", "soc2:CC8.1"),
    remediation="Set delete_protection, subnet_change_protection and firewall_policy_change_protection",
    applies_to=(FIREWALL,),
)
def firewall_protected(firewall: Resource) -> Iterator[str]:
    """Removing it opens all networks to each other at once."""
    for name in ("deleteProtection", "subnetChangeProtection", "firewallPolicyChangeProtection"):
        if not is_true(firewall.props.get(name)):
            yield f"{name} is off"


@resource_rule(
    "firewall-customer-key",
    "The network firewall's content is encrypted under a customer managed key",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.24", "soc2:CC6.1"),
    remediation="Set encryption_configuration with type CUSTOMER_KMS and the key of the region",
    applies_to=(FIREWALL, FIREWALL_POLICY, FIREWALL_RULES),
)
def firewall_customer_key(part: Resource) -> Iterator[str]:
    """Rules tell an attacker what is watched."""
    if part.props.get("encryptionConfiguration.type") != "CUSTOMER_KMS":
        yield "is encrypted under a key of AWS's own"
    elif not part.props.get("encryptionConfiguration.keyId"):
        yield "names no key"


RULES: tuple[AnyRule, ...] = (
    subnet_no_public_addresses,
    peering_routes,
    flow_log_complete,
    endpoint_has_policy,
    interface_endpoint_private,
    transit_no_defaults,
    transit_attachment_explicit,
    firewall_drops,
    firewall_rules_strict,
    firewall_protected,
    firewall_customer_key,
)
