"""Examples for rules/stack_keys.py."""

from collections.abc import Mapping
from typing import Any

from infra.policy.model import Resource
from infra.policy.rules import keys as rules

from .example import KEY, allow, example, make, policy

SERVERS = {"Principal": {"AWS": "arn:aws:iam::123456789012:role/mail"}}
OWN = make(rules.SECRET, {"name": "dkim", "kmsKeyId": KEY})
NARROW = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"}


def narrowed(statement: Mapping[str, Any], **changes: Any) -> Resource:
    """Return the secret's policy with a statement."""
    told = {"secretArn": OWN.id, "policy": policy(statement), "blockPublicPolicy": True}
    return make(rules.SECRET_POLICY, told, **changes)


EXAMPLES = (
    example(
        "secret-has-policy",
        good=[[OWN, narrowed(NARROW)]],
        bad=[
            OWN,
            [OWN, narrowed(NARROW, blockPublicPolicy=None)],
            [OWN, narrowed(allow("secretsmanager:GetSecretValue", "*", **SERVERS))],
            [OWN, narrowed(NARROW, secretArn="arn:aws:secretsmanager:eu-central-1:123456789012:secret:other")],
        ],
    ),
)
