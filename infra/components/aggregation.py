"""One view over regions and accounts: the aggregator of Config, of findings, and detection for members."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.context import Scope
from components.detection import GUARDDUTY_FEATURES, RUNTIME_AGENTS, RegionDetection
from components.region_services import WITH_LAMBDA_CODE_SCAN, WITHOUT_MACIE

AGGREGATOR_POLICY = "arn:aws:iam::aws:policy/service-role/AWSConfigRoleForOrganizations"


class ConfigAggregator(pulumi.ComponentResource):
    """What Config recorded, from all regions of this account or from the whole organisation."""

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        regions: Sequence[str],
        organization: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:detection:ConfigAggregator", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        full_name = scope.name("config-aggregator")
        tags = scope.tags(full_name, DataClass.LOGS, ControlScope.EVIDENCE)
        if organization:
            role = aws.iam.Role(
                name,
                name=full_name,
                description="AWS Config reads the list of the organisation's accounts",
                assume_role_policy=pulumi.Output.json_dumps(_trust(scope)),
                tags=tags,
                opts=child,
            )
            attachment = aws.iam.RolePolicyAttachment(name, role=role.name, policy_arn=AGGREGATOR_POLICY, opts=child)
            aggregator = aws.cfg.ConfigurationAggregator(
                name,
                region=region,
                name=full_name,
                organization_aggregation_source={"all_regions": True, "role_arn": role.arn},
                tags=tags,
                # Config lists the accounts when the aggregator is made; no argument refers to the permission.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[attachment]),
            )
        else:
            aggregator = aws.cfg.ConfigurationAggregator(
                name,
                region=region,
                name=full_name,
                account_aggregation_source={"account_ids": [scope.account_id], "regions": list(regions)},
                tags=tags,
                opts=child,
            )
        self.arn = aggregator.arn
        self.register_outputs({"arn": self.arn})


def _trust(scope: Scope) -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "config.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": scope.account_id}},
            }
        ],
    }


class FindingAggregator(pulumi.ComponentResource):
    """Security Hub's findings of all regions, seen in the home region."""

    def __init__(
        self,
        name: str,
        *,
        home: str,
        detection: dict[str, RegionDetection],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:detection:FindingAggregator", name, None, opts)
        linked = [region for region in detection if region != home]
        aws.securityhub.FindingAggregator(
            name,
            region=home,
            linking_mode="SPECIFIED_REGIONS" if linked else "NO_REGIONS",
            specified_regions=linked or None,
            # Security Hub must be on in each linked region; no argument refers to it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[d.hub for d in detection.values() if d.hub]),
        )
        self.register_outputs({})


class MemberDetection(pulumi.ComponentResource):
    """A region of the organisation: accounts, old and new, get the detection that their administrator has.

    Needs the account to be the delegated administrator, which the management stack makes it.
    """

    def __init__(
        self,
        name: str,
        *,
        region: str,
        detection: RegionDetection,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:detection:MemberDetection", name, None, opts)
        self._name, self._region = name, region
        self._child = pulumi.ResourceOptions(parent=self)
        # The administrator's own services must be on before members follow; no argument refers to them.
        self._after = pulumi.ResourceOptions(parent=self, depends_on=[detection])
        if detection.detector_id is not None:
            self._guardduty(detection.detector_id)
        aws.securityhub.OrganizationConfiguration(
            name, region=region, auto_enable=True, auto_enable_standards="DEFAULT", opts=self._after
        )
        aws.inspector2.OrganizationConfiguration(
            name,
            region=region,
            auto_enable={
                "ec2": True,
                "ecr": True,
                "lambda_": True,
                "lambda_code": region in WITH_LAMBDA_CODE_SCAN,
            },
            opts=self._after,
        )
        if region not in WITHOUT_MACIE:
            aws.macie2.OrganizationConfiguration(name, region=region, auto_enable=True, opts=self._after)
        if detection.graph_arn is not None:
            aws.detective.OrganizationConfiguration(
                name, region=region, graph_arn=detection.graph_arn, auto_enable=True, opts=self._child
            )
        self.register_outputs({})

    def _guardduty(self, detector_id: pulumi.Output[str]) -> None:
        organization = aws.guardduty.OrganizationConfiguration(
            self._name,
            region=self._region,
            detector_id=detector_id,
            auto_enable_organization_members="ALL",
            opts=self._child,
        )
        # GuardDuty takes features after the organisation's own setting; no argument refers to it.
        after = pulumi.ResourceOptions(parent=self, depends_on=[organization])
        for feature in GUARDDUTY_FEATURES:
            aws.guardduty.OrganizationConfigurationFeature(
                f"{self._name}-{feature.lower().replace('_', '-')}",
                region=self._region,
                detector_id=detector_id,
                name=feature,
                auto_enable="ALL",
                opts=after,
            )
        aws.guardduty.OrganizationConfigurationFeature(
            f"{self._name}-runtime-monitoring",
            region=self._region,
            detector_id=detector_id,
            name="RUNTIME_MONITORING",
            auto_enable="ALL",
            additional_configurations=[{"name": agent, "auto_enable": "ALL"} for agent in RUNTIME_AGENTS],
            opts=after,
        )
