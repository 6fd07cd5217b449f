"""The audit stack watches every region, tells people and programs, and keeps what it saw."""

import importlib
import json
import sys
from functools import cache
from typing import Any

import pytest
from moto.events.models import EventPattern

from onedallmail.paths import ROOT

from .account_recording import record_account
from .recording import Registered

sys.path.append(str(ROOT / "infra"))
# infra/ is the program's own folder and no package: its modules are found at run time.
cis: Any = importlib.import_module("components.cis_filters")
patterns: Any = importlib.import_module("components.event_patterns")

REGIONS = ["eu-central-1", "eu-north-1", "eu-west-1"]
HOME = "eu-central-1"


@cache
def audit(organization: bool = True, detective: bool = False) -> list[Registered]:
    changes: dict[str, Any] = {"onedallmail:detective": detective}
    alone = {"onedallmail:organizationId": None, "onedallmail:managementAccountId": None}
    return record_account("example-audit", changes if organization else {**changes, **alone})


def of_type(token: str, **variant: bool) -> list[Registered]:
    return [r for r in audit(**variant) if r.type == f"aws:{token}"]


def regions_of(token: str, **variant: bool) -> list[str]:
    return sorted(r.inputs["region"] for r in of_type(token, **variant))


def statements(resource: Registered) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(resource.inputs["policy"])["Statement"]
    return found


def test_every_regional_resource_names_its_region() -> None:
    glob = ("aws:iam/", "pulumi:", "onedallmail:", "aws:s3/accountPublicAccessBlock")
    bare = [r.name for r in audit() if not r.type.startswith(glob) and not r.inputs.get("region")]
    assert not bare, f"resources without a region would land in the provider's default region: {bare}"


def test_the_trail_sees_all_regions_signs_its_files_and_encrypts_them() -> None:
    (trail,) = of_type("cloudtrail/trail:Trail")
    for switch in ("isMultiRegionTrail", "enableLogFileValidation", "includeGlobalServiceEvents", "enableLogging"):
        assert trail.inputs[switch] is True, switch
    assert trail.inputs["kmsKeyId"].startswith("arn:")
    assert trail.inputs["cloudWatchLogsGroupArn"].endswith(":*"), "CloudTrail takes the ARN of the group's streams"


def test_the_trail_records_management_calls_and_all_reads_and_writes_of_objects() -> None:
    (trail,) = of_type("cloudtrail/trail:Trail")
    (selector,) = trail.inputs["eventSelectors"]
    assert (selector["includeManagementEvents"], selector["readWriteType"]) == (True, "All")
    assert selector["dataResources"] == [{"type": "AWS::S3::Object", "values": ["arn:aws:s3"]}], "all buckets"


@pytest.mark.parametrize("organization", [True, False])
def test_the_trail_and_the_analysers_cover_the_organisation_only_where_there_is_one(organization: bool) -> None:
    (trail,) = of_type("cloudtrail/trail:Trail", organization=organization)
    assert trail.inputs["isOrganizationTrail"] is organization
    kinds = {a.inputs["type"] for a in of_type("accessanalyzer/analyzer:Analyzer", organization=organization)}
    assert kinds == {"ORGANIZATION" if organization else "ACCOUNT"}
    members = of_type("guardduty/organizationConfiguration:OrganizationConfiguration", organization=organization)
    assert bool(members) is organization


def test_only_the_trail_s_own_service_may_assume_its_role_and_only_for_that_trail() -> None:
    (role,) = (r for r in of_type("iam/role:Role") if r.name == "detection-trail")
    (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert statement["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
    source = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert source == f"arn:aws:cloudtrail:{HOME}:111111111111:trail/onedallmail-example-audit-trail", (
        "the management account owns the organisation's trail"
    )


@pytest.mark.parametrize(
    "service",
    [
        "accessanalyzer/analyzer:Analyzer",
        "cfg/recorderStatus:RecorderStatus",
        "cfg/deliveryChannel:DeliveryChannel",
        "guardduty/detector:Detector",
        "guardduty/publishingDestination:PublishingDestination",
        "inspector2/enabler:Enabler",
        "macie2/account:Account",
        "macie2/classificationExportConfiguration:ClassificationExportConfiguration",
        "securityhub/account:Account",
        "sns/topic:Topic",
        "ebs/encryptionByDefault:EncryptionByDefault",
        "ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess",
        "ec2/instanceMetadataDefaults:InstanceMetadataDefaults",
    ],
)
def test_each_region_is_watched_by_each_service(service: str) -> None:
    assert regions_of(service) == REGIONS


def test_global_resources_are_recorded_in_one_region() -> None:
    recorders = of_type("cfg/recorder:Recorder")
    assert all(r.inputs["recordingGroup"]["allSupported"] for r in recorders)
    recorded = [r.inputs["region"] for r in recorders if r.inputs["recordingGroup"]["includeGlobalResourceTypes"]]
    assert recorded == [HOME], "each copy would be paid and judged again"


def test_guardduty_has_all_its_protections_in_each_region() -> None:
    wanted = {
        "S3_DATA_EVENTS",
        "EKS_AUDIT_LOGS",
        "EBS_MALWARE_PROTECTION",
        "RDS_LOGIN_EVENTS",
        "LAMBDA_NETWORK_LOGS",
        "RUNTIME_MONITORING",
    }
    features = of_type("guardduty/detectorFeature:DetectorFeature")
    for region in REGIONS:
        on = {f.inputs["name"] for f in features if f.inputs["region"] == region and f.inputs["status"] == "ENABLED"}
        assert on == wanted, region


def test_security_hub_judges_by_aws_best_practices_and_by_cis_in_each_region() -> None:
    arns = {s.inputs["standardsArn"] for s in of_type("securityhub/standardsSubscription:StandardsSubscription")}
    for region in REGIONS:
        standard = f"arn:aws:securityhub:{region}::standards"
        assert f"{standard}/aws-foundational-security-best-practices/v/1.0.0" in arns
        assert f"{standard}/cis-aws-foundations-benchmark/v/3.0.0" in arns


def test_findings_of_all_regions_meet_in_the_first() -> None:
    (aggregator,) = of_type("securityhub/findingAggregator:FindingAggregator")
    assert aggregator.inputs["region"] == HOME
    assert sorted([HOME, *aggregator.inputs["specifiedRegions"]]) == REGIONS


@pytest.mark.parametrize("detective", [True, False])
def test_detective_is_there_only_if_it_is_wanted(detective: bool) -> None:
    assert regions_of("detective/graph:Graph", detective=detective) == (REGIONS if detective else [])


def test_each_cis_number_from_4_1_to_4_15_has_a_filter_and_an_alarm_that_reaches_the_topic() -> None:
    assert [f.control for f in cis.CIS_FILTERS] == [f"4.{n}" for n in range(1, 16)]
    (topic,) = (t for t in of_type("sns/topic:Topic") if t.inputs["region"] == HOME)
    alarms = {a.inputs["metricName"]: a for a in of_type("cloudwatch/metricAlarm:MetricAlarm")}
    filters = of_type("cloudwatch/logMetricFilter:LogMetricFilter")
    assert len(filters) == len(cis.TRAIL_FILTERS)
    for made in filters:
        metric = made.inputs["metricTransformation"]
        alarm = alarms[metric["name"]].inputs
        assert alarm["namespace"] == metric["namespace"], "the alarm looks at another metric"
        assert alarm["alarmActions"] == [f"arn:aws:mock:{HOME}:222222222222:{topic.name}"]
        assert (alarm["threshold"], alarm["evaluationPeriods"]) == (1, 1), "one event is enough"


def test_filter_patterns_fit_into_cloudwatch_and_none_counts_an_event_twice() -> None:
    for found in cis.TRAIL_FILTERS:
        assert len(found.pattern) <= cis.MAX_PATTERN_LENGTH, found.name
        assert found.pattern.count("(") == found.pattern.count(")"), found.name
    names = [f.name for f in cis.TRAIL_FILTERS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("token", ["sns/topicPolicy:TopicPolicy", "sqs/queuePolicy:QueuePolicy"])
def test_topics_and_queues_take_events_of_this_account_only_and_over_tls_only(token: str) -> None:
    made = of_type(token)
    assert made, "no policy recorded"
    for policy in made:
        allowed = [s for s in statements(policy) if s["Effect"] == "Allow"]
        assert all(set(s["Principal"]) == {"Service"} for s in allowed), "nobody but AWS services"
        assert all("222222222222" in json.dumps(s["Condition"]) for s in allowed), (
            "a service acts for anybody's account"
        )
        denied = [s for s in statements(policy) if s["Effect"] == "Deny"]
        assert [s["Condition"] for s in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_topics_queues_and_log_groups_are_encrypted_with_the_account_s_keys() -> None:
    for token, key in (
        ("sns/topic:Topic", "kmsMasterKeyId"),
        ("sqs/queue:Queue", "kmsMasterKeyId"),
        ("cloudwatch/logGroup:LogGroup", "kmsKeyId"),
    ):
        made = of_type(token)
        assert made, token
        assert all(r.inputs[key].startswith("arn:") for r in made), token


def test_each_rule_reaches_people_and_programs_and_loses_nothing() -> None:
    targets = of_type("cloudwatch/eventTarget:EventTarget")
    for rule in of_type("cloudwatch/eventRule:EventRule"):
        own = [
            t.inputs
            for t in targets
            if (t.inputs["rule"], t.inputs["region"]) == (rule.inputs["name"], rule.inputs["region"])
        ]
        assert sorted(t["targetId"] for t in own) == ["queue", "topic"], rule.name
        assert all(t["deadLetterConfig"]["arn"] for t in own), rule.name


def test_every_address_is_subscribed_in_every_region() -> None:
    made = of_type("sns/topicSubscription:TopicSubscription")
    assert sorted((s.inputs["region"], s.inputs["endpoint"]) for s in made) == [
        (region, "security@example.com") for region in REGIONS
    ]


def matching(event: dict[str, Any]) -> list[str]:
    """Return the names of the rules of eu-central-1 that an event matches."""
    whole = {"version": "0", "region": HOME, "account": "222222222222", "resources": [], **event}
    return [
        rule.name
        for rule in patterns.event_rules(HOME)
        if EventPattern.load(json.dumps(rule.pattern)).matches_event(whole)
    ]


def api_call(source: str, name: str, **more: str) -> dict[str, Any]:
    return {
        "source": f"aws.{source}",
        "detail-type": "AWS API Call via CloudTrail",
        "detail": {"eventSource": f"{source}.amazonaws.com", "eventName": name, **more},
    }


def control(region: str, label: str, status: str = "FAILED") -> dict[str, Any]:
    """A finding of Security Hub; EventBridge looks into each of an event's list, the matcher here is given one."""
    finding = {
        "ProductName": "Security Hub",
        "Region": region,
        "RecordState": "ACTIVE",
        "Compliance": {"Status": status},
        "Severity": {"Label": label},
        "Workflow": {"Status": "NEW"},
    }
    kind = "Security Hub Findings - Imported"
    return {"source": "aws.securityhub", "detail-type": kind, "detail": {"findings": finding}}


def guardduty(severity: float) -> dict[str, Any]:
    return {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {"severity": severity}}


@pytest.mark.parametrize(
    ("event", "rules"),
    [
        (control(HOME, "CRITICAL"), ["securityhub"]),
        (control("eu-west-1", "CRITICAL"), []),
        (control(HOME, "LOW"), []),
        (control(HOME, "HIGH", status="PASSED"), []),
        (guardduty(8.0), ["guardduty"]),
        (guardduty(4), ["guardduty"]),
        (guardduty(2.0), []),
        (api_call("kms", "ScheduleKeyDeletion"), ["keys"]),
        (api_call("kms", "ScheduleKeyDeletion", errorCode="AccessDenied"), []),
        (api_call("kms", "Decrypt"), []),
        (api_call("cloudtrail", "StopLogging"), ["trail"]),
        ({"source": "aws.macie", "detail-type": "Macie Finding", "detail": {}}, ["macie"]),
        (
            {
                "source": "aws.signin",
                "detail-type": "AWS Console Sign In via CloudTrail",
                "detail": {"userIdentity": {"type": "Root"}},
            },
            ["root-login"],
        ),
        (
            {
                "source": "aws.signin",
                "detail-type": "AWS Console Sign In via CloudTrail",
                "detail": {"userIdentity": {"type": "AssumedRole"}},
            },
            [],
        ),
        (
            {"source": "aws.backup", "detail-type": "Backup Job State Change", "detail": {"state": "FAILED"}},
            ["backup"],
        ),
        (
            {"source": "aws.backup", "detail-type": "Backup Job State Change", "detail": {"state": "COMPLETED"}},
            [],
        ),
    ],
)
def test_security_operations_hear_of_what_matters_and_of_nothing_else(event: dict[str, Any], rules: list[str]) -> None:
    assert matching(event) == rules
