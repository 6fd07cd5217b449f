"""Who acts: roles that only the meant ones assume, no users, no root credentials."""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from ..catalogue import resource_rule
from ..documents import allowed
from ..model import AnyRule, Level, Resource, Severity
from .iam import label

ROLE = "aws:iam/role:Role"
ATTACHMENTS = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
)
USERS = (
    "aws:iam/user:User",
    "aws:iam/accessKey:AccessKey",
    "aws:iam/userLoginProfile:UserLoginProfile",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/sshKey:SshKey",
)
PASSWORDS = "aws:iam/accountPasswordPolicy:AccountPasswordPolicy"
ROOT_FEATURES = "aws:iam/organizationsFeatures:OrganizationsFeatures"
BROAD_MANAGED = ("*/AdministratorAccess", "*/PowerUserAccess", "*/IAMFullAccess", "*FullAccess", "*/ReadOnlyAccess")
WITHOUT_SOURCE = frozenset(
    {"ec2.amazonaws.com", "spotfleet.amazonaws.com", "shield.amazonaws.com", "globalaccelerator.amazonaws.com"}
)
"""Services that assume a role for the resource it is attached to and send no aws:SourceAccount."""
PASSWORD_LENGTH = 14
PASSWORD_HISTORY = 24
LONGEST_SESSION_S = 4 * 3600


@resource_rule(
    "identities-are-roles",
    "Every identity is a role: there are no IAM users, passwords and access keys",
    severity=Severity.CRITICAL,
    controls=(
        *("iso27001:A.5.16", "iso27001:A.5.17", "iso27001:A.8.5", "soc2:CC6.1", "soc2:CC6.2"),
        *("cis-aws:3.0/1.10", "cis-aws:3.0/1.11", "cis-aws:3.0/1.12", "cis-aws:3.0/1.13"),
        *("cis-aws:3.0/1.14", "cis-aws:3.0/1.15", "cis-aws:3.0/1.21"),
    ),
    remediation="Use roles: servers through instance profiles, people through the organisation's identity provider",
    applies_to=(ROLE, *USERS),
)
def identities_are_roles(identity: Resource) -> Iterator[str]:
    """What does not exist needs no rotation and leaks from no laptop."""
    if identity.type != ROLE:
        yield f"{identity.type.rpartition(':')[2]} makes an identity with credentials that last"


@resource_rule(
    "no-broad-managed-policy",
    "No managed policy that opens a whole service or account is attached",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.2", "iso27001:A.8.3", "soc2:CC6.3", "cis-aws:3.0/1.16", "cis-aws:3.0/1.22"),
    remediation="Attach a policy of the stack's own with the actions that are needed",
    applies_to=ATTACHMENTS,
)
def no_broad_managed_policy(attachment: Resource) -> Iterator[str]:
    """ReadOnlyAccess reads all mail and all secrets' settings of the account."""
    arn = str(attachment.props.get("policyArn") or "")
    if any(fnmatchcase(arn, pattern) for pattern in BROAD_MANAGED):
        yield f"attaches {arn.rpartition('/')[2]}"


@resource_rule(
    "role-policies-apart",
    "A role's policies are resources of their own",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.9", "soc2:CC6.3", "soc2:CC8.1"),
    remediation="Use aws.iam.RolePolicy and RolePolicyAttachment, which the other rules check",
    applies_to=(ROLE,),
)
def role_policies_apart(role: Resource) -> Iterator[str]:
    """Inline policies would pass by the checks of policies."""
    for name in ("inlinePolicies", "managedPolicyArns"):
        if role.props.get(name):
            yield f"sets {name}"


@resource_rule(
    "trust-not-public",
    "No role can be assumed by everybody",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.5.15", "iso27001:A.8.2", "soc2:CC6.1", "soc2:CC6.3"),
    remediation="Name the principal; another organisation's needs sts:ExternalId as well",
    applies_to=(ROLE,),
)
def trust_not_public(role: Resource) -> Iterator[str]:
    """sts:ExternalId is a condition on who asks."""
    for statement in allowed(role.props.document("assumeRolePolicy")):
        if statement.open_to_all and not statement.has_condition("sts:externalid"):
            yield f"{label(statement)} trusts everybody"


@resource_rule(
    "trust-bound-to-account",
    "A service assumes a role for this account's resources only",
    severity=Severity.HIGH,
    controls=("iso27001:A.5.15", "iso27001:A.8.3", "soc2:CC6.1"),
    remediation="Add a condition on aws:SourceAccount or aws:SourceArn to the trust policy",
    applies_to=(ROLE,),
)
def trust_bound_to_account(role: Resource) -> Iterator[str]:
    """Source: IAM user guide, the confused deputy problem."""
    for statement in allowed(role.props.document("assumeRolePolicy")):
        services = {name for kind, name in statement.principals if kind == "Service"} - WITHOUT_SOURCE
        if services and not statement.has_condition("aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid"):
            yield f"{', '.join(sorted(services))} may assume the role on behalf of other accounts"


@resource_rule(
    "role-session-short",
    "A session of a role ends within four hours",
    severity=Severity.LOW,
    controls=("iso27001:A.8.5", "soc2:CC6.1"),
    remediation=f"Set max_session_duration to {LONGEST_SESSION_S} s or less",
    applies_to=(ROLE,),
)
def role_session_short(role: Resource) -> Iterator[str]:
    """Without a duration AWS takes an hour."""
    seconds = role.props.get("maxSessionDuration") or 0
    if seconds > LONGEST_SESSION_S:
        yield f"lasts up to {seconds} s"


@resource_rule(
    "role-has-boundary",
    "A role cannot grow beyond a permission boundary",
    severity=Severity.MEDIUM,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.2", "iso27001:A.5.18", "soc2:CC6.3"),
    remediation="Set permissions_boundary to the stack's boundary policy",
    applies_to=(ROLE,),
)
def role_has_boundary(role: Resource) -> Iterator[str]:
    """Keeps logs, keys and evidence out of reach of a role that somebody widened."""
    if not role.props.get("permissionsBoundary"):
        yield "has no permission boundary"


@resource_rule(
    "passwords-strong",
    "Passwords of the account are long and never come again",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.5.17", "iso27001:A.8.5", "soc2:CC6.1", "cis-aws:3.0/1.8", "cis-aws:3.0/1.9"),
    remediation=f"Ask for {PASSWORD_LENGTH} characters or more and remember {PASSWORD_HISTORY} passwords",
    applies_to=(PASSWORDS,),
)
def passwords_strong(policy: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 1.8 and 1.9."""
    if (policy.props.get("minimumPasswordLength") or 0) < PASSWORD_LENGTH:
        yield f"takes passwords below {PASSWORD_LENGTH} characters"
    if (policy.props.get("passwordReusePrevention") or 0) < PASSWORD_HISTORY:
        yield f"remembers fewer than {PASSWORD_HISTORY} passwords"


@resource_rule(
    "root-credentials-central",
    "Member accounts have no root credentials of their own",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.2", "iso27001:A.5.17", "soc2:CC6.1", "cis-aws:3.0/1.4", "cis-aws:3.0/1.5"),
    remediation="Enable RootCredentialsManagement and RootSessions",
    applies_to=(ROOT_FEATURES,),
)
def root_credentials_central(features: Resource) -> Iterator[str]:
    """Source: IAM user guide, centrally manage root access for member accounts."""
    enabled = features.props.texts("enabledFeatures")
    for name in ("RootCredentialsManagement", "RootSessions"):
        if name not in enabled:
            yield f"{name} is not enabled"


RULES: tuple[AnyRule, ...] = (
    identities_are_roles,
    no_broad_managed_policy,
    role_policies_apart,
    trust_not_public,
    trust_bound_to_account,
    role_session_short,
    role_has_boundary,
    passwords_strong,
    root_credentials_central,
)
