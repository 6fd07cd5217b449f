"""Examples for rules/stack_network.py."""

from infra.policy.model import Resource
from infra.policy.rules import network
from infra.policy.rules import security_groups as groups
from infra.policy.rules import stack_network as rules

from .example import example, make

VPC = make(rules.VPC, {"cidrBlock": "10.10.0.0/16", "id": "vpc-1", "defaultNetworkAclId": "acl-0"})
OTHER = make(rules.VPC, {"cidrBlock": "10.20.0.0/16", "id": "vpc-2", "defaultNetworkAclId": "acl-9"})
SUBNET = make(network.SUBNET, {"vpcId": "vpc-1", "id": "subnet-1"})
FIREWALL = make(network.FIREWALL, {"firewallPolicyArn": "p", "arn": "arn:fw"})
ATTACHMENT = make(
    network.TRANSIT_ATTACHMENT, {"transitGatewayId": "t", "vpcId": "v", "subnetIds": ["s"], "id": "attach-1"}
)


def firewall_logs(*kinds: str) -> Resource:
    """Return the firewall's logs of these types."""
    targets = [{"logType": kind, "logDestinationType": "S3", "logDestination": {}} for kind in kinds]
    values = {"firewallArn": "arn:fw", "loggingConfiguration": {"logDestinationConfigs": targets}}
    return make(rules.FIREWALL_LOGS, values)


EXAMPLES = (
    example(
        "vpc-has-flow-log",
        good=[[VPC, make(network.FLOW_LOG, {"vpcId": "vpc-1"})]],
        bad=[VPC, [OTHER, make(network.FLOW_LOG, {"vpcId": "vpc-1"})]],
    ),
    example(
        "vpc-default-group-adopted",
        good=[[VPC, make(groups.DEFAULT_GROUP, {"vpcId": "vpc-1"})]],
        bad=[VPC, [VPC, make(groups.DEFAULT_GROUP, {"vpcId": "vpc-2"})]],
    ),
    example(
        "vpc-default-acl-adopted",
        good=[[VPC, make(groups.DEFAULT_ACL, {"defaultNetworkAclId": "acl-0"})]],
        bad=[VPC, [OTHER, make(groups.DEFAULT_ACL, {"defaultNetworkAclId": "acl-0"})]],
    ),
    example(
        "subnet-has-acl",
        good=[
            [SUBNET, make(groups.ACL, {"vpcId": "vpc-1", "subnetIds": ["subnet-0", "subnet-1"]})],
            [SUBNET, make(rules.ACL_ASSOCIATION, {"networkAclId": "a", "subnetId": "subnet-1"})],
        ],
        bad=[SUBNET, [SUBNET, make(groups.ACL, {"vpcId": "vpc-1", "subnetIds": ["subnet-0"]})]],
    ),
    example(
        "vpc-names-logged",
        good=[[VPC, make(rules.QUERY_LOG, {"resolverQueryLogConfigId": "q", "resourceId": "vpc-1"})]],
        bad=[VPC, [OTHER, make(rules.QUERY_LOG, {"resolverQueryLogConfigId": "q", "resourceId": "vpc-1"})]],
    ),
    example(
        "vpc-names-filtered",
        good=[[VPC, make(rules.DNS_FIREWALL, {"firewallRuleGroupId": "g", "priority": 101, "vpcId": "vpc-1"})]],
        bad=VPC,
    ),
    example(
        "firewall-has-logs",
        good=[[FIREWALL, firewall_logs("ALERT", "FLOW")]],
        bad=[FIREWALL, [FIREWALL, firewall_logs("ALERT")]],
    ),
    example(
        "transit-attachment-associated",
        good=[
            [
                ATTACHMENT,
                make(
                    rules.TRANSIT_ASSOCIATION,
                    {"transitGatewayAttachmentId": "attach-1", "transitGatewayRouteTableId": "t"},
                ),
            ]
        ],
        bad=ATTACHMENT,
    ),
)
