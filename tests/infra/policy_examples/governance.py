"""Examples for rules/governance.py."""

from infra.policy.rules.dns import RECORD
from infra.policy.rules.edge import ACCELERATOR
from infra.policy.rules.keys import KEY
from infra.policy.rules.security_groups import INGRESS
from infra.policy.rules.stack_network import VPC

from .example import TAGS, example, make

WITHOUT_OWNER = {name: value for name, value in TAGS.items() if name != "Owner"}

EXAMPLES = (
    example(
        "region-of-stack",
        good=[
            make(VPC),
            make(KEY, region="us-east-1"),
            make(ACCELERATOR, region=None),
            make("aws:cloudwatch/metricAlarm:MetricAlarm", region="us-west-2"),
        ],
        bad=[make(VPC, region="eu-west-3"), make(VPC, region="us-east-1"), make(KEY, region="us-west-2")],
    ),
    example(
        "region-named",
        good=[make(VPC), make(RECORD, {"zoneId": "z", "name": "n", "type": "A"}, region=None)],
        bad=make(VPC, region=None),
    ),
    example(
        "tags-complete",
        good=[make(VPC, {"tags": TAGS}), make(INGRESS, {"securityGroupId": "s", "ipProtocol": "tcp"})],
        bad=[make(VPC), make(VPC, {"tags": {}}), make(VPC, {"tags": WITHOUT_OWNER})],
    ),
    example(
        "tags-true",
        good=[make(VPC, {"tags": TAGS}), make(VPC)],
        bad=[
            make(VPC, {"tags": {**TAGS, "DataClass": "secret"}}),
            make(VPC, {"tags": {**TAGS, "Stack": "lab"}}),
            make(VPC, {"tags": {**TAGS, "ManagedBy": "hand"}}),
        ],
    ),
)
