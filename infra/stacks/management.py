"""The management account: the organisation, its guardrails, its budget. No mail passes here."""

import pulumi

from onedallmail.platform.accounts import ManagementConfig

from components.account_defaults import AccountDefaults, AlternateContacts
from components.account_roles import AccountRoles
from components.budgets import CostAnomalies, MonthlyBudget
from components.context import Scope
from components.organization import DetectionAdministrator, GuardedOrganization


def deploy(config: ManagementConfig) -> None:
    """Register the stack's resources and export what other stacks and runbooks read."""
    scope = Scope.of(config)
    organization = GuardedOrganization("organization", scope=scope, regions=config.regions, accounts=config.accounts)
    DetectionAdministrator(
        "detection",
        regions=config.regions,
        account_id=organization.account_ids[config.audit_account],
        organization=organization,
    )
    MonthlyBudget("budget", scope=scope, amount_usd=config.monthly_budget_usd, emails=config.alert_emails)
    CostAnomalies("costs", scope=scope, threshold_usd=config.anomaly_threshold_usd, emails=config.alert_emails)
    AccountDefaults("account", contacts=config.contacts)
    for account, account_id in organization.account_ids.items():
        AlternateContacts(f"contacts-{account}", contacts=config.contacts, account_id=account_id)
    AccountRoles("people", scope=scope)

    pulumi.export("stack", config.stack)
    pulumi.export("target", config.target)
    pulumi.export("organizationId", organization.organization_id)
    pulumi.export("accountIds", organization.account_ids)
    pulumi.export("unitIds", organization.unit_ids)
