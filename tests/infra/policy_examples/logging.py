"""Examples for rules/logging.py."""

from typing import Any

from infra.policy.model import Resource
from infra.policy.rules import logging as rules

from .example import KEY, example, make

OBJECTS = {"type": "AWS::S3::Object", "values": ["arn:aws:s3"]}
ALL_OBJECTS = [{"readWriteType": "All", "dataResources": [OBJECTS]}]
WRITES = [{"readWriteType": "WriteOnly", "dataResources": [OBJECTS]}]
ADVANCED = [{"fieldSelectors": [{"field": "resources.type", "equals": ["AWS::S3::Object"]}]}]
READS_ONLY = [{"fieldSelectors": [*ADVANCED[0]["fieldSelectors"], {"field": "readOnly", "equals": ["true"]}]}]
TRAIL = {
    "s3BucketName": "trail",
    "isMultiRegionTrail": True,
    "enableLogFileValidation": True,
    "kmsKeyId": KEY,
    "cloudWatchLogsGroupArn": "arn:aws:logs:eu-central-1:1:log-group:trail:*",
    "eventSelectors": ALL_OBJECTS,
}
GROUP = {"kmsKeyId": KEY, "retentionInDays": 400}
ALARM = {"comparisonOperator": "GreaterThanThreshold", "evaluationPeriods": 1, "alarmActions": ["arn:aws:sns:t"]}


def trail(**changes: Any) -> Resource:
    """Return a trail."""
    return make(rules.TRAIL, TRAIL, **changes)


def recorder(**group: object) -> Resource:
    """Return a recorder with a recording group, when one is given."""
    return make(rules.RECORDER, {"roleArn": "r", "recordingGroup": group or None})


EXAMPLES = (
    example(
        "log-group-customer-key", good=make(rules.LOG_GROUP, GROUP), bad=make(rules.LOG_GROUP, GROUP, kmsKeyId=None)
    ),
    example(
        "log-group-kept-a-year",
        good=make(rules.LOG_GROUP, GROUP),
        bad=[
            make(rules.LOG_GROUP, GROUP, retentionInDays=30),
            make(rules.LOG_GROUP, GROUP, retentionInDays=0),
            make(rules.LOG_GROUP, GROUP, retentionInDays=None),
        ],
    ),
    example(
        "trail-everywhere",
        good=trail(),
        bad=[
            trail(isMultiRegionTrail=None),
            trail(includeGlobalServiceEvents=False),
            trail(enableLogging=False),
        ],
    ),
    example("trail-validated", good=trail(), bad=trail(enableLogFileValidation=None)),
    example("trail-customer-key", good=trail(), bad=trail(kmsKeyId=None)),
    example("trail-to-log-group", good=trail(), bad=trail(cloudWatchLogsGroupArn=None)),
    example(
        "trail-keeps-object-events",
        good=[trail(), trail(eventSelectors=None, advancedEventSelectors=ADVANCED)],
        bad=[
            trail(eventSelectors=None),
            trail(eventSelectors=WRITES),
            trail(eventSelectors=None, advancedEventSelectors=READS_ONLY),
        ],
    ),
    example(
        "recorder-complete",
        good=[recorder(), recorder(allSupported=True, includeGlobalResourceTypes=True)],
        bad=[
            recorder(allSupported=False, resourceTypes=["AWS::EC2::Instance"]),
            recorder(allSupported=True, exclusionByResourceTypes=[{"resourceTypes": ["AWS::IAM::Role"]}]),
        ],
    ),
    example(
        "recorder-on",
        good=make(rules.RECORDER_STATUS, {"isEnabled": True}),
        bad=make(rules.RECORDER_STATUS, {"isEnabled": False}),
    ),
    example(
        "alarm-reaches-somebody",
        good=make(rules.ALARM, ALARM),
        bad=[make(rules.ALARM, ALARM, alarmActions=[]), make(rules.ALARM, ALARM, actionsEnabled=False)],
    ),
)
