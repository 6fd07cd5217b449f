"""The audit account: the archive of logs, and detection for the whole organisation or for itself."""

import pulumi

from onedallmail.platform.accounts import AuditConfig
from onedallmail.platform.naming import DataClass

from components.account_defaults import AccountDefaults, RegionDefaults
from components.account_roles import AccountRoles
from components.aggregation import ConfigAggregator, FindingAggregator, MemberDetection
from components.alarms import CisAlarms
from components.boundary import PermissionBoundaries
from components.config_recorder import ConfigArchive
from components.context import Scope
from components.detection import DetectionSettings, RegionDetection
from components.events import SecurityEvents
from components.keys import KeySet
from components.log_store import LogStore
from components.replication import BucketReplication
from components.trail import AuditTrail

DAYS_A_YEAR = 365


def deploy(config: AuditConfig) -> None:
    """Register the stack's resources and export what other stacks read."""
    scope = Scope.of(config)
    home, regions = config.regions[0], config.regions
    held = list(dict.fromkeys((*regions, config.archive_region)))
    owners = (config.management_account_id,) if config.management_account_id else ()
    sources = tuple(dict.fromkeys((*owners, *config.source_accounts)))
    keys = KeySet("keys", scope=scope, regions=held, administrators=config.key_administrators, user_accounts=sources)
    logs = {
        region: LogStore(
            f"logs-{region}",
            scope=scope,
            region=region,
            keys=keys,
            retention_days=config.archive_years * DAYS_A_YEAR,
            accounts=sources,
            organization_id=config.organization_id,
        )
        for region in held
    }
    for region in held:
        if region != config.archive_region:
            BucketReplication(
                f"copies-{region}",
                scope=scope,
                region=region,
                purpose="logs",
                source=logs[region].bucket,
                destination=logs[config.archive_region].bucket,
            )
    events = {
        region: SecurityEvents(f"events-{region}", scope=scope, region=region, keys=keys, emails=config.alert_emails)
        for region in regions
    }
    trail = AuditTrail(
        "trail",
        scope=scope,
        region=home,
        keys=keys,
        logs=logs[home],
        retention_days=config.log_retention_days,
        management_account_id=config.management_account_id,
    )
    CisAlarms("alarms", scope=scope, region=home, log_group_name=trail.log_group_name, topic_arn=events[home].topic_arn)
    recorded = ConfigArchive("config", scope=scope, region=home, keys=keys, logs=logs[home])
    settings = DetectionSettings(detective=config.detective, organization=config.organization_id is not None)
    detection = {
        region: RegionDetection(
            f"detection-{region}",
            scope=scope,
            region=region,
            home=region == home,
            keys=keys,
            logs=logs[region],
            config=recorded,
            settings=settings,
        )
        for region in regions
    }
    ConfigAggregator("aggregator", scope=scope, region=home, regions=regions, organization_id=config.organization_id)
    FindingAggregator("findings", home=home, detection=detection)
    if config.organization_id:
        for region, found in detection.items():
            MemberDetection(f"members-{region}", region=region, detection=found)
    AccountDefaults("account", contacts=config.contacts)
    AccountRoles("people", scope=scope)
    boundaries = PermissionBoundaries("boundaries", scope=scope, regions=regions)
    for region in regions:
        RegionDefaults(
            f"defaults-{region}", scope=scope, region=region, volume_key_arn=keys.arn(DataClass.LOGS, region)
        )

    pulumi.export("stack", config.stack)
    pulumi.export("target", config.target)
    pulumi.export("logBuckets", {region: store.bucket_name for region, store in logs.items()})
    pulumi.export("logBucketArns", {region: store.bucket_arn for region, store in logs.items()})
    pulumi.export("accessLogBuckets", {region: store.access_bucket_name for region, store in logs.items()})
    pulumi.export("trailArn", trail.trail_arn)
    pulumi.export("topicArns", {region: event.topic_arn for region, event in events.items()})
    pulumi.export("queueUrls", {region: event.queue_url for region, event in events.items()})
    pulumi.export("deploymentBoundaryArn", boundaries.deployment_arn)
    pulumi.export("operatorBoundaryArn", boundaries.operator_arn)
