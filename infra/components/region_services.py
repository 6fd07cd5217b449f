"""Where detection's services are: facts per AWS region, so that a plan asks for none that a region lacks."""

WITHOUT_MACIE = frozenset(
    ("ap-south-2", "ap-southeast-3", "ap-southeast-4", "ca-west-1", "eu-central-2", "eu-south-2", "me-central-1")
)
"""Source: AWS General Reference, "Amazon Macie endpoints and quotas"."""

WITHOUT_DETECTIVE = WITHOUT_MACIE | {"ap-northeast-3"}
"""Source: AWS General Reference, "Amazon Detective endpoints and quotas"."""

WITH_LAMBDA_CODE_SCAN = frozenset(
    (
        "ap-northeast-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "eu-central-1",
        "eu-north-1",
        "eu-west-1",
        "eu-west-2",
        "us-east-1",
        "us-east-2",
        "us-west-2",
    )
)
"""Source: AWS Config Developer Guide, "inspector-lambda-code-scan-enabled"."""
