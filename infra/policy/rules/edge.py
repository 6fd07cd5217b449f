"""The edge: balancers that end TLS only where they must, a web firewall, and logs of both."""

from collections.abc import Iterator

from onedallmail.platform.flows import Party

from ..catalogue import resource_rule
from ..model import AnyRule, Level, Resource, Severity
from ..values import Props, is_true

BALANCER = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
LISTENER = ("aws:lb/listener:Listener", "aws:alb/listener:Listener")
TARGETS = ("aws:lb/targetGroup:TargetGroup", "aws:alb/targetGroup:TargetGroup")
WEB_ACL = "aws:wafv2/webAcl:WebAcl"
WEB_ACL_LOG = "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration"
ACCELERATOR = "aws:globalaccelerator/accelerator:Accelerator"
ACCELERATOR_LISTENER = "aws:globalaccelerator/listener:Listener"
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09"
"""TLS 1.3 only, with hybrid post-quantum key exchange."""
MANAGED_RULES = (
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesSQLiRuleSet",
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesAnonymousIpList",
)


def is_application(balancer: Resource) -> bool:
    """Tell whether a balancer speaks HTTP; without a type AWS makes one that does."""
    return (balancer.props.get("loadBalancerType") or "application") == "application"


@resource_rule(
    "balancer-protected",
    "A balancer cannot be deleted in passing",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.14", "iso27001:A.8.32", "soc2:CC7.5", "soc2:CC8.1"),
    remediation="Set enable_deletion_protection to true",
    applies_to=BALANCER,
)
def balancer_protected(balancer: Resource) -> Iterator[str]:
    """Its name and addresses are gone with it."""
    if not is_true(balancer.props.get("enableDeletionProtection")):
        yield "can be deleted by one call"


@resource_rule(
    "balancer-logs",
    "An application balancer keeps its access logs",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.15", "soc2:CC7.2"),
    remediation="Set access_logs with enabled and the log bucket",
    applies_to=BALANCER,
)
def balancer_logs(balancer: Resource) -> Iterator[str]:
    """A network balancer logs TLS listeners only, and ours have none; flow logs show its connections."""
    if is_application(balancer) and not is_true(balancer.props.get("accessLogs.enabled")):
        yield "keeps no access logs"


@resource_rule(
    "balancer-strict-http",
    "An application balancer drops requests that are ambiguous",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.26", "iso27001:A.8.20", "soc2:CC6.6"),
    remediation="Set drop_invalid_header_fields, and desync_mitigation_mode to strictest or defensive",
    applies_to=BALANCER,
)
def balancer_strict_http(balancer: Resource) -> Iterator[str]:
    """Request smuggling lives on what two servers read differently (RFC 9112, section 11.2)."""
    if not is_application(balancer):
        return
    if not is_true(balancer.props.get("dropInvalidHeaderFields")):
        yield "forwards invalid header fields"
    if balancer.props.get("desyncMitigationMode") == "monitor":
        yield "only watches ambiguous requests"


@resource_rule(
    "balancer-fails-closed",
    "Nothing passes when the web firewall does not answer",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.26", "iso27001:A.8.20", "soc2:CC6.6"),
    remediation="Leave enable_waf_fail_open off",
    applies_to=BALANCER,
)
def balancer_fails_closed(balancer: Resource) -> Iterator[str]:
    """An attacker who can overload the firewall must gain nothing."""
    if is_true(balancer.props.get("enableWafFailOpen")):
        yield "lets requests pass unseen"


@resource_rule(
    "listener-encrypted",
    "No listener speaks plain HTTP or UDP",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.24", "iso27001:A.5.14", "soc2:CC6.7"),
    remediation="Use HTTPS for the web and TCP for mail; the platform declares no flow on port 80",
    applies_to=LISTENER,
)
def listener_encrypted(listener: Resource) -> Iterator[str]:
    """Not even to redirect: the first request would travel in clear."""
    if (protocol := listener.props.get("protocol")) not in ("HTTPS", "TCP", "TLS"):
        yield f"speaks {protocol}"


@resource_rule(
    "listener-tls13-post-quantum",
    "Where a balancer ends TLS, it is TLS 1.3 with post-quantum key exchange",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.24", "iso27001:A.5.14", "soc2:CC6.7"),
    remediation=f"Set ssl_policy to {TLS_POLICY}",
    applies_to=LISTENER,
)
def listener_tls13(listener: Resource) -> Iterator[str]:
    """Source: Elastic Load Balancing, security policies."""
    policy = listener.props.get("sslPolicy")
    if listener.props.get("protocol") in ("HTTPS", "TLS") and policy != TLS_POLICY:
        yield f"its policy is {policy or 'the default of AWS'}"


@resource_rule(
    "listener-passes-mail-through",
    "No balancer ends the TLS of mail",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.24", "iso27001:A.8.27", "soc2:CC6.7"),
    remediation="Use protocol TCP, so that TLS ends on the mail server",
    applies_to=LISTENER,
)
def listener_passes_mail_through(listener: Resource) -> Iterator[str]:
    """Pins and DANE speak of the server's own key; STARTTLS cannot be ended outside at all."""
    if listener.props.get("protocol") == "TLS":
        yield f"ends TLS on port {listener.props.get('port')} at the network balancer"


@resource_rule(
    "listener-port-by-flow",
    "A listener stands on the port of a flow",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "iso27001:A.8.21", "soc2:CC6.6"),
    remediation="Remove the listener, or declare the flow in platform/flows.py",
    applies_to=LISTENER,
)
def listener_port_by_flow(listener: Resource) -> Iterator[str]:
    """The same graph that opens security groups."""
    ports = {f.port.value for f in listener.plan.flows if f.source is not Party.MANAGEMENT}
    if listener.props.get("port") not in ports:
        yield f"no flow of the intent graph has port {listener.props.get('port')}"


@resource_rule(
    "targets-encrypted",
    "A balancer speaks to its targets in TLS, or passes through",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "soc2:CC6.7"),
    remediation="Use HTTPS for web targets and TCP for mail",
    applies_to=TARGETS,
)
def targets_encrypted(group: Resource) -> Iterator[str]:
    """Inside the VPC nothing is trusted either. A group of type lambda has no protocol."""
    if group.props.get("targetType") != "lambda" and group.props.get("protocol") not in ("HTTPS", "TCP", "TLS"):
        yield f"speaks {group.props.get('protocol')} to its targets"


@resource_rule(
    "targets-see-client",
    "Mail servers behind a balancer see who connects",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.15", "iso27001:A.8.20", "soc2:CC7.2"),
    remediation="Set proxy_protocol_v2 to true",
    applies_to=TARGETS,
)
def targets_see_client(group: Resource) -> Iterator[str]:
    """Without the client's address, logs, reputation and rate limits are blind. An ALB behind an NLB needs none."""
    if group.props.get("protocol") != "TCP" or group.props.get("targetType") == "alb":
        return
    if not is_true(group.props.get("proxyProtocolV2")):
        yield "hides the client's address behind the balancer's"


@resource_rule(
    "web-firewall-core-rules",
    "The web firewall has the managed core, inputs, SQL, reputation and anonymity rules, and a rate",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.26", "iso27001:A.8.23", "iso27001:A.5.7", "soc2:CC6.6", "soc2:CC7.2"),
    remediation="Add the managed rule groups and a rate-based rule",
    applies_to=(WEB_ACL,),
)
def web_firewall_core_rules(acl: Resource) -> Iterator[str]:
    """A group whose override counts only does not block and is not counted here."""
    rules = list(acl.props.each("rules"))
    blocking = {str(r.get("statement.managedRuleGroupStatement.name")) for r in rules if not _only_counts(r)}
    for name in MANAGED_RULES:
        if name not in blocking:
            yield f"{name} is missing or only counts"
    if not any(r.get("statement.rateBasedStatement") for r in rules):
        yield "has no rate-based rule"


def _only_counts(rule: Props) -> bool:
    return rule.get("overrideAction.count") is not None


@resource_rule(
    "web-firewall-log-masked",
    "The web firewall's log holds no credentials",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.11", "iso27001:A.5.34", "iso27001:A.8.15", "soc2:CC6.1"),
    remediation="Redact the headers authorization and cookie",
    applies_to=(WEB_ACL_LOG,),
)
def web_firewall_log_masked(log: Resource) -> Iterator[str]:
    """A log with session cookies is a set of keys."""
    masked = {str(field.get("singleHeader.name")).lower() for field in log.props.each("redactedFields")}
    for name in ("authorization", "cookie"):
        if name not in masked:
            yield f"keeps the header {name}"


@resource_rule(
    "accelerator-logs",
    "The accelerator keeps flow logs",
    severity=Severity.MEDIUM,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.15", "soc2:CC7.2"),
    remediation="Set flow_logs_enabled with the log bucket in attributes",
    applies_to=(ACCELERATOR,),
)
def accelerator_logs(accelerator: Resource) -> Iterator[str]:
    """They hold what happens before the region is reached."""
    if not is_true(accelerator.props.get("attributes.flowLogsEnabled")):
        yield "keeps no flow logs"


@resource_rule(
    "accelerator-ports-by-flow",
    "The accelerator takes the ports of flows from the internet",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.20", "iso27001:A.8.21", "soc2:CC6.6"),
    remediation="List single ports that flows from the internet have",
    applies_to=(ACCELERATOR_LISTENER,),
)
def accelerator_ports(listener: Resource) -> Iterator[str]:
    """The same graph that opens security groups."""
    wanted = {f.port.value for f in listener.plan.flows if f.source is Party.INTERNET}
    for ports in listener.props.each("portRanges"):
        low, high = ports.get("fromPort"), ports.get("toPort")
        if low != high or low not in wanted:
            yield f"takes {low}-{high}, which is no flow's port from the internet"


RULES: tuple[AnyRule, ...] = (
    balancer_protected,
    balancer_logs,
    balancer_strict_http,
    balancer_fails_closed,
    listener_encrypted,
    listener_tls13,
    listener_passes_mail_through,
    listener_port_by_flow,
    targets_encrypted,
    targets_see_client,
    web_firewall_core_rules,
    web_firewall_log_masked,
    accelerator_logs,
    accelerator_ports,
)
