"""Examples for rules/stack_detection.py and rules/stack_logging.py."""

import json

from infra.policy.model import Resource
from infra.policy.rules import detection, logging, messaging, storage
from infra.policy.rules import stack_detection as rules
from infra.policy.rules import stack_logging as logs
from infra.policy.rules.stack_network import VPC
from infra.policy.rules.stack_storage import BUCKET_LOGGING, CONFIG_DELIVERY

from .example import Example, example, make, policy

NETWORK = make(VPC, {"cidrBlock": "10.10.0.0/16"})
TRAIL = make(logging.TRAIL, {"s3BucketName": "trail", "isMultiRegionTrail": True})
BUCKET = make(storage.BUCKET, {"bucket": "trail"})
LOCK = make(storage.OBJECT_LOCK, {"bucket": "trail"})
LOGGED = make(BUCKET_LOGGING, {"bucket": "trail", "targetBucket": "logs", "targetPrefix": "t/"})
RECORDER = make(logging.RECORDER, {"roleArn": "r"})
STARTED = make(logging.RECORDER_STATUS, {"isEnabled": True})
DELIVERS = make(CONFIG_DELIVERY, {"s3BucketName": "config"})
DETECTOR = make(detection.DETECTOR, {"id": "d-1"})
HUB = make(detection.SECURITY_HUB)
TOPIC = make(messaging.TOPIC, {"arn": "arn:topic"})
QUEUE = make(messaging.QUEUE, {"url": "https://queue"})
ORGANIZATION = make(detection.ORGANIZATION, region=None)
CONTACT = {"emailAddress": "security@acme.example", "name": "On call", "phoneNumber": "+49", "title": "SOC"}
FINDINGS = make(rules.EVENT_RULE, {"name": "findings", "eventPattern": json.dumps({"source": ["aws.guardduty"]})})
BILLS = make(rules.EVENT_RULE, {"name": "findings", "eventPattern": json.dumps({"source": ["aws.billing"]})})
TARGET = make(rules.EVENT_TARGET, {"rule": "findings", "arn": "arn:queue"})


def enabled(token: str, **values: object) -> Resource:
    """Return a service's resource in the region of the network, or in another."""
    return make(token, values)


def watching(left_out: str = "") -> list[Resource]:
    """Return a filter and an alarm for all that the CIS benchmark names but one."""
    found = []
    for number, words in logs.WATCHED.items():
        if number != left_out:
            metric = {"name": f"m{number}", "namespace": "CIS", "value": "1"}
            pattern = "{ " + " || ".join(words) + " }"
            values = {"logGroupName": "trail", "pattern": pattern, "metricTransformation": metric}
            alarm = {"comparisonOperator": "GreaterThanThreshold", "evaluationPeriods": 1, "metricName": f"m{number}"}
            found += [make(logs.METRIC_FILTER, values), make(logging.ALARM, alarm)]
    return found


def features(*names: str) -> list[Resource]:
    """Return features of the detector."""
    return [make(detection.DETECTOR_FEATURE, {"detectorId": "d-1", "name": n, "status": "ENABLED"}) for n in names]


def standards(*names: str) -> list[Resource]:
    """Return subscriptions of standards."""
    return [make(rules.STANDARD, {"standardsArn": f"arn:aws:securityhub:::standards/{n}/v/1"}) for n in names]


def watched_region(rule: str, token: str, **values: object) -> Example:
    """Return the example of a rule that wants a service in each region with a network."""
    elsewhere = make(token, values, region="eu-west-1")
    return example(rule, good=[[NETWORK, enabled(token, **values)]], bad=[NETWORK, [NETWORK, elsewhere]])


EXAMPLES = (
    watched_region("region-has-detector", detection.DETECTOR),
    watched_region("region-has-recorder", logging.RECORDER, roleArn="r"),
    watched_region("region-has-security-hub", detection.SECURITY_HUB),
    watched_region("region-has-inspector", detection.INSPECTOR, accountIds=["1"], resourceTypes=["EC2"]),
    example(
        "region-has-analyzer",
        good=[[NETWORK, enabled(rules.ANALYZER, analyzerName="a", type="ACCOUNT")]],
        bad=[NETWORK, [NETWORK, enabled(rules.ANALYZER, analyzerName="a", type="ACCOUNT_UNUSED_ACCESS")]],
    ),
    example(
        "account-has-trail",
        good=[[NETWORK, TRAIL]],
        bad=[NETWORK, [NETWORK, make(logging.TRAIL, {"s3BucketName": "trail"})]],
    ),
    example(
        "recorder-delivers",
        good=[[RECORDER, STARTED, DELIVERS]],
        bad=[RECORDER, [RECORDER, STARTED], [RECORDER, DELIVERS]],
    ),
    example(
        "trail-bucket-guarded",
        good=[[TRAIL, BUCKET, LOCK, LOGGED]],
        bad=[[TRAIL, BUCKET, LOCK], [TRAIL, BUCKET, LOGGED]],
    ),
    example(
        "trail-watched",
        good=[[TRAIL, *watching()]],
        bad=[TRAIL, *([TRAIL, *watching(left_out=n)] for n in logs.WATCHED), [TRAIL, *watching()[::2]]],
    ),
    example(
        "detector-features",
        good=[[DETECTOR, *features(*rules.FEATURES)]],
        bad=[DETECTOR, [DETECTOR, *features(rules.FEATURES[0])]],
    ),
    example(
        "findings-reach-somebody",
        good=[[DETECTOR, FINDINGS, TARGET]],
        bad=[DETECTOR, [DETECTOR, FINDINGS], [DETECTOR, BILLS, TARGET]],
    ),
    example(
        "security-hub-standards",
        good=[[HUB, *standards(*rules.STANDARDS)]],
        bad=[HUB, [HUB, *standards(rules.STANDARDS[0])]],
    ),
    example(
        "channel-has-policy",
        good=[
            [TOPIC, make(messaging.TOPIC_POLICY, {"arn": "arn:topic", "policy": policy()})],
            [QUEUE, make(messaging.QUEUE_POLICY, {"queueUrl": "https://queue", "policy": policy()})],
        ],
        bad=[TOPIC, QUEUE, [QUEUE, make(messaging.QUEUE_POLICY, {"queueUrl": "https://q", "policy": policy()})]],
    ),
    example(
        "organization-security-contact",
        good=[[ORGANIZATION, make(rules.CONTACT, {**CONTACT, "alternateContactType": "SECURITY"}, region=None)]],
        bad=[
            ORGANIZATION,
            [ORGANIZATION, make(rules.CONTACT, {**CONTACT, "alternateContactType": "BILLING"}, region=None)],
        ],
    ),
)
