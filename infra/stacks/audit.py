"""The audit account: the archive of logs, and detection for the whole organisation or for itself."""

import pulumi

from onedallmail.platform.accounts import AuditConfig
from onedallmail.platform.naming import DataClass
from stacks.log_copies import copy_logs

from components.account_defaults import AccountDefaults, RegionDefaults
from components.account_detection import AccountDetection
from components.account_roles import AccountRoles
from components.boundary import PermissionBoundaries
from components.context import Scope
from components.detection import DetectionSettings
from components.keys import KeySet
from components.log_store import LogStore

DAYS_A_YEAR = 365


def deploy(config: AuditConfig) -> None:
    """Register the stack's resources and export what other stacks read."""
    scope = Scope.of(config)
    held = list(dict.fromkeys((*config.regions, config.archive_region)))
    keys = KeySet(
        "keys",
        scope=scope,
        regions=held,
        administrators=config.key_administrators,
        user_accounts=_senders(config),
    )
    logs = _archives(config, scope, keys, held)
    detection = AccountDetection(
        "detection",
        scope=scope,
        regions=config.regions,
        keys=keys,
        logs=logs,
        retention_days=config.log_retention_days,
        emails=config.alert_emails,
        settings=DetectionSettings(detective=config.detective, management_account_id=config.management_account_id),
        copies=logs[config.archive_region],
    )
    _account(config, scope, keys)
    pulumi.export("stack", config.stack)
    pulumi.export("target", config.target)
    pulumi.export("logBuckets", {region: store.bucket_name for region, store in logs.items()})
    pulumi.export("logBucketArns", {region: store.bucket_arn for region, store in logs.items()})
    pulumi.export("accessLogBuckets", {region: store.access_bucket_name for region, store in logs.items()})
    pulumi.export("logKeyArns", {region: keys.arn(DataClass.LOGS, region) for region in held})
    pulumi.export("trailArn", detection.trail.trail_arn if detection.trail else None)
    pulumi.export("topicArns", {region: events.topic_arn for region, events in detection.events.items()})
    pulumi.export("queueUrls", {region: events.queue_url for region, events in detection.events.items()})


def _senders(config: AuditConfig) -> tuple[str, ...]:
    """Return the accounts that deliver logs here besides this one; the organisation's trail is one such sender."""
    owners = (config.management_account_id,) if config.management_account_id else ()
    return tuple(dict.fromkeys((*owners, *config.source_accounts)))


def _archives(config: AuditConfig, scope: Scope, keys: KeySet, regions: list[str]) -> dict[str, LogStore]:
    """Return the log archive of each region, each with a copy in another one."""
    stores = {
        region: LogStore(
            f"logs-{region}",
            scope=scope,
            region=region,
            keys=keys,
            retention_days=config.archive_years * DAYS_A_YEAR,
            accounts=_senders(config),
            organization_id=config.organization_id,
        )
        for region in regions
    }
    copy_logs(scope, stores, config.archive_region)
    return stores


def _account(config: AuditConfig, scope: Scope, keys: KeySet) -> None:
    """Register what the account does without being told, and who works in it."""
    AccountDefaults("account", contacts=config.contacts)
    AccountRoles("people", scope=scope)
    boundaries = PermissionBoundaries("boundaries", scope=scope, regions=config.regions)
    for region in config.regions:
        RegionDefaults(
            f"defaults-{region}", scope=scope, region=region, volume_key_arn=keys.arn(DataClass.LOGS, region)
        )
    pulumi.export("deploymentBoundaryArn", boundaries.deployment_arn)
    pulumi.export("operatorBoundaryArn", boundaries.operator_arn)
