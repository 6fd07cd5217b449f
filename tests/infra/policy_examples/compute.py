"""Examples for rules/compute.py."""

import base64
import json
from typing import Any

from infra.policy.model import Resource
from infra.policy.rules import compute as rules

from .example import BALANCED, KEY, example, make

TOKENS = {"httpTokens": "required", "httpPutResponseHopLimit": 1}
DISK = {"encrypted": True, "kmsKeyId": KEY}
SERVER = {
    "ami": "ami-1",
    "metadataOptions": TOKENS,
    "rootBlockDevice": DISK,
    "associatePublicIpAddress": False,
    "disableApiTermination": True,
    "iamInstanceProfile": "mail",
    "monitoring": True,
}
TEMPLATED = {"launchTemplate": {"id": "lt-1", "version": "1"}, "iamInstanceProfile": "mail"}
TEMPLATE = {
    "metadataOptions": TOKENS,
    "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "kmsKeyId": KEY}}],
}
LEAKED = "#!/bin/sh\nexport AWS_SECRET_ACCESS_KEY=abc\n"
ENCODED = base64.b64encode(LEAKED.encode()).decode()
SESSION = {"kmsKeyId": KEY, "cloudWatchLogGroupName": "sessions", "cloudWatchEncryptionEnabled": True}


def server(**changes: Any) -> Resource:
    """Return an instance."""
    return make(rules.INSTANCE, SERVER, **changes)


def template(**changes: Any) -> Resource:
    """Return a launch template."""
    return make(rules.TEMPLATE, TEMPLATE, **changes)


def baseline(*approvals: object) -> Resource:
    """Return a patch baseline."""
    return make(rules.PATCH_BASELINE, {"name": "debian", "approvalRules": list(approvals)})


def session(**inputs: object) -> Resource:
    """Return session preferences."""
    content = json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream", "inputs": inputs})
    return make(rules.DOCUMENT, {"documentType": "Session", "content": content})


EXAMPLES = (
    example(
        "metadata-tokens",
        good=[server(), template(), make(rules.INSTANCE, TEMPLATED)],
        bad=[
            server(metadataOptions=None),
            server(metadataOptions={**TOKENS, "httpTokens": "optional"}),
            server(metadataOptions={**TOKENS, "httpPutResponseHopLimit": 2}),
            template(metadataOptions=None),
        ],
    ),
    example(
        "metadata-tokens-by-default",
        good=make(rules.METADATA_DEFAULTS, TOKENS),
        bad=[
            make(rules.METADATA_DEFAULTS, TOKENS, httpTokens="no-preference"),
            make(rules.METADATA_DEFAULTS, TOKENS, httpPutResponseHopLimit=None),
        ],
    ),
    example(
        "disks-encrypted",
        good=[server(), template(), make(rules.INSTANCE, TEMPLATED)],
        bad=[
            server(rootBlockDevice=None),
            server(rootBlockDevice={"encrypted": False, "kmsKeyId": KEY}),
            server(rootBlockDevice={"encrypted": True}),
            server(ebsBlockDevices=[{"deviceName": "/dev/sdf"}]),
            template(blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}]),
        ],
    ),
    example(
        "server-no-public-address",
        good=[server(), template()],
        bad=[
            server(associatePublicIpAddress=True),
            template(networkInterfaces=[{"associatePublicIpAddress": "true"}]),
        ],
    ),
    example(
        "elastic-address-at-edge",
        good=[
            make(rules.ELASTIC_IP, {"domain": "vpc", "instance": "i-1"}),
            make(rules.ELASTIC_IP, {"domain": "vpc"}, plan=BALANCED),
        ],
        bad=[
            make(rules.ELASTIC_IP, {"domain": "vpc", "instance": "i-1"}, plan=BALANCED),
            make(rules.ELASTIC_IP_ASSOCIATION, {"allocationId": "e", "instanceId": "i-1"}, plan=BALANCED),
        ],
    ),
    example(
        "termination-protected",
        good=[server(), make(rules.INSTANCE, TEMPLATED)],
        bad=[server(disableApiTermination=False), server(disableApiTermination=None)],
    ),
    example(
        "server-has-role",
        good=[server(), make(rules.INSTANCE, TEMPLATED, iamInstanceProfile=None)],
        bad=server(iamInstanceProfile=None),
    ),
    example(
        "server-no-key-pair",
        good=[server(), template()],
        bad=[server(keyName="admin"), template(keyName="admin")],
    ),
    example(
        "user-data-no-secrets",
        good=[server(userData="#cloud-config\n"), server()],
        bad=[server(userData=LEAKED), server(userDataBase64=ENCODED), template(userData=ENCODED)],
    ),
    example(
        "server-monitored",
        good=[server(), make(rules.INSTANCE, TEMPLATED)],
        bad=[server(monitoring=False), server(monitoring=None)],
    ),
    example(
        "patches-within-a-week",
        good=baseline({"approveAfterDays": 3}),
        bad=[baseline(), baseline({"approveAfterDays": 30}), baseline({"approveUntilDate": "2026-01-01"})],
    ),
    example(
        "sessions-encrypted-and-kept",
        good=[
            session(**SESSION),
            make(rules.DOCUMENT, {"documentType": "Command", "content": "{}"}),
        ],
        bad=[session(**{**SESSION, "kmsKeyId": ""}), session(kmsKeyId=KEY), session(kmsKeyId=KEY, s3BucketName="b")],
    ),
)
