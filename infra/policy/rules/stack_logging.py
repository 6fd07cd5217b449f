"""Logs as a whole: calls are kept in a guarded bucket, and the alarms of the CIS benchmark watch them."""

from collections.abc import Iterator

from ..catalogue import stack_rule
from ..model import AnyRule, Resource, Severity, Stack
from ..values import NotEstablished, is_true
from . import logging, storage
from .stack_network import VPC
from .stack_storage import BUCKET_LOGGING, CONFIG_DELIVERY

METRIC_FILTER = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
WATCHED: dict[str, tuple[str, ...]] = {
    "4.1": ("UnauthorizedOperation", "AccessDenied"),
    "4.2": ("ConsoleLogin", "MFAUsed"),
    "4.3": ("Root", "AwsServiceEvent"),
    "4.4": ("PutRolePolicy", "AttachRolePolicy", "CreatePolicyVersion"),
    "4.5": ("StopLogging", "DeleteTrail", "UpdateTrail"),
    "4.6": ("ConsoleLogin", "Failed authentication"),
    "4.7": ("DisableKey", "ScheduleKeyDeletion"),
    "4.8": ("PutBucketPolicy", "DeleteBucketPolicy"),
    "4.9": ("StopConfigurationRecorder", "DeleteDeliveryChannel"),
    "4.10": ("AuthorizeSecurityGroupIngress", "CreateSecurityGroup"),
    "4.11": ("CreateNetworkAcl", "ReplaceNetworkAclEntry"),
    "4.12": ("AttachInternetGateway", "DeleteInternetGateway"),
    "4.13": ("CreateRoute", "ReplaceRoute"),
    "4.14": ("CreateVpc", "DeleteVpc"),
    "4.15": ("organizations.amazonaws.com",),
}
"""Words by which a filter's pattern is known to watch for what CIS AWS 3.0, section 4, names."""


def held_elsewhere(stack: Stack) -> None:
    """Raise when the account's detection is another stack's, whose own run tells."""
    if stack.plan.audit:
        message = f"the stack {stack.plan.audit} holds it; its own run tells"
        raise NotEstablished(message)


@stack_rule(
    "account-has-trail",
    "Calls in the account of every network are kept by a trail",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.15", "soc2:CC7.2", "cis-aws:3.0/3.1"),
    remediation="Add aws.cloudtrail.Trail, multi-region, to this stack or to the audit stack it names",
    applies_to=(VPC,),
)
def account_has_trail(vpc: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, 3.1."""
    del vpc
    if not any(is_true(trail.props.get("isMultiRegionTrail")) for trail in stack.of(logging.TRAIL)):
        held_elsewhere(stack)
        yield "no multi-region trail keeps the account's calls"


@stack_rule(
    "recorder-delivers",
    "A recorder runs and delivers",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.9", "soc2:CC7.1", "cis-aws:3.0/3.3"),
    remediation="Add aws.cfg.DeliveryChannel and aws.cfg.RecorderStatus for the region",
    applies_to=(logging.RECORDER,),
)
def recorder_delivers(recorder: Resource, stack: Stack) -> Iterator[str]:
    """A recorder alone records nothing. Source: CIS AWS 3.0, 3.3."""
    if not stack.in_region(recorder.region, CONFIG_DELIVERY):
        yield "delivers nowhere"
    if not stack.in_region(recorder.region, logging.RECORDER_STATUS):
        yield "was never started"


@stack_rule(
    "trail-bucket-guarded",
    "The bucket of a trail is locked and its accesses are logged",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.15", "iso27001:A.5.28", "iso27001:A.5.33", "soc2:CC7.2", "cis-aws:3.0/3.4"),
    remediation="Give the bucket Object Lock and aws.s3.BucketLogging",
    applies_to=(logging.TRAIL,),
)
def trail_bucket_guarded(trail: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, 3.4."""
    buckets = stack.named_by(trail, "s3BucketName", storage.BUCKET)
    if not buckets:
        message = "its bucket belongs to another stack or is not known yet"
        raise NotEstablished(message)
    for bucket in buckets:
        if not stack.naming(bucket, storage.OBJECT_LOCK, by="bucket"):
            yield f"{bucket.name} has no Object Lock"
        if not stack.naming(bucket, BUCKET_LOGGING, by="bucket"):
            yield f"{bucket.name} does not log accesses"


@stack_rule(
    "trail-watched",
    "Alarms watch a trail for the events that the CIS benchmark names",
    severity=Severity.HIGH,
    controls=(
        *("iso27001:A.8.16", "iso27001:A.8.15", "soc2:CC7.2", "soc2:CC7.3"),
        *(f"cis-aws:3.0/{number}" for number in WATCHED),
    ),
    remediation="Add aws.cloudwatch.LogMetricFilter and MetricAlarm for each event",
    applies_to=(logging.TRAIL,),
)
def trail_watched(trail: Resource, stack: Stack) -> Iterator[str]:
    """Source: CIS AWS 3.0, section 4. A filter counts when an alarm looks at its metric."""
    del trail
    alarms = {str(a.props.known("metricName")) for a in stack.of(logging.ALARM)}
    patterns = [
        str(f.props.get("pattern"))
        for f in stack.of(METRIC_FILTER)
        if str(f.props.known("metricTransformation.name")) in alarms
    ]
    for number, words in WATCHED.items():
        if not any(all(word in pattern for word in words) for pattern in patterns):
            yield f"no alarm watches for what CIS {number} names ({', '.join(words)})"


RULES: tuple[AnyRule, ...] = (account_has_trail, recorder_delivers, trail_bucket_guarded, trail_watched)
