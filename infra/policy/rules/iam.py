"""What identities may do: policies with named actions on named resources."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from ..catalogue import resource_rule
from ..documents import Statement, allowed
from ..model import AnyRule, Resource, Severity

POLICIES = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/groupPolicy:GroupPolicy",
    "aws:iam/userPolicy:UserPolicy",
)
READS = ("*:describe*", "*:get*", "*:list*", "*:batchget*", "*:lookup*", "*:search*", "*:view*", "*:check*", "*:query*")
SENSITIVE_READS = (
    "s3:getobject",
    "s3:getobjectversion",
    "secretsmanager:getsecretvalue",
    "secretsmanager:batchgetsecretvalue",
    "ssm:getparameter",
    "ssm:getparameters",
    "ssm:getparametersbypath",
    "ssm:getparameterhistory",
    "dynamodb:getitem",
    "ec2:getpassworddata",
)
"""Reads of content, which a resource of * would open wholly; the other reads are of settings."""
WITHOUT_RESOURCES: dict[str, str] = {
    "ssm:updateinstanceinformation": "Session Manager's agent reports itself",
    "ssmmessages:createcontrolchannel": "Session Manager's channel; it has no resource",
    "ssmmessages:createdatachannel": "Session Manager's channel; it has no resource",
    "ssmmessages:opencontrolchannel": "Session Manager's channel; it has no resource",
    "ssmmessages:opendatachannel": "Session Manager's channel; it has no resource",
    "ec2messages:acknowledgemessage": "the agent's older channel",
    "ec2messages:deletemessage": "the agent's older channel",
    "ec2messages:failmessage": "the agent's older channel",
    "ec2messages:sendreply": "the agent's older channel",
    "ssm:putinventory": "the agent reports what is installed",
    "ssm:putcomplianceitems": "the agent reports patch levels",
    "ssm:putconfigurepackageresult": "the agent reports what it installed",
    "xray:puttracesegments": "traces have no resource",
    "cloudwatch:putmetricdata": "metrics have no resource; narrowed by cloudwatch:namespace where possible",
    "ecr:getauthorizationtoken": "a token for the whole registry",
    "config:put*": "Config's own role writes evaluations, which have no resource",
}
"""Write actions that have no resource-level permission, and why a role of the platform needs them."""


def label(statement: Statement) -> str:
    """Return how a message calls a statement."""
    return f"statement {statement.sid or '(no Sid)'}"


@resource_rule(
    "policy-no-administration",
    "No policy allows every action",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.2", "iso27001:A.5.15", "soc2:CC6.3", "cis-aws:3.0/1.16"),
    remediation="List the actions that the role needs",
    applies_to=POLICIES,
)
def no_administration(policy: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 1.16, made stricter: also on a narrow resource."""
    for statement in allowed(policy.props.document("policy")):
        if any(action.strip("*:") == "" for action in statement.actions):
            yield f"{label(statement)} allows every action"


@resource_rule(
    "policy-no-service-wildcard",
    "No policy allows all actions of a service",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.2", "iso27001:A.8.3", "soc2:CC6.3"),
    remediation="List the actions that the role needs; prefixes such as ec2:Describe* may stay",
    applies_to=POLICIES,
)
def no_service_wildcard(policy: Resource) -> Iterator[str]:
    """A service's new actions would be allowed unread. Boundaries narrow other policies and grant nothing."""
    if _is_boundary(policy):
        return
    for statement in allowed(policy.props.document("policy")):
        for action in statement.actions:
            service, _, name = action.partition(":")
            if name == "*" and service != "*":
                yield f"{label(statement)} allows {action}"


def _is_boundary(policy: Resource) -> bool:
    return "boundar" in f"{policy.name} {policy.props.known('path') or ''}".lower()


@resource_rule(
    "policy-no-negation",
    "No policy allows whatever it does not name",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.2", "iso27001:A.8.3", "soc2:CC6.3"),
    remediation="Name actions and resources instead of NotAction and NotResource; use a Deny for exceptions",
    applies_to=POLICIES,
)
def no_negation(policy: Resource) -> Iterator[str]:
    """Allow with NotAction grows with every new service."""
    if _is_boundary(policy):
        return
    for statement in allowed(policy.props.document("policy")):
        if statement.not_actions:
            yield f"{label(statement)} allows by NotAction"
        if statement.not_resources:
            yield f"{label(statement)} allows by NotResource"


@resource_rule(
    "policy-writes-named-resources",
    "A policy that changes or opens data names the resources, or a condition does",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.3", "iso27001:A.8.2", "soc2:CC6.3", "soc2:CC6.1"),
    remediation="Name the ARNs, or bind the statement by a condition on tags, account or namespace",
    applies_to=POLICIES,
)
def writes_named_resources(policy: Resource) -> Iterator[str]:
    """Settings may be read everywhere; content and changes need a name."""
    if _is_boundary(policy):
        return
    for statement in allowed(policy.props.document("policy")):
        if "*" not in statement.resources or statement.conditions:
            continue
        wide = [a for a in statement.actions if _needs_resource(a.lower())]
        if wide:
            yield f"{label(statement)} allows {', '.join(wide)} on every resource"


def _needs_resource(action: str) -> bool:
    if any(fnmatchcase(name, action) for name in SENSITIVE_READS):
        return True
    if any(fnmatchcase(action, pattern) for pattern in READS):
        return False
    return not any(fnmatchcase(action, pattern) for pattern in WITHOUT_RESOURCES)


@resource_rule(
    "policy-pass-role-bound",
    "A role is passed on by name and to a named service only",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.2", "iso27001:A.5.18", "soc2:CC6.3"),
    remediation="Name the role's ARN and add a condition on iam:PassedToService",
    applies_to=POLICIES,
)
def pass_role_bound(policy: Resource) -> Iterator[str]:
    """Passing any role is becoming any role."""
    if _is_boundary(policy):
        return
    for statement in allowed(policy.props.document("policy")):
        if not statement.may("iam:PassRole"):
            continue
        if any(r in ("*", "arn:aws:iam::*:role/*") for r in statement.resources):
            yield f"{label(statement)} passes any role"
        if not statement.has_condition("iam:passedtoservice"):
            yield f"{label(statement)} passes a role to any service"


RULES: tuple[AnyRule, ...] = (
    no_administration,
    no_service_wildcard,
    no_negation,
    writes_named_resources,
    pass_role_bound,
)
