"""The platform account's own detection and defaults; an audit stack, if there is one, has trail and administration."""

from collections.abc import Mapping

import pulumi

from onedallmail.platform.naming import DataClass

from components.account_defaults import AccountDefaults, RegionDefaults
from components.account_detection import AccountDetection
from components.account_roles import AccountRoles
from components.budgets import MonthlyBudget
from components.context import Context
from components.detection import DetectionSettings
from components.keys import Keys
from components.log_store import LogStore


def make_detection(context: Context, keys: Keys, logs: Mapping[str, LogStore]) -> AccountDetection:
    """Register the detecting services of every region, the trail with its alarms, and where they are heard."""
    config = context.platform.config
    return AccountDetection(
        "detection",
        scope=context,
        regions=[r.name for r in config.regions],
        keys=keys,
        logs=logs,
        retention_days=config.log_retention_days,
        emails=config.alert_emails,
        settings=DetectionSettings(
            detective=config.options.detective, administered=config.references.audit is not None
        ),
        copies=logs[context.platform.archive],
    )


def topics(detection: AccountDetection | None) -> dict[str, pulumi.Output[str]]:
    """Return the topic of each region that people listen to; none without detection."""
    return {region: events.topic_arn for region, events in detection.events.items()} if detection else {}


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
