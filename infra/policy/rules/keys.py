"""Keys, secrets and certificates: ours, rotated, guarded against deletion, with administrators and users apart."""

from collections.abc import Iterator, Sequence

from ..catalogue import resource_rule
from ..documents import Statement, allowed, allows, callers, statements
from ..model import AnyRule, Resource, Severity
from ..values import is_true

KEY = "aws:kms/key:Key"
REPLICA = "aws:kms/replicaKey:ReplicaKey"
KEY_POLICY = "aws:kms/keyPolicy:KeyPolicy"
SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a resource type
SECRET_POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"  # noqa: S105 - a resource type
CERTIFICATE = "aws:acm/certificate:Certificate"
LONGEST_ROTATION_DAYS = 365
DELETION_WINDOW_DAYS = 30
RECOVERY_WINDOW_DAYS = 7
ADMINISTRATION = (
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:UpdatePrimaryRegion",
)
USE = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:Sign")
STRONG_KEYS = frozenset({None, "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"})
"""Key algorithms of certificates; without one ACM makes RSA 2048."""


def _symmetric(key: Resource) -> bool:
    spec = key.props.get("customerMasterKeySpec") or "SYMMETRIC_DEFAULT"
    return spec == "SYMMETRIC_DEFAULT" and (key.props.get("keyUsage") or "ENCRYPT_DECRYPT") == "ENCRYPT_DECRYPT"


@resource_rule(
    "key-rotates",
    "A symmetric key rotates by itself",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "soc2:CC6.1", "cis-aws:3.0/3.6"),
    remediation="Set enable_key_rotation to true",
    applies_to=(KEY,),
)
def key_rotates(key: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 3.6. KMS rotates neither asymmetric keys nor those of a custom key store."""
    if _symmetric(key) and not key.props.get("customKeyStoreId") and not is_true(key.props.get("enableKeyRotation")):
        yield "does not rotate"


@resource_rule(
    "key-rotates-yearly",
    "A key rotates once a year or oftener",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.24", "soc2:CC6.1"),
    remediation=f"Set rotation_period_in_days to {LONGEST_ROTATION_DAYS} or less",
    applies_to=(KEY,),
)
def key_rotates_yearly(key: Resource) -> Iterator[str]:
    """KMS takes up to 2560 days; without a period it takes 365."""
    days = key.props.get("rotationPeriodInDays") or LONGEST_ROTATION_DAYS
    if days > LONGEST_ROTATION_DAYS:
        yield f"rotates every {days} days"


@resource_rule(
    "key-deletion-waits",
    "The deletion of a key waits as long as KMS allows",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.8.10", "soc2:CC6.5", "soc2:CC7.5"),
    remediation=f"Set deletion_window_in_days to {DELETION_WINDOW_DAYS}",
    applies_to=(KEY, REPLICA),
)
def key_deletion_waits(key: Resource) -> Iterator[str]:
    """Everything under a deleted key is lost; the window is the time to notice."""
    days = key.props.get("deletionWindowInDays") or DELETION_WINDOW_DAYS
    if days < DELETION_WINDOW_DAYS:
        yield f"is gone {days} days after its deletion is asked for"


@resource_rule(
    "key-lockout-checked",
    "KMS checks that a key's policy leaves it manageable",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.24", "soc2:CC6.1"),
    remediation="Leave bypass_policy_lockout_safety_check off",
    applies_to=(KEY, REPLICA, KEY_POLICY),
)
def key_lockout_checked(key: Resource) -> Iterator[str]:
    """A key that nobody may manage can be neither rotated nor deleted."""
    if is_true(key.props.get("bypassPolicyLockoutSafetyCheck")):
        yield "bypasses the check"


@resource_rule(
    "key-policy-not-public",
    "No key policy lets everybody in",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.24", "iso27001:A.8.3", "soc2:CC6.1"),
    remediation="Name the principals, or bind the statement by kms:CallerAccount or aws:PrincipalOrgID",
    applies_to=(KEY, REPLICA, KEY_POLICY),
)
def key_policy_not_public(key: Resource) -> Iterator[str]:
    """Whoever may use a key may read all that lies under it."""
    for statement in allowed(key.props.document("policy")):
        if statement.open_to_all:
            yield f"statement {statement.sid or '(no Sid)'} allows everybody {', '.join(statement.actions)}"


@resource_rule(
    "key-duties-separated",
    "Who administers a key does not use it, and the other way round",
    severity=Severity.HIGH,
    controls=("iso27001:A.5.3", "iso27001:A.8.2", "iso27001:A.8.24", "soc2:CC6.1", "soc2:CC6.3"),
    remediation="Give administrators kms:Put*, Enable*, ..., users kms:Decrypt, GenerateDataKey*, ...; nobody kms:*",
    applies_to=(KEY, REPLICA, KEY_POLICY),
)
def key_duties_separated(key: Resource) -> Iterator[str]:
    """A use that only a service may make for the principal (kms:ViaService, grants) is no use by the principal.

    The account as a principal stands for itself: what its roles may do, their own policies say.
    """
    listed = statements(key.props.document("policy"))
    for who in sorted({name for s in listed if s.allows for name in callers(s)}):
        administers = _allowed_one(listed, who, ADMINISTRATION)
        uses = _allowed_one([s for s in listed if not _by_service(s)], who, USE)
        if administers and uses:
            yield f"{who} may both administer the key ({administers}) and use it ({uses})"


def _by_service(statement: Statement) -> bool:
    return statement.allows and statement.has_condition("kms:viaservice", "kms:grantisforawsresource")


def _allowed_one(listed: Sequence[Statement], who: str, actions: tuple[str, ...]) -> str:
    return next((action for action in actions if allows(listed, who, action)), "")


@resource_rule(
    "secret-customer-key",
    "A secret is encrypted under a customer managed key, in every region it is copied to",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.5.17", "soc2:CC6.1"),
    remediation="Set kms_key_id to the region's key, in the secret and in each replica",
    applies_to=(SECRET,),
)
def secret_customer_key(secret: Resource) -> Iterator[str]:
    """Under AWS's own key, everybody who may read the secret may also decrypt it."""
    if not secret.props.get("kmsKeyId") or "alias/aws/" in str(secret.props.get("kmsKeyId")):
        yield "is encrypted under AWS's own key"
    for replica in secret.props.each("replicas"):
        if not replica.get("kmsKeyId"):
            yield f"its copy in {replica.get('region')} is encrypted under AWS's own key"


@resource_rule(
    "secret-recoverable",
    "A deleted secret can be brought back for a week",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.13", "iso27001:A.5.17", "soc2:CC7.5"),
    remediation=f"Set recovery_window_in_days to {RECOVERY_WINDOW_DAYS} or more",
    applies_to=(SECRET,),
)
def secret_recoverable(secret: Resource) -> Iterator[str]:
    """Without a window given, AWS waits 30 days."""
    days = secret.props.get("recoveryWindowInDays")
    if days is not None and days < RECOVERY_WINDOW_DAYS:
        yield f"is gone {days} days after its deletion"


@resource_rule(
    "secret-policy-not-public",
    "No secret's own policy lets everybody in",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.5.17", "iso27001:A.8.3", "soc2:CC6.1"),
    remediation="Name the principals in the policy",
    applies_to=(SECRET, SECRET_POLICY),
)
def secret_policy_not_public(secret: Resource) -> Iterator[str]:
    """Access is given by the roles' own policies; a resource policy only narrows it."""
    for statement in statements(secret.props.document("policy")):
        if statement.allows and statement.open_to_all:
            yield f"statement {statement.sid or '(no Sid)'} allows everybody {', '.join(statement.actions)}"


@resource_rule(
    "certificate-strong",
    "A certificate has a strong key, is logged publicly and renews by DNS",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.24", "soc2:CC6.7"),
    remediation="Use EC_prime256v1 or RSA_2048 or more, DNS validation, and leave transparency logging on",
    applies_to=(CERTIFICATE,),
)
def certificate_strong(certificate: Resource) -> Iterator[str]:
    """Validation by e-mail does not renew by itself. Source: RFC 9162 for transparency."""
    props = certificate.props
    if props.get("keyAlgorithm") not in STRONG_KEYS:
        yield f"its key is {props.get('keyAlgorithm')}"
    if props.get("privateKey"):
        yield "was imported with its private key in the program"
    elif not props.get("certificateAuthorityArn") and props.get("validationMethod") != "DNS":
        yield "is not validated by DNS, so it does not renew by itself"
    if props.get("options.certificateTransparencyLoggingPreference") == "DISABLED":
        yield "is kept out of the transparency logs"


RULES: tuple[AnyRule, ...] = (
    key_rotates,
    key_rotates_yearly,
    key_deletion_waits,
    key_lockout_checked,
    key_policy_not_public,
    key_duties_separated,
    secret_customer_key,
    secret_recoverable,
    secret_policy_not_public,
    certificate_strong,
)
