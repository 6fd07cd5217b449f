"""Examples for rules/network.py."""

from infra.policy.rules import network as rules

from .example import KEY, allow, example, make, policy

ROUTE = {"routeTableId": "rtb-1", "vpcPeeringConnectionId": "pcx-1", "destinationCidrBlock": "10.20.0.0/16"}
FLOW_LOG = {"vpcId": "vpc-1", "trafficType": "ALL", "maxAggregationInterval": 60}
OWN = {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}}
ENDPOINT = {
    "vpcId": "vpc-1",
    "serviceName": "com.amazonaws.eu-central-1.kms",
    "vpcEndpointType": "Interface",
    "privateDnsEnabled": True,
    "securityGroupIds": ["sg-1"],
    "policy": policy(allow("kms:*", "*", **OWN)),
}
TRANSIT = {"defaultRouteTableAssociation": "disable", "defaultRouteTablePropagation": "disable"}
ATTACHMENT = {
    "transitGatewayId": "tgw-1",
    "vpcId": "vpc-1",
    "subnetIds": ["subnet-1"],
    "transitGatewayDefaultRouteTableAssociation": False,
    "transitGatewayDefaultRouteTablePropagation": False,
}
CUSTOMER_KEY = {"type": "CUSTOMER_KMS", "keyId": KEY}
STRICT = {
    "statefulEngineOptions": {"ruleOrder": "STRICT_ORDER"},
    "statefulDefaultActions": ["aws:drop_established", "aws:alert_established"],
    "statelessDefaultActions": ["aws:forward_to_sfe"],
    "statelessFragmentDefaultActions": ["aws:forward_to_sfe"],
}
FIREWALL = {
    "firewallPolicyArn": "arn:aws:network-firewall:eu-central-1:123456789012:firewall-policy/p",
    "deleteProtection": True,
    "subnetChangeProtection": True,
    "firewallPolicyChangeProtection": True,
    "encryptionConfiguration": CUSTOMER_KEY,
}
RULE_GROUP = {"capacity": 100, "type": "STATEFUL", "encryptionConfiguration": CUSTOMER_KEY}

EXAMPLES = (
    example(
        "subnet-no-public-addresses",
        good=make(rules.SUBNET, {"vpcId": "vpc-1", "mapPublicIpOnLaunch": False}),
        bad=make(rules.SUBNET, {"vpcId": "vpc-1", "mapPublicIpOnLaunch": True}),
    ),
    example(
        "peering-routes-least",
        good=[make(rules.ROUTE, ROUTE), make(rules.ROUTE, {"routeTableId": "r", "destinationCidrBlock": "0.0.0.0/0"})],
        bad=[
            make(rules.ROUTE, ROUTE, destinationCidrBlock="10.0.0.0/8"),
            make(rules.ROUTE, ROUTE, destinationCidrBlock="0.0.0.0/0"),
            make(rules.ROUTE, ROUTE, destinationCidrBlock="52.94.0.0/22"),
            make(rules.ROUTE, ROUTE, destinationCidrBlock=None, destinationIpv6CidrBlock="::/0"),
        ],
    ),
    example(
        "flow-log-complete",
        good=[make(rules.FLOW_LOG, FLOW_LOG), make(rules.FLOW_LOG, {"transitGatewayId": "tgw-1"})],
        bad=[
            make(rules.FLOW_LOG, FLOW_LOG, trafficType="REJECT"),
            make(rules.FLOW_LOG, FLOW_LOG, maxAggregationInterval=600),
            make(rules.FLOW_LOG, FLOW_LOG, maxAggregationInterval=None),
        ],
    ),
    example(
        "endpoint-has-policy",
        good=make(rules.ENDPOINT, ENDPOINT),
        bad=[
            make(rules.ENDPOINT, ENDPOINT, policy=None),
            make(rules.ENDPOINT, ENDPOINT, policy=policy(allow("*", "*", Principal="*"))),
            make(rules.ENDPOINT, ENDPOINT, policy="no JSON"),
        ],
    ),
    example(
        "interface-endpoint-private",
        good=[make(rules.ENDPOINT, ENDPOINT), make(rules.ENDPOINT, {"vpcId": "v", "vpcEndpointType": "Gateway"})],
        bad=[
            make(rules.ENDPOINT, ENDPOINT, privateDnsEnabled=False),
            make(rules.ENDPOINT, ENDPOINT, securityGroupIds=[]),
        ],
    ),
    example(
        "transit-no-defaults",
        good=make(rules.TRANSIT, TRANSIT),
        bad=[
            make(rules.TRANSIT, TRANSIT, defaultRouteTableAssociation="enable"),
            make(rules.TRANSIT, TRANSIT, defaultRouteTablePropagation=None),
            make(rules.TRANSIT, TRANSIT, autoAcceptSharedAttachments="enable"),
        ],
    ),
    example(
        "transit-attachment-explicit",
        good=make(rules.TRANSIT_ATTACHMENT, ATTACHMENT),
        bad=[
            make(rules.TRANSIT_ATTACHMENT, ATTACHMENT, transitGatewayDefaultRouteTableAssociation=None),
            make(rules.TRANSIT_ATTACHMENT, ATTACHMENT, transitGatewayDefaultRouteTablePropagation=True),
        ],
    ),
    example(
        "firewall-drops-by-default",
        good=make(rules.FIREWALL_POLICY, {"firewallPolicy": STRICT}),
        bad=[
            make(rules.FIREWALL_POLICY, {"firewallPolicy": {**STRICT, "statefulEngineOptions": {}}}),
            make(rules.FIREWALL_POLICY, {"firewallPolicy": {**STRICT, "statefulDefaultActions": ["aws:alert_strict"]}}),
            make(rules.FIREWALL_POLICY, {"firewallPolicy": {**STRICT, "statelessDefaultActions": ["aws:pass"]}}),
        ],
    ),
    example(
        "firewall-rules-strict",
        good=[
            make(
                rules.FIREWALL_RULES,
                RULE_GROUP,
                ruleGroup={"rulesSource": {}, "statefulRuleOptions": {"ruleOrder": "STRICT_ORDER"}},
            ),
            make(rules.FIREWALL_RULES, RULE_GROUP, type="STATELESS"),
        ],
        bad=make(rules.FIREWALL_RULES, RULE_GROUP),
    ),
    example(
        "firewall-protected",
        good=make(rules.FIREWALL, FIREWALL),
        bad=[
            make(rules.FIREWALL, FIREWALL, deleteProtection=False),
            make(rules.FIREWALL, FIREWALL, subnetChangeProtection=None),
            make(rules.FIREWALL, FIREWALL, firewallPolicyChangeProtection=None),
        ],
    ),
    example(
        "firewall-customer-key",
        good=[make(rules.FIREWALL, FIREWALL), make(rules.FIREWALL_RULES, RULE_GROUP)],
        bad=[
            make(rules.FIREWALL, FIREWALL, encryptionConfiguration=None),
            make(rules.FIREWALL, FIREWALL, encryptionConfiguration={"type": "AWS_OWNED_KMS_KEY"}),
            make(rules.FIREWALL_RULES, RULE_GROUP, encryptionConfiguration={"type": "CUSTOMER_KMS"}),
        ],
    ),
)
