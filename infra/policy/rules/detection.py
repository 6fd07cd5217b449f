"""Detection: detectors are on, look often enough, and at what they should."""

from collections.abc import Iterator

from ..catalogue import resource_rule
from ..model import AnyRule, Level, Resource, Severity

DETECTOR = "aws:guardduty/detector:Detector"
DETECTOR_FEATURE = "aws:guardduty/detectorFeature:DetectorFeature"
SECURITY_HUB = "aws:securityhub/account:Account"
MACIE = "aws:macie2/account:Account"
INSPECTOR = "aws:inspector2/enabler:Enabler"
ORGANIZATION = "aws:organizations/organization:Organization"
INSPECTED = ("EC2",)
POLICIES = ("SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY", "AISERVICES_OPT_OUT_POLICY")


@resource_rule(
    "detector-on",
    "GuardDuty is on and publishes findings every quarter of an hour",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.16", "iso27001:A.8.7", "soc2:CC7.2", "soc2:CC6.8"),
    remediation="Leave enable on and set finding_publishing_frequency to FIFTEEN_MINUTES",
    applies_to=(DETECTOR,),
)
def detector_on(detector: Resource) -> Iterator[str]:
    """Without a frequency, updates of a finding come every six hours."""
    if detector.props.get("enable") is False:
        yield "is off"
    if (frequency := detector.props.get("findingPublishingFrequency")) != "FIFTEEN_MINUTES":
        yield f"publishes {frequency or 'every six hours'}"


@resource_rule(
    "detector-feature-on",
    "A feature of GuardDuty that the stack names is on",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.16", "soc2:CC7.2"),
    remediation="Set the status to ENABLED, or drop the resource and say why",
    applies_to=(DETECTOR_FEATURE,),
)
def detector_feature_on(feature: Resource) -> Iterator[str]:
    """Features exist for buckets, malware, run time and log-ins."""
    if feature.props.get("status") != "ENABLED":
        yield f"{feature.props.get('name')} is {feature.props.get('status')}"


@resource_rule(
    "security-hub-complete",
    "Security Hub takes new checks by itself and shows one finding a problem",
    severity=Severity.LOW,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.8", "iso27001:A.5.36", "soc2:CC7.1", "cis-aws:3.0/4.16"),
    remediation="Leave auto_enable_controls on and set control_finding_generator to SECURITY_CONTROL",
    applies_to=(SECURITY_HUB,),
)
def security_hub_complete(hub: Resource) -> Iterator[str]:
    """One finding for several standards keeps people reading."""
    if hub.props.get("autoEnableControls") is False:
        yield "leaves new checks off"
    if (hub.props.get("controlFindingGenerator") or "SECURITY_CONTROL") != "SECURITY_CONTROL":
        yield "shows a finding for each standard"


@resource_rule(
    "macie-on",
    "Macie is on",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.12", "iso27001:A.5.12", "soc2:CC6.1", "cis-aws:3.0/2.1.3"),
    remediation="Set the status to ENABLED",
    applies_to=(MACIE,),
)
def macie_on(macie: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 2.1.3."""
    if (macie.props.get("status") or "ENABLED") != "ENABLED":
        yield f"is {macie.props.get('status')}"


@resource_rule(
    "inspector-scans-servers",
    "Inspector scans servers for known weaknesses",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.8", "soc2:CC7.1"),
    remediation="Put EC2 among resource_types",
    applies_to=(INSPECTOR,),
)
def inspector_scans_servers(enabler: Resource) -> Iterator[str]:
    """The platform is made of instances."""
    types = enabler.props.texts("resourceTypes")
    for wanted in INSPECTED:
        if wanted not in types:
            yield f"does not scan {wanted}"


@resource_rule(
    "organization-all-features",
    "The organisation can bind its accounts by policies",
    severity=Severity.HIGH,
    controls=("iso27001:A.5.15", "iso27001:A.5.23", "soc2:CC5.2", "soc2:CC6.3"),
    remediation="Set feature_set to ALL and enable the policies of controls and of AI services",
    applies_to=(ORGANIZATION,),
)
def organization_all_features(organization: Resource) -> Iterator[str]:
    """Guardrails are policies that bind principals, and policies that bind resources; billing features know none."""
    if (organization.props.get("featureSet") or "ALL") != "ALL":
        yield "has consolidated billing only"
    enabled = organization.props.texts("enabledPolicyTypes")
    for kind in POLICIES:
        if kind not in enabled:
            yield f"does not enable {kind}"


RULES: tuple[AnyRule, ...] = (
    detector_on,
    detector_feature_on,
    security_hub_complete,
    macie_on,
    inspector_scans_servers,
    organization_all_features,
)
