"""Examples for rules/security_groups.py."""

from infra.policy.rules import security_groups as rules

from .example import example, make

MAIL = {
    "securityGroupId": "sg-1",
    "ipProtocol": "tcp",
    "fromPort": 993,
    "toPort": 993,
    "cidrIpv4": "0.0.0.0/0",
    "description": "internet-imaps-mail-tcp",
}
OUT = {
    "securityGroupId": "sg-1",
    "ipProtocol": "udp",
    "fromPort": 53,
    "toPort": 53,
    "cidrIpv4": "0.0.0.0/0",
    "description": "platform-dns-internet-udp",
}
DATABASE = {**MAIL, "fromPort": 5432, "toPort": 5432}
ACL_RULE = {
    "networkAclId": "acl-1",
    "ruleNumber": 100,
    "protocol": "tcp",
    "ruleAction": "allow",
    "egress": False,
    "cidrBlock": "0.0.0.0/0",
    "fromPort": 993,
    "toPort": 993,
}
ANY_RULE = [{"fromPort": 0, "toPort": 0, "protocol": "-1", "cidrBlocks": ["0.0.0.0/0"]}]
ANY_ENTRY = [{"fromPort": 0, "toPort": 0, "protocol": "-1", "ruleNo": 1, "action": "allow", "cidrBlock": "0.0.0.0/0"}]

EXAMPLES = (
    example(
        "ingress-from-internet-by-flow",
        good=[
            make(rules.INGRESS, MAIL),
            make(rules.INGRESS, MAIL, cidrIpv4=None, cidrIpv6="::/0"),
            make(rules.INGRESS, DATABASE, cidrIpv4="10.0.0.0/8"),
        ],
        bad=[
            make(rules.INGRESS, DATABASE),
            make(rules.INGRESS, DATABASE, cidrIpv4=None, cidrIpv6="::/0"),
            make(rules.INGRESS, MAIL, fromPort=22, toPort=22),
            make(rules.INGRESS, MAIL, ipProtocol="udp"),
            make(rules.INGRESS, MAIL, toPort=1000),
            make(rules.INGRESS, MAIL, ipProtocol="-1", fromPort=None, toPort=None),
            make(rules.INGRESS, DATABASE, cidrIpv4="128.0.0.0/1"),
        ],
    ),
    example(
        "egress-to-internet-by-flow",
        good=[make(rules.EGRESS, OUT), make(rules.EGRESS, OUT, fromPort=5432, toPort=5432, cidrIpv4="10.1.0.0/16")],
        bad=[make(rules.EGRESS, OUT, fromPort=6667, toPort=6667), make(rules.EGRESS, OUT, ipProtocol="-1")],
    ),
    example(
        "group-ports-by-flow",
        good=[make(rules.INGRESS, MAIL), make(rules.EGRESS, OUT)],
        bad=[
            make(rules.INGRESS, MAIL, fromPort=22, toPort=22, cidrIpv4="10.0.0.0/8"),
            make(rules.INGRESS, MAIL, fromPort=8080, toPort=8080, cidrIpv4="10.0.0.0/8"),
            make(rules.EGRESS, OUT, fromPort=1, toPort=65535, cidrIpv4="10.0.0.0/8"),
        ],
    ),
    example(
        "group-rule-names-flow",
        good=[make(rules.INGRESS, MAIL)],
        bad=[
            make(rules.INGRESS, MAIL, description="temporary"),
            make(rules.INGRESS, MAIL, description="internet-smtp-mail-tcp"),
            make(rules.INGRESS, MAIL, description=None),
        ],
    ),
    example(
        "group-rules-stand-alone",
        good=make(rules.GROUP, {"description": "Flows of mail", "vpcId": "vpc-1"}),
        bad=[
            make(rules.GROUP, {"vpcId": "vpc-1", "ingress": ANY_RULE}),
            make(rules.GROUP, {"vpcId": "vpc-1", "egress": ANY_RULE}),
            make(
                rules.OLD_RULE,
                {"type": "ingress", "protocol": "tcp", "fromPort": 25, "toPort": 25, "securityGroupId": "sg-1"},
            ),
        ],
    ),
    example(
        "default-group-closed",
        good=make(rules.DEFAULT_GROUP, {"vpcId": "vpc-1"}),
        bad=[
            make(rules.DEFAULT_GROUP, {"vpcId": "vpc-1", "ingress": ANY_RULE}),
            make(rules.DEFAULT_GROUP, {"vpcId": "vpc-1", "egress": ANY_RULE}),
        ],
    ),
    example(
        "default-acl-closed",
        good=make(rules.DEFAULT_ACL, {"defaultNetworkAclId": "acl-0"}),
        bad=[
            make(rules.DEFAULT_ACL, {"defaultNetworkAclId": "acl-0", "ingress": ANY_ENTRY}),
            make(rules.DEFAULT_ACL, {"defaultNetworkAclId": "acl-0", "egress": ANY_ENTRY}),
        ],
    ),
    example(
        "acl-no-administration",
        good=[
            make(rules.ACL_RULE, ACL_RULE),
            make(rules.ACL_RULE, ACL_RULE, fromPort=22, toPort=22, ruleAction="deny"),
            make(rules.ACL_RULE, ACL_RULE, fromPort=22, toPort=22, cidrBlock="10.0.0.0/8"),
        ],
        bad=[
            make(rules.ACL_RULE, ACL_RULE, fromPort=22, toPort=22),
            make(rules.ACL_RULE, ACL_RULE, fromPort=1024, toPort=65535),
            make(rules.ACL_RULE, ACL_RULE, protocol="-1", fromPort=None, toPort=None),
        ],
    ),
    example(
        "acl-rules-stand-alone",
        good=make(rules.ACL, {"vpcId": "vpc-1"}),
        bad=[make(rules.ACL, {"vpcId": "vpc-1", "ingress": ANY_ENTRY})],
    ),
)
