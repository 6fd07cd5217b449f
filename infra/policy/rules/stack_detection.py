"""Detection as a whole: each region is watched, and what is found reaches somebody."""

from collections.abc import Iterator

from ..catalogue import stack_rule
from ..model import AnyRule, Level, Resource, Severity, Stack
from . import detection, logging, messaging
from .stack_logging import held_elsewhere
from .stack_network import VPC

ANALYZER = "aws:accessanalyzer/analyzer:Analyzer"
STANDARD = "aws:securityhub/standardsSubscription:StandardsSubscription"
CONTACT = "aws:account/alternativeContact:AlternativeContact"
EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
EVENT_TARGET = "aws:cloudwatch/eventTarget:EventTarget"
FEATURES = ("S3_DATA_EVENTS", "EBS_MALWARE_PROTECTION", "RUNTIME_MONITORING")
STANDARDS = ("cis-aws-foundations-benchmark", "aws-foundational-security-best-practices")


def _in_region(vpc: Resource, stack: Stack, *types: str) -> tuple[Resource, ...]:
    found = stack.in_region(vpc.region, *types)
    if not found:
        held_elsewhere(stack)
    return found


@stack_rule(
    "region-has-detector",
    "GuardDuty watches every region with a network",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.16", "iso27001:A.8.7", "soc2:CC7.2", "soc2:CC6.8"),
    remediation="Add aws.guardduty.Detector for the region",
    applies_to=(VPC,),
)
def region_has_detector(vpc: Resource, stack: Stack) -> Iterator[str]:
    """A detector sees its own region only."""
    if not _in_region(vpc, stack, detection.DETECTOR):
        yield f"{vpc.region} has no detector"


@stack_rule(
    "region-has-recorder",
    "Config records every region with a network",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.9", "iso27001:A.5.9", "soc2:CC7.1", "cis-aws:3.0/3.3"),
    remediation="Add aws.cfg.Recorder with its delivery channel and status for the region",
    applies_to=(VPC,),
)
def region_has_recorder(vpc: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, 3.3."""
    if not _in_region(vpc, stack, logging.RECORDER):
        yield f"{vpc.region} has no recorder"


@stack_rule(
    "region-has-security-hub",
    "Security Hub judges every region with a network",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.8", "iso27001:A.5.36", "soc2:CC7.1", "cis-aws:3.0/4.16"),
    remediation="Add aws.securityhub.Account for the region",
    applies_to=(VPC,),
)
def region_has_security_hub(vpc: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, 4.16."""
    if not _in_region(vpc, stack, detection.SECURITY_HUB):
        yield f"{vpc.region} has no Security Hub"


@stack_rule(
    "region-has-analyzer",
    "Access Analyzer looks at every region with a network",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.3", "iso27001:A.5.18", "soc2:CC6.1", "cis-aws:3.0/1.20"),
    remediation="Add aws.accessanalyzer.Analyzer of type ACCOUNT or ORGANIZATION for the region",
    applies_to=(VPC,),
)
def region_has_analyzer(vpc: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, 1.20. Analysers of unused access do not look for strangers."""
    kinds = {str(a.props.get("type") or "ACCOUNT") for a in _in_region(vpc, stack, ANALYZER)}
    if not kinds & {"ACCOUNT", "ORGANIZATION"}:
        yield f"{vpc.region} has no analyser of access from outside"


@stack_rule(
    "region-has-inspector",
    "Inspector scans every region with a network",
    severity=Severity.MEDIUM,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.8", "soc2:CC7.1"),
    remediation="Add aws.inspector2.Enabler for the region",
    applies_to=(VPC,),
)
def region_has_inspector(vpc: Resource, stack: Stack) -> Iterator[str]:
    """It finds packages with known weaknesses on running servers."""
    if not _in_region(vpc, stack, detection.INSPECTOR):
        yield f"{vpc.region} is not scanned"


@stack_rule(
    "detector-features",
    "A detector also looks at buckets, for malware on disks, and at run time",
    severity=Severity.MEDIUM,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.7", "iso27001:A.8.16", "soc2:CC6.8", "soc2:CC7.2"),
    remediation="Add aws.guardduty.DetectorFeature for each",
    applies_to=(detection.DETECTOR,),
)
def detector_features(detector: Resource, stack: Stack) -> Iterator[str]:
    """Names are those of the service."""
    found = {str(f.props.get("name")) for f in stack.naming(detector, detection.DETECTOR_FEATURE, by="detectorId")}
    for name in FEATURES:
        if name not in found:
            yield f"has no {name}"


@stack_rule(
    "findings-reach-somebody",
    "Findings of a detector leave the console",
    severity=Severity.HIGH,
    level=Level.ADVISORY,
    controls=("iso27001:A.8.16", "iso27001:A.5.25", "soc2:CC7.3", "soc2:CC7.4"),
    remediation="Add aws.cloudwatch.EventRule on aws.guardduty with a target in the region",
    applies_to=(detection.DETECTOR,),
)
def findings_reach_somebody(detector: Resource, stack: Stack) -> Iterator[str]:
    """Security operations read queues, not consoles."""
    rules = [
        rule
        for rule in stack.in_region(detector.region, EVENT_RULE)
        if {"aws.guardduty", "aws.securityhub"} & set(_sources(rule))
    ]
    if not any(stack.naming(rule, EVENT_TARGET, by="rule") for rule in rules):
        yield f"no rule of {detector.region} sends its findings anywhere"


def _sources(rule: Resource) -> list[str]:
    found = rule.props.document("eventPattern").get("source", [])
    return [str(source) for source in (found if isinstance(found, list) else [found])]


@stack_rule(
    "security-hub-standards",
    "Security Hub judges by the CIS benchmark and by AWS's own practices",
    severity=Severity.MEDIUM,
    level=Level.ADVISORY,
    controls=("iso27001:A.5.36", "iso27001:A.8.8", "soc2:CC4.1", "soc2:CC7.1"),
    remediation="Add aws.securityhub.StandardsSubscription for both in the region",
    applies_to=(detection.SECURITY_HUB,),
)
def security_hub_standards(hub: Resource, stack: Stack) -> Iterator[str]:
    """Names are parts of the standards' ARNs."""
    subscribed = [str(s.props.get("standardsArn")) for s in stack.in_region(hub.region, STANDARD)]
    for name in STANDARDS:
        if not any(name in arn for arn in subscribed):
            yield f"does not judge by {name}"


@stack_rule(
    "channel-has-policy",
    "Every topic and queue has a policy of its own",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.24", "iso27001:A.8.3", "soc2:CC6.1", "soc2:CC6.7"),
    remediation="Add aws.sns.TopicPolicy or aws.sqs.QueuePolicy that refuses requests without TLS",
    applies_to=(messaging.TOPIC, messaging.QUEUE),
)
def channel_has_policy(channel: Resource, stack: Stack) -> Iterator[str]:
    """What the policy has to say is checked with the policy."""
    found = (
        stack.naming(channel, messaging.TOPIC_POLICY, by="arn")
        if channel.type == messaging.TOPIC
        else stack.naming(channel, messaging.QUEUE_POLICY, by="queueUrl")
    )
    if not found:
        yield "takes requests without TLS: it has no policy"


@stack_rule(
    "organization-security-contact",
    "AWS knows whom to call about security",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.5.5", "iso27001:A.5.24", "soc2:CC7.4", "cis-aws:3.0/1.1", "cis-aws:3.0/1.2"),
    remediation="Add aws.account.AlternativeContact of type SECURITY",
    applies_to=(detection.ORGANIZATION,),
)
def organization_security_contact(organization: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, 1.2."""
    del organization
    if not any(c.props.get("alternateContactType") == "SECURITY" for c in stack.of(CONTACT)):
        yield "no security contact is registered"


RULES: tuple[AnyRule, ...] = (
    region_has_detector,
    region_has_recorder,
    region_has_security_hub,
    region_has_analyzer,
    region_has_inspector,
    detector_features,
    findings_reach_somebody,
    security_hub_standards,
    channel_has_policy,
    organization_security_contact,
)
