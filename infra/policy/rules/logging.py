"""Logs: everything that changes the account is kept, proven unchanged, encrypted and long enough."""

from collections.abc import Iterator

from ..catalogue import resource_rule
from ..model import AnyRule, Resource, Severity
from ..values import Props, is_true

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
TRAIL = "aws:cloudtrail/trail:Trail"
RECORDER = "aws:cfg/recorder:Recorder"
RECORDER_STATUS = "aws:cfg/recorderStatus:RecorderStatus"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
SHORTEST_RETENTION_DAYS = 365


@resource_rule(
    "log-group-customer-key",
    "A log group is encrypted under a customer managed key",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.8.15", "soc2:CC6.1"),
    remediation="Set kms_key_id to the region's key for logs",
    applies_to=(LOG_GROUP,),
)
def log_group_customer_key(group: Resource) -> Iterator[str]:
    """Logs hold addresses of people and of servers."""
    if not group.props.get("kmsKeyId"):
        yield "is encrypted under AWS's own key"


@resource_rule(
    "log-group-kept-a-year",
    "A log group keeps its lines for a year or longer, and not for ever",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.15", "iso27001:A.5.33", "iso27001:A.8.10", "soc2:CC7.2"),
    remediation=f"Set retention_in_days to {SHORTEST_RETENTION_DAYS} or more",
    applies_to=(LOG_GROUP,),
)
def log_group_kept(group: Resource) -> Iterator[str]:
    """0 or nothing keeps for ever, which personal data must not be (GDPR, Art. 5)."""
    days = group.props.get("retentionInDays") or 0
    if days == 0:
        yield "keeps its lines for ever"
    elif days < SHORTEST_RETENTION_DAYS:
        yield f"keeps its lines for {days} days"


@resource_rule(
    "trail-everywhere",
    "A trail covers all regions and global services, and is on",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.15", "soc2:CC7.2", "cis-aws:3.0/3.1"),
    remediation="Set is_multi_region_trail; leave include_global_service_events and enable_logging on",
    applies_to=(TRAIL,),
)
def trail_everywhere(trail: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 3.1. An attacker works in the region that nobody watches."""
    if not is_true(trail.props.get("isMultiRegionTrail")):
        yield "covers one region only"
    if trail.props.get("includeGlobalServiceEvents") is False:
        yield "leaves out global services such as IAM"
    if trail.props.get("enableLogging") is False:
        yield "is off"


@resource_rule(
    "trail-validated",
    "A trail's files are signed, so that a change shows",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.15", "iso27001:A.5.28", "soc2:CC7.2", "cis-aws:3.0/3.2"),
    remediation="Set enable_log_file_validation to true",
    applies_to=(TRAIL,),
)
def trail_validated(trail: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 3.2."""
    if not is_true(trail.props.get("enableLogFileValidation")):
        yield "signs no digests"


@resource_rule(
    "trail-customer-key",
    "A trail is encrypted under a customer managed key",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.8.15", "soc2:CC6.1", "cis-aws:3.0/3.5"),
    remediation="Set kms_key_id to the key for logs",
    applies_to=(TRAIL,),
)
def trail_customer_key(trail: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 3.5."""
    if not trail.props.get("kmsKeyId"):
        yield "names no key"


@resource_rule(
    "trail-to-log-group",
    "A trail is also sent where alarms watch it",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.16", "soc2:CC7.2"),
    remediation="Set cloud_watch_logs_group_arn and its role",
    applies_to=(TRAIL,),
)
def trail_to_log_group(trail: Resource) -> Iterator[str]:
    """The alarms of CIS AWS 3.0, section 4, are metric filters of this group."""
    if not trail.props.get("cloudWatchLogsGroupArn"):
        yield "is sent to no log group"


@resource_rule(
    "trail-keeps-object-events",
    "A trail keeps reads and writes of objects in buckets",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.15", "soc2:CC7.2", "cis-aws:3.0/3.8", "cis-aws:3.0/3.9"),
    remediation="Select data events of AWS::S3::Object, reads and writes",
    applies_to=(TRAIL,),
)
def trail_keeps_object_events(trail: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 3.8 and 3.9. Evidence and backups are objects."""
    kept = {kind for s in trail.props.each("eventSelectors") for kind in _basic(s)}
    kept |= {kind for s in trail.props.each("advancedEventSelectors") for kind in _advanced(s)}
    for kind in ("writes", "reads"):
        if kind not in kept:
            yield f"keeps no {kind} of objects"


def _basic(selector: Props) -> Iterator[str]:
    if any(r.get("type") == "AWS::S3::Object" for r in selector.each("dataResources")):
        wanted = selector.get("readWriteType") or "All"
        yield from (kind for kind, name in (("writes", "WriteOnly"), ("reads", "ReadOnly")) if wanted in ("All", name))


def _advanced(selector: Props) -> Iterator[str]:
    equals = {str(f.get("field")): f.texts("equals") for f in selector.each("fieldSelectors")}
    if "AWS::S3::Object" in equals.get("resources.type", ()):
        read_only = equals.get("readOnly")
        yield from (
            kind for kind, value in (("writes", "false"), ("reads", "true")) if not read_only or value in read_only
        )


@resource_rule(
    "recorder-complete",
    "Config records every type of resource",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.9", "iso27001:A.5.9", "soc2:CC7.1", "cis-aws:3.0/3.3"),
    remediation="Set all_supported to true and name no types to leave out",
    applies_to=(RECORDER,),
)
def recorder_complete(recorder: Resource) -> Iterator[str]:
    """Source: CIS AWS 3.0, 3.3. Without a group AWS records all supported types."""
    group = recorder.props.get("recordingGroup")
    if group is None:
        return
    if not is_true(recorder.props.get("recordingGroup.allSupported")):
        yield "records some types only"
    if list(recorder.props.each("recordingGroup.exclusionByResourceTypes")):
        yield "leaves types out"


@resource_rule(
    "recorder-on",
    "Config's recorder is running",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.9", "soc2:CC7.1", "cis-aws:3.0/3.3"),
    remediation="Set is_enabled to true",
    applies_to=(RECORDER_STATUS,),
)
def recorder_on(status: Resource) -> Iterator[str]:
    """A recorder is made switched off."""
    if not is_true(status.props.get("isEnabled")):
        yield "is switched off"


@resource_rule(
    "alarm-reaches-somebody",
    "An alarm does something",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.8.16", "iso27001:A.6.8", "soc2:CC7.2", "soc2:CC7.3"),
    remediation="Give alarm_actions a topic or a recovery action, and leave actions_enabled on",
    applies_to=(ALARM,),
)
def alarm_reaches_somebody(alarm: Resource) -> Iterator[str]:
    """An alarm that only turns red is seen the next day."""
    if alarm.props.get("actionsEnabled") is False:
        yield "has its actions switched off"
    if not alarm.props.get("alarmActions"):
        yield "has no action"


RULES: tuple[AnyRule, ...] = (
    log_group_customer_key,
    log_group_kept,
    trail_everywhere,
    trail_validated,
    trail_customer_key,
    trail_to_log_group,
    trail_keeps_object_events,
    recorder_complete,
    recorder_on,
    alarm_reaches_somebody,
)
