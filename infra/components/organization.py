"""The organisation: units, accounts, guardrails, and the account that administers detection for all."""

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from onedallmail.platform.accounts import MemberAccount
from onedallmail.platform.naming import ControlScope, DataClass

from components import resource_control
from components.context import Scope
from components.guardrail import Guardrail
from components.region_services import WITHOUT_MACIE
from components.resource_control import own_principals
from components.service_control import guardrails, quarantine

TRUSTED_SERVICES = (
    "access-analyzer.amazonaws.com",
    "account.amazonaws.com",
    "backup.amazonaws.com",
    "cloudtrail.amazonaws.com",
    "config.amazonaws.com",
    "config-multiaccountsetup.amazonaws.com",
    "detective.amazonaws.com",
    "guardduty.amazonaws.com",
    "inspector2.amazonaws.com",
    "macie.amazonaws.com",
    "ram.amazonaws.com",
    "securityhub.amazonaws.com",
    "sso.amazonaws.com",
)
"""Services that may act in member accounts for the organisation.

Central root access and malware scans of members are turned on by hand (docs/runbooks/prepare-organization.md).
"""

DELEGATED_SERVICES = (
    "access-analyzer.amazonaws.com",
    "config-multiaccountsetup.amazonaws.com",
)
"""Services whose administrator the organisation itself names; the others have a call of their own, in each region.

The aggregator of Config is delegated by hand (docs/runbooks/prepare-organization.md).
"""

QUARANTINE = "quarantine"

SERVICE_CONTROL, RESOURCE_CONTROL = "SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"
AI_OPT_OUT = "AISERVICES_OPT_OUT_POLICY"
"""Types of policy: what the organisation's principals may do, what anybody may do to its resources, and whether AWS may
keep and use content for its AI services."""

OPT_OUT = "ai-opt-out"


def opt_out() -> str:
    """Return the policy that no account can soften (Organizations guide, "AI services opt-out policy syntax")."""
    final = {"@@operators_allowed_for_child_policies": ["@@none"]}
    default = {**final, "opt_out_policy": {**final, "@@assign": "optOut"}}
    return json.dumps({"services": {**final, "default": default}})


class GuardedOrganization(pulumi.ComponentResource):
    """The organisation with all its features, its units and accounts, and the policies that hold in all of them."""

    organization_id: pulumi.Output[str]
    account_ids: dict[str, pulumi.Output[str]]
    unit_ids: dict[str, pulumi.Output[str]]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        regions: Sequence[str],
        accounts: Sequence[MemberAccount],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:guardrails:GuardedOrganization", name, None, opts)
        self._name, self._scope = name, scope
        self._child = pulumi.ResourceOptions(parent=self)
        # Ending an organisation throws every account out of its guardrails.
        self._kept = pulumi.ResourceOptions(parent=self, protect=scope.lasting)
        self.organization = aws.organizations.Organization(
            name,
            feature_set="ALL",
            enabled_policy_types=[SERVICE_CONTROL, RESOURCE_CONTROL, AI_OPT_OUT],
            aws_service_access_principals=list(TRUSTED_SERVICES),
            # The list is the whole truth for the provider: it would close what the runbook opens.
            opts=pulumi.ResourceOptions(
                parent=self, protect=scope.lasting, ignore_changes=["awsServiceAccessPrincipals"]
            ),
        )
        self.organization_id = self.organization.id
        root = self.organization.roots[0].id
        units = sorted({*(a.unit for a in accounts), QUARANTINE})
        self.unit_ids = {unit: self._unit(unit, root) for unit in units}
        self.account_ids = {account.name: self._account(account) for account in accounts}
        for guardrail in guardrails(regions):
            self._guard(guardrail, root)
        self._guard(quarantine(), self.unit_ids[QUARANTINE])
        self._attach(OPT_OUT, "No content serves to train services of AWS", AI_OPT_OUT, opt_out(), root)
        perimeter = self.organization_id.apply(lambda id_: own_principals(id_).content)
        self._attach(resource_control.NAME, resource_control.DESCRIPTION, RESOURCE_CONTROL, perimeter, root)
        self.register_outputs({"organizationId": self.organization_id})

    def _unit(self, unit: str, root: pulumi.Output[str]) -> pulumi.Output[str]:
        return aws.organizations.OrganizationalUnit(
            f"{self._name}-{unit}",
            name=unit,
            parent_id=root,
            tags=self._scope.tags(unit, DataClass.NONE, ControlScope.EVIDENCE),
            opts=self._kept,
        ).id

    def _account(self, account: MemberAccount) -> pulumi.Output[str]:
        return aws.organizations.Account(
            f"{self._name}-{account.name}",
            name=account.name,
            email=account.email,
            parent_id=self.unit_ids[account.unit],
            iam_user_access_to_billing="DENY",
            close_on_deletion=False,
            tags=self._scope.tags(account.name, DataClass.NONE, ControlScope.EVIDENCE),
            opts=self._kept,
        ).id

    def _guard(self, guardrail: Guardrail, target: pulumi.Output[str]) -> None:
        self._attach(guardrail.name, guardrail.description, SERVICE_CONTROL, guardrail.content, target)

    def _attach(
        self, policy_name: str, description: str, kind: str, content: pulumi.Input[str], target: pulumi.Output[str]
    ) -> None:
        name, full_name = f"{self._name}-{policy_name}", self._scope.name(policy_name)
        policy = aws.organizations.Policy(
            name,
            name=full_name,
            description=description,
            type=kind,
            content=content,
            tags=self._scope.tags(full_name, DataClass.NONE, ControlScope.EVIDENCE),
            # The type of policy must be on; no argument refers to the organisation.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.organization]),
        )
        aws.organizations.PolicyAttachment(name, policy_id=policy.id, target_id=target, opts=self._kept)


class DetectionAdministrator(pulumi.ComponentResource):
    """Names the account that turns detection on for all accounts and sees all findings, in each region."""

    def __init__(
        self,
        name: str,
        *,
        regions: Sequence[str],
        account_id: pulumi.Output[str],
        organization: GuardedOrganization,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:guardrails:DetectionAdministrator", name, None, opts)
        # Trusted access comes from the organisation; no argument refers to it.
        after = pulumi.ResourceOptions(parent=self, depends_on=[organization.organization])
        for service in DELEGATED_SERVICES:
            aws.organizations.DelegatedAdministrator(
                f"{name}-{service.split('.')[0]}", account_id=account_id, service_principal=service, opts=after
            )
        aws.cloudtrail.OrganizationDelegatedAdminAccount(name, account_id=account_id, opts=after)
        for region in regions:
            regional = f"{name}-{region}"
            aws.guardduty.OrganizationAdminAccount(regional, region=region, admin_account_id=account_id, opts=after)
            aws.securityhub.OrganizationAdminAccount(regional, region=region, admin_account_id=account_id, opts=after)
            aws.inspector2.DelegatedAdminAccount(regional, region=region, account_id=account_id, opts=after)
            if region not in WITHOUT_MACIE:
                aws.macie2.OrganizationAdminAccount(regional, region=region, admin_account_id=account_id, opts=after)
        self.register_outputs({})
