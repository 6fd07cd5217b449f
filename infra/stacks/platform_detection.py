"""The platform account's own detection and defaults; an audit stack, if there is one, has the trail."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from onedallmail.platform.naming import DataClass

from components.account_defaults import AccountDefaults, RegionDefaults
from components.account_roles import AccountRoles
from components.aggregation import ConfigAggregator, FindingAggregator
from components.alarms import CisAlarms
from components.budgets import MonthlyBudget
from components.config_recorder import ConfigArchive
from components.context import Context
from components.detection import DetectionSettings, RegionDetection
from components.events import SecurityEvents
from components.keys import Keys
from components.log_store import LogStore
from components.trail import AuditTrail


@dataclass(frozen=True)
class Alerts:
    """Where the platform's security operations listen, by region; empty without detection."""

    topic_arns: Mapping[str, pulumi.Output[str]]
    queue_urls: Mapping[str, pulumi.Output[str]]


def make_alerts(context: Context, keys: Keys) -> Alerts:
    """Register topic, queue and event rules of every region."""
    config = context.platform.config
    if not config.options.detection:
        return Alerts({}, {})
    found = {
        r.name: SecurityEvents(f"events-{r.name}", scope=context, region=r.name, keys=keys, emails=config.alert_emails)
        for r in config.regions
    }
    return Alerts(
        {name: events.topic_arn for name, events in found.items()},
        {name: events.queue_url for name, events in found.items()},
    )


def make_defaults(context: Context, keys: Keys) -> None:
    """Register what the account does without being told, and who may look into it."""
    config = context.platform.config
    AccountDefaults("account")
    AccountRoles("people", scope=context)
    for region in config.regions:
        RegionDefaults(
            f"defaults-{region.name}",
            scope=context,
            region=region.name,
            volume_key_arn=keys.arn(DataClass.MAIL, region.name),
        )
    if config.monthly_budget_usd is not None and config.alert_emails:
        MonthlyBudget("budget", scope=context, amount_usd=config.monthly_budget_usd, emails=config.alert_emails)


def make_detection(context: Context, keys: Keys, logs: Mapping[str, LogStore], alerts: Alerts) -> None:
    """Register the detecting services of every region, and the trail with its alarms."""
    config, home = context.platform.config, context.platform.home
    administered = config.references.audit is not None
    if not administered:
        trail = AuditTrail(
            "trail",
            scope=context,
            region=home,
            keys=keys,
            logs=logs[home],
            retention_days=config.log_retention_days,
        )
        CisAlarms(
            "alarms",
            scope=context,
            region=home,
            log_group_name=trail.log_group_name,
            topic_arn=alerts.topic_arns[home],
        )
    archive = ConfigArchive("config", scope=context, region=home, keys=keys, logs=logs[home])
    settings = DetectionSettings(detective=config.options.detective, administered=administered)
    found = {
        r.name: RegionDetection(
            f"detection-{r.name}",
            scope=context,
            region=r.name,
            home=r.name == home,
            keys=keys,
            logs=logs[r.name],
            config=archive,
            settings=settings,
        )
        for r in config.regions
    }
    if not administered:
        ConfigAggregator("aggregator", scope=context, region=home, regions=list(found))
        FindingAggregator("findings", home=home, detection=found)
