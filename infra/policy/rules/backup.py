"""Backups: in a vault that nobody can empty, in another region as well, kept long enough."""

from collections.abc import Iterator

from ..catalogue import resource_rule
from ..model import AnyRule, Resource, Severity
from ..values import is_true

VAULT = "aws:backup/vault:Vault"
LOCK = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
PLAN = "aws:backup/plan:Plan"
SHORTEST_RETENTION_DAYS = 35
ARN_REGION = 3
"""Place of the region among the parts of an ARN."""


@resource_rule(
    "vault-customer-key",
    "A backup vault is encrypted under a customer managed key",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.13", "iso27001:A.8.24", "soc2:CC6.1", "soc2:CC7.5"),
    remediation="Set kms_key_arn to the key for backups",
    applies_to=(VAULT,),
)
def vault_customer_key(vault: Resource) -> Iterator[str]:
    """A copy to another account needs a key that can be shared with it."""
    if not vault.props.get("kmsKeyArn"):
        yield "is encrypted under AWS's own key"


@resource_rule(
    "vault-not-emptied",
    "No vault is emptied by the deletion of its resource",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.13", "soc2:CC7.5"),
    remediation="Set force_destroy to false",
    applies_to=(VAULT,),
)
def vault_not_emptied(vault: Resource) -> Iterator[str]:
    """Backups outlive the stack that made them."""
    if is_true(vault.props.get("forceDestroy")):
        yield "loses all its recovery points with the resource"


@resource_rule(
    "vault-lock-compliance",
    "A vault's lock cannot be taken off again and keeps for a month",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.13", "iso27001:A.5.33", "soc2:CC7.5", "soc2:CC9.1"),
    remediation=f"Set changeable_for_days, and min_retention_days to {SHORTEST_RETENTION_DAYS} or more",
    applies_to=(LOCK,),
)
def vault_lock_compliance(lock: Resource) -> Iterator[str]:
    """Source: AWS Backup, vault lock: only changeable_for_days makes it a lock in compliance mode."""
    if lock.props.get("changeableForDays") is None:
        yield "can be taken off by whoever may (governance mode)"
    if (lock.props.get("minRetentionDays") or 0) < SHORTEST_RETENTION_DAYS:
        yield f"lets recovery points go before {SHORTEST_RETENTION_DAYS} days"


@resource_rule(
    "backup-copied-elsewhere",
    "Every backup is copied to another region",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.13", "iso27001:A.8.14", "iso27001:A.5.30", "soc2:CC7.5", "soc2:CC9.1"),
    remediation="Give each rule a copy action to a vault of another region",
    applies_to=(PLAN,),
)
def backup_copied(plan: Resource) -> Iterator[str]:
    """A region is the largest thing that fails at once."""
    for rule in plan.props.each("rules"):
        targets = [action.get("destinationVaultArn") for action in rule.each("copyActions")]
        regions = {str(arn).split(":")[ARN_REGION] for arn in targets if str(arn).count(":") > ARN_REGION}
        if not regions - {plan.region}:
            yield f"rule {rule.get('ruleName')} stays in {plan.region or 'one region'}"


@resource_rule(
    "backup-kept-a-month",
    "Backups and their copies are kept for a month or longer",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.13", "iso27001:A.5.33", "soc2:CC7.5"),
    remediation=f"Set delete_after to {SHORTEST_RETENTION_DAYS} days or more in rules and copy actions",
    applies_to=(PLAN,),
)
def backup_kept(plan: Resource) -> Iterator[str]:
    """An intrusion is often found after weeks. Without a lifecycle a recovery point is kept for ever."""
    for rule in plan.props.each("rules"):
        for part in (rule, *rule.each("copyActions")):
            days = part.get("lifecycle.deleteAfter")
            if days is not None and days < SHORTEST_RETENTION_DAYS:
                yield f"rule {rule.get('ruleName')} deletes after {days} days"


RULES: tuple[AnyRule, ...] = (
    vault_customer_key,
    vault_not_emptied,
    vault_lock_compliance,
    backup_copied,
    backup_kept,
)
