"""Detection in a region: Config, GuardDuty, Security Hub, Inspector, Macie, Access Analyzer, Detective if wanted."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.config_recorder import ConfigArchive, ConfigRecorder
from components.config_rules import ConfigRules
from components.context import Scope
from components.keys import Keys
from components.log_store import LogStore
from components.region_services import WITH_LAMBDA_CODE_SCAN, WITHOUT_DETECTIVE, WITHOUT_MACIE

GUARDDUTY_FEATURES = (
    "S3_DATA_EVENTS",
    "EKS_AUDIT_LOGS",
    "EBS_MALWARE_PROTECTION",
    "RDS_LOGIN_EVENTS",
    "LAMBDA_NETWORK_LOGS",
)
"""Protections without settings of their own; those for services that the platform lacks cost nothing until used."""

RUNTIME_AGENTS = ("EC2_AGENT_MANAGEMENT", "ECS_FARGATE_AGENT_MANAGEMENT", "EKS_ADDON_MANAGEMENT")

STANDARDS = (
    "aws-foundational-security-best-practices/v/1.0.0",
    "cis-aws-foundations-benchmark/v/3.0.0",
)

UNUSED_ACCESS_DAYS = 90


@dataclass(frozen=True)
class DetectionSettings:
    """What an operator decides about detection."""

    detective: bool = False
    """A behaviour graph beside the findings."""
    unused_access: bool = False
    """Access Analyzer looks for unused permissions, too (charged by role and user)."""
    management_account_id: str | None = None
    """Stated where the account administers detection for the organisation of that management account."""
    administered: bool = False
    """The organisation's audit account turns on GuardDuty, Security Hub, Inspector, Macie and Detective here."""

    @property
    def organization(self) -> bool:
        """Whether the trail, the analysers and the aggregators cover the organisation."""
        return self.management_account_id is not None


class RegionDetection(pulumi.ComponentResource):
    """Every detecting service of a region, its findings kept in the log archive."""

    detector_id: pulumi.Output[str] | None
    graph_arn: pulumi.Output[str] | None
    hub: aws.securityhub.Account | None

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        home: bool,
        keys: Keys,
        logs: LogStore,
        config: ConfigArchive,
        settings: DetectionSettings,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:detection:RegionDetection", name, None, opts)
        self._name, self._scope, self._region, self._settings = name, scope, region, settings
        self._child = pulumi.ResourceOptions(parent=self)
        self._logs, self._key_arn = logs, keys.arn(DataClass.LOGS, region)
        recorder = ConfigRecorder(name, scope=scope, region=region, home=home, archive=config, opts=self._child)
        ConfigRules(name, scope=scope, region=region, home=home, recorder=recorder.running, opts=self._child)
        self._analyzers(home)
        self.detector_id = self.graph_arn = self.hub = None
        if not settings.administered:
            self.detector_id = self._guardduty()
            self.hub = self._security_hub()
            self._inspector()
            if region not in WITHOUT_MACIE:
                self._macie()
        if settings.detective and not settings.administered and region not in WITHOUT_DETECTIVE:
            self.graph_arn = self._detective()
        self.register_outputs({"detectorId": self.detector_id, "graphArn": self.graph_arn})

    def _tags(self, name: str) -> dict[str, str]:
        return self._scope.tags(name, DataClass.LOGS, ControlScope.EVIDENCE)

    def _analyzers(self, home: bool) -> None:
        kind = "ORGANIZATION" if self._settings.organization else "ACCOUNT"
        external = self._scope.name("external-access")
        aws.accessanalyzer.Analyzer(
            f"{self._name}-external",
            region=self._region,
            analyzer_name=external,
            type=kind,
            tags=self._tags(external),
            opts=self._child,
        )
        if home and self._settings.unused_access:
            unused = self._scope.name("unused-access")
            aws.accessanalyzer.Analyzer(
                f"{self._name}-unused",
                region=self._region,
                analyzer_name=unused,
                type=f"{kind}_UNUSED_ACCESS",
                configuration={"unused_access": {"unused_access_age": UNUSED_ACCESS_DAYS}},
                tags=self._tags(unused),
                opts=self._child,
            )

    def _guardduty(self) -> pulumi.Output[str]:
        detector = aws.guardduty.Detector(
            self._name,
            region=self._region,
            enable=True,
            finding_publishing_frequency="FIFTEEN_MINUTES",
            tags=self._tags(self._scope.name("guardduty")),
            opts=self._child,
        )
        for feature in GUARDDUTY_FEATURES:
            aws.guardduty.DetectorFeature(
                f"{self._name}-{feature.lower().replace('_', '-')}",
                region=self._region,
                detector_id=detector.id,
                name=feature,
                status="ENABLED",
                opts=self._child,
            )
        aws.guardduty.DetectorFeature(
            f"{self._name}-runtime-monitoring",
            region=self._region,
            detector_id=detector.id,
            name="RUNTIME_MONITORING",
            status="ENABLED",
            additional_configurations=[{"name": agent, "status": "ENABLED"} for agent in RUNTIME_AGENTS],
            opts=self._child,
        )
        aws.guardduty.PublishingDestination(
            self._name,
            region=self._region,
            detector_id=detector.id,
            destination_arn=self._logs.bucket_arn,
            kms_key_arn=self._key_arn,
            tags=self._tags(self._scope.name("findings")),
            # GuardDuty tries the destination at once; no argument refers to the policies that allow it.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self._logs.ready]),
        )
        return detector.id

    def _security_hub(self) -> aws.securityhub.Account:
        hub = aws.securityhub.Account(
            self._name,
            region=self._region,
            enable_default_standards=False,
            auto_enable_controls=True,
            control_finding_generator="SECURITY_CONTROL",
            opts=self._child,
        )
        for standard in STANDARDS:
            aws.securityhub.StandardsSubscription(
                f"{self._name}-{standard.split('/')[0]}",
                region=self._region,
                standards_arn=f"arn:aws:securityhub:{self._region}::standards/{standard}",
                # A standard needs Security Hub turned on; no argument refers to it.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[hub]),
            )
        return hub

    def _inspector(self) -> None:
        code = ["LAMBDA_CODE"] if self._region in WITH_LAMBDA_CODE_SCAN else []
        aws.inspector2.Enabler(
            self._name,
            region=self._region,
            account_ids=[self._scope.account_id],
            resource_types=["EC2", "ECR", "LAMBDA", *code],
            opts=self._child,
        )

    def _macie(self) -> None:
        macie = aws.macie2.Account(
            self._name,
            region=self._region,
            status="ENABLED",
            finding_publishing_frequency="FIFTEEN_MINUTES",
            opts=self._child,
        )
        aws.macie2.ClassificationExportConfiguration(
            self._name,
            region=self._region,
            s3_destination={
                "bucket_name": self._logs.bucket_name,
                "key_prefix": "macie",
                "kms_key_arn": self._key_arn,
            },
            # Macie must be on and allowed to write; no argument refers to either.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[macie, *self._logs.ready]),
        )

    def _detective(self) -> pulumi.Output[str]:
        graph = aws.detective.Graph(
            self._name,
            region=self._region,
            tags=self._tags(self._scope.name("detective")),
            opts=self._child,
        )
        return graph.graph_arn
