"""Examples for rules/edge.py."""

from typing import Any

from infra.policy.model import Resource
from infra.policy.rules import edge as rules

from .example import example, make

BALANCER = {
    "loadBalancerType": "application",
    "enableDeletionProtection": True,
    "accessLogs": {"enabled": True, "bucket": "logs"},
    "dropInvalidHeaderFields": True,
}
NETWORK = {"loadBalancerType": "network", "enableDeletionProtection": True}
LISTENER = {
    "loadBalancerArn": "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/web/1",
    "defaultActions": [{"type": "forward"}],
    "protocol": "HTTPS",
    "port": 443,
    "sslPolicy": rules.TLS_POLICY,
}
MAIL_LISTENER = {**LISTENER, "protocol": "TCP", "port": 993, "sslPolicy": None}
TARGETS = {"protocol": "TCP", "port": 993, "targetType": "ip", "vpcId": "vpc-1", "proxyProtocolV2": True}
MANAGED = [
    {"name": name, "overrideAction": {"none": {}}, "statement": {"managedRuleGroupStatement": {"name": name}}}
    for name in rules.MANAGED_RULES
]
RATE = {"name": "rate", "statement": {"rateBasedStatement": {"limit": 2000}}}
COUNTED = {**MANAGED[0], "overrideAction": {"count": {}}}
REDACTED = [{"singleHeader": {"name": "authorization"}}, {"singleHeader": {"name": "cookie"}}]


def balancer(**changes: Any) -> Resource:
    """Return an application balancer."""
    return make(rules.BALANCER[0], BALANCER, **changes)


def listener(**changes: Any) -> Resource:
    """Return an HTTPS listener."""
    return make(rules.LISTENER[0], LISTENER, **changes)


def targets(**changes: Any) -> Resource:
    """Return the targets of a mail port."""
    return make(rules.TARGETS[0], TARGETS, **changes)


def web_acl(*entries: object) -> Resource:
    """Return a web firewall."""
    return make(
        rules.WEB_ACL,
        {"scope": "REGIONAL", "defaultAction": {"allow": {}}, "visibilityConfig": {}, "rules": list(entries)},
    )


def acl_log(fields: object) -> Resource:
    """Return a web firewall's log."""
    return make(rules.WEB_ACL_LOG, {"resourceArn": "a", "logDestinationConfigs": ["b"], "redactedFields": fields})


def accelerator_listener(first: int, last: int) -> Resource:
    """Return a listener of the accelerator."""
    ports = [{"fromPort": first, "toPort": last}]
    return make(
        rules.ACCELERATOR_LISTENER, {"acceleratorArn": "a", "protocol": "TCP", "portRanges": ports}, region=None
    )


EXAMPLES = (
    example("balancer-protected", good=balancer(), bad=balancer(enableDeletionProtection=False)),
    example(
        "balancer-logs",
        good=[balancer(), make(rules.BALANCER[0], NETWORK)],
        bad=[balancer(accessLogs=None), balancer(accessLogs={"enabled": False, "bucket": "logs"})],
    ),
    example(
        "balancer-strict-http",
        good=[balancer(), make(rules.BALANCER[0], NETWORK)],
        bad=[balancer(dropInvalidHeaderFields=False), balancer(desyncMitigationMode="monitor")],
    ),
    example("balancer-fails-closed", good=balancer(), bad=balancer(enableWafFailOpen=True)),
    example(
        "listener-encrypted",
        good=[listener(), make(rules.LISTENER[0], MAIL_LISTENER)],
        bad=[listener(protocol="HTTP", port=80), listener(protocol="UDP", port=443)],
    ),
    example(
        "listener-tls13-post-quantum",
        good=[listener(), make(rules.LISTENER[0], MAIL_LISTENER)],
        bad=[listener(sslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06"), listener(sslPolicy=None)],
    ),
    example(
        "listener-passes-mail-through",
        good=make(rules.LISTENER[0], MAIL_LISTENER),
        bad=make(rules.LISTENER[0], MAIL_LISTENER, protocol="TLS"),
    ),
    example("listener-port-by-flow", good=listener(), bad=[listener(port=8443), listener(port=22)]),
    example(
        "targets-encrypted",
        good=[targets(), targets(protocol="HTTPS", port=443)],
        bad=[targets(protocol="HTTP", port=80), targets(protocol=None)],
    ),
    example(
        "targets-see-client",
        good=[targets(), targets(protocol="HTTPS", proxyProtocolV2=None)],
        bad=[targets(proxyProtocolV2=False), targets(proxyProtocolV2=None)],
    ),
    example(
        "web-firewall-core-rules",
        good=web_acl(*MANAGED, RATE),
        bad=[web_acl(*MANAGED[1:], RATE), web_acl(*MANAGED), web_acl(COUNTED, *MANAGED[1:], RATE), web_acl()],
    ),
    example("web-firewall-log-masked", good=acl_log(REDACTED), bad=[acl_log(REDACTED[:1]), acl_log(None)]),
    example(
        "accelerator-logs",
        good=make(rules.ACCELERATOR, {"attributes": {"flowLogsEnabled": True}}, region=None),
        bad=[make(rules.ACCELERATOR, region=None), make(rules.ACCELERATOR, {"attributes": {}}, region=None)],
    ),
    example(
        "accelerator-ports-by-flow",
        good=accelerator_listener(993, 993),
        bad=[accelerator_listener(5432, 5432), accelerator_listener(1, 65535)],
    ),
)
