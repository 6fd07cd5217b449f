"""Examples for rules/stack_servers.py."""

from infra.policy.model import Plan, Resource
from infra.policy.rules import backup, compute, edge, keys, logging
from infra.policy.rules import security_groups as groups
from infra.policy.rules import stack_servers as rules
from infra.policy.rules.network import SUBNET

from .example import BALANCED, PLAN, TAGS, allow, example, make, policy

KEY = make(keys.KEY, {"keyId": "k-1"})
CLUSTER = make(rules.CLUSTER, {"hsmType": "hsm2m.medium", "subnetIds": ["s"], "id": "cluster-1"})
MAIL_TAGS = {**TAGS, "DataClass": "mail"}
VAULT = make(backup.VAULT, {"name": "mail", "id": "mail"})
BACKUP_PLAN = make(backup.PLAN, {"rules": [], "id": "plan-1"})
BALANCER = make(edge.BALANCER[0], {"loadBalancerType": "application", "arn": "arn:alb"})
WEB_ACL = make(edge.WEB_ACL, {"scope": "REGIONAL", "defaultAction": {}, "visibilityConfig": {}, "arn": "arn:acl"})


def subnet(name: str, zone: str) -> Resource:
    """Return a subnet in a zone."""
    return make(SUBNET, {"vpcId": "vpc-1", "id": name, "availabilityZone": zone})


def server(name: str, place: str = "subnet-a") -> Resource:
    """Return a mail server in a subnet."""
    return make(compute.INSTANCE, {"id": name, "subnetId": place, "tags": MAIL_TAGS})


def hsm(zone: str) -> Resource:
    """Return an HSM of the cluster."""
    return make(rules.HSM, {"clusterId": "cluster-1", "availabilityZone": zone})


def selection(**what: object) -> Resource:
    """Return a backup selection."""
    return make(rules.SELECTION, {"iamRoleArn": "r", "planId": "plan-1", **what})


def alarm(server_id: str) -> Resource:
    """Return an alarm on a server's status."""
    values = {"comparisonOperator": "GreaterThanThreshold", "evaluationPeriods": 2}
    return make(logging.ALARM, {**values, "dimensions": {"InstanceId": server_id}})


def grouped(plan: Plan = PLAN) -> Resource:
    """Return a server in the group of mail servers."""
    return make(compute.INSTANCE, {"vpcSecurityGroupIds": ["sg-1"]}, plan=plan)


def from_template() -> Resource:
    """Return a server that takes its group from a launch template."""
    return make(compute.INSTANCE, {"launchTemplate": {"id": "lt-1"}})


IMAPS = {"securityGroupId": "sg-1", "ipProtocol": "tcp", "fromPort": 993, "toPort": 993, "cidrIpv4": "0.0.0.0/0"}
GROUP = make(groups.GROUP, {"id": "sg-1", "vpcId": "vpc-1"})
TEMPLATE = make(compute.TEMPLATE, {"id": "lt-1", "vpcSecurityGroupIds": ["sg-1"]})
OPEN_IMAPS = make(groups.INGRESS, IMAPS)
A, B = subnet("subnet-a", "eu-central-1a"), subnet("subnet-b", "eu-central-1b")
BY_TAG = {"type": "STRINGEQUALS", "key": "DataClass", "value": "mail"}
NOT_OURS = {"type": "STRINGEQUALS", "key": "DataClass", "value": "logs"}

EXAMPLES = (
    example(
        "key-has-policy",
        good=[
            make(keys.KEY, {"policy": policy(allow("kms:Decrypt", "*"))}),
            [KEY, make(keys.KEY_POLICY, {"keyId": "k-1", "policy": policy()})],
        ],
        bad=[
            KEY,
            make(keys.KEY, {"policy": policy(allow("kms:*", "*"))}),
            [KEY, make(keys.KEY_POLICY, {"keyId": "k-2", "policy": policy()})],
        ],
    ),
    example("key-has-alias", good=[[KEY, make(rules.ALIAS, {"targetKeyId": "k-1"})]], bad=[KEY]),
    example(
        "hsm-in-two-zones",
        good=[[CLUSTER, hsm("eu-central-1a"), hsm("eu-central-1b")]],
        bad=[CLUSTER, [CLUSTER, hsm("eu-central-1a")], [CLUSTER, hsm("eu-central-1a"), hsm("eu-central-1a")]],
    ),
    example(
        "server-open-as-its-party",
        good=[[grouped(), GROUP, OPEN_IMAPS], [grouped(plan=BALANCED), GROUP]],
        bad=[
            [grouped(plan=BALANCED), GROUP, OPEN_IMAPS],
            [grouped(), GROUP, make(groups.INGRESS, IMAPS, fromPort=443, toPort=443)],
            [from_template(), TEMPLATE, GROUP, make(groups.INGRESS, IMAPS, fromPort=5432, toPort=5432)],
        ],
    ),
    example(
        "servers-spread-over-zones",
        good=[[server("i-1"), server("i-2", "subnet-b"), A, B], [server("i-1"), A]],
        bad=[[server("i-1"), server("i-2"), A, B]],
    ),
    example("server-recovers", good=[[server("i-1"), alarm("i-1")]], bad=[[server("i-1"), alarm("i-2")]]),
    example(
        "server-in-backup",
        good=[
            [server("i-1"), selection(selectionTags=[BY_TAG])],
            [server("i-1"), selection(resources=["i-1"])],
            [server("i-1"), selection(resources=["*"])],
            make(compute.INSTANCE, {"tags": TAGS}),
        ],
        bad=[
            [server("i-1")],
            [server("i-1"), selection(selectionTags=[NOT_OURS])],
            [server("i-1"), selection(resources=["i-2"])],
        ],
    ),
    example(
        "balancer-has-web-firewall",
        good=[
            [BALANCER, make(rules.WEB_ACL_ASSOCIATION, {"resourceArn": "arn:alb", "webAclArn": "w"})],
            make(edge.BALANCER[0], {"loadBalancerType": "network"}),
        ],
        bad=[BALANCER, [BALANCER, make(rules.WEB_ACL_ASSOCIATION, {"resourceArn": "arn:b", "webAclArn": "w"})]],
    ),
    example(
        "web-firewall-has-log",
        good=[[WEB_ACL, make(edge.WEB_ACL_LOG, {"resourceArn": "arn:acl", "logDestinationConfigs": ["l"]})]],
        bad=[WEB_ACL],
    ),
    example(
        "vault-locked",
        good=[[VAULT, make(backup.LOCK, {"backupVaultName": "mail"})]],
        bad=[VAULT, [VAULT, make(backup.LOCK, {"backupVaultName": "other"})]],
    ),
    example(
        "vault-has-policy",
        good=[[VAULT, make(rules.VAULT_POLICY, {"backupVaultName": "mail", "policy": policy()})]],
        bad=[VAULT],
    ),
    example("backup-selects", good=[[BACKUP_PLAN, selection()]], bad=[BACKUP_PLAN]),
    example(
        "backup-restore-tested",
        good=[
            [
                BACKUP_PLAN,
                make(rules.RESTORE_TESTING, {"recoveryPointSelection": {}, "scheduleExpression": "rate(7 days)"}),
            ]
        ],
        bad=[BACKUP_PLAN],
    ),
)
