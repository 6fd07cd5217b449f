"""Examples for rules/detection.py."""

from infra.policy.rules import detection as rules

from .example import example, make

DETECTOR = {"enable": True, "findingPublishingFrequency": "FIFTEEN_MINUTES"}
FEATURE = {"detectorId": "d", "name": "S3_DATA_EVENTS", "status": "ENABLED"}
ORGANIZATION = {"featureSet": "ALL", "enabledPolicyTypes": list(rules.POLICIES)}

EXAMPLES = (
    example(
        "detector-on",
        good=make(rules.DETECTOR, DETECTOR),
        bad=[
            make(rules.DETECTOR, DETECTOR, enable=False),
            make(rules.DETECTOR, DETECTOR, findingPublishingFrequency=None),
        ],
    ),
    example(
        "detector-feature-on",
        good=make(rules.DETECTOR_FEATURE, FEATURE),
        bad=make(rules.DETECTOR_FEATURE, FEATURE, status="DISABLED"),
    ),
    example(
        "security-hub-complete",
        good=make(rules.SECURITY_HUB),
        bad=[
            make(rules.SECURITY_HUB, {"autoEnableControls": False}),
            make(rules.SECURITY_HUB, {"controlFindingGenerator": "STANDARD_CONTROL"}),
        ],
    ),
    example("macie-on", good=make(rules.MACIE), bad=make(rules.MACIE, {"status": "PAUSED"})),
    example(
        "inspector-scans-servers",
        good=make(rules.INSPECTOR, {"accountIds": ["1"], "resourceTypes": ["EC2", "ECR"]}),
        bad=make(rules.INSPECTOR, {"accountIds": ["1"], "resourceTypes": ["ECR"]}),
    ),
    example(
        "organization-all-features",
        good=make(rules.ORGANIZATION, ORGANIZATION, region=None),
        bad=[
            make(rules.ORGANIZATION, ORGANIZATION, region=None, featureSet="CONSOLIDATED_BILLING"),
            make(rules.ORGANIZATION, ORGANIZATION, region=None, enabledPolicyTypes=[]),
            make(rules.ORGANIZATION, ORGANIZATION, region=None, enabledPolicyTypes=["SERVICE_CONTROL_POLICY"]),
        ],
    ),
)
