"""Examples for rules/backup.py."""

from typing import Any

from infra.policy.model import Resource
from infra.policy.rules import backup as rules

from .example import KEY, example, make

ELSEWHERE = "arn:aws:backup:eu-west-1:123456789012:backup-vault:copies"
HERE = ELSEWHERE.replace("eu-west-1", "eu-central-1")
COPY = {"destinationVaultArn": ELSEWHERE, "lifecycle": {"deleteAfter": 90}}
RULE = {"ruleName": "daily", "targetVaultName": "mail", "lifecycle": {"deleteAfter": 35}, "copyActions": [COPY]}


def plan(**changes: Any) -> Resource:
    """Return a plan with one rule."""
    return make(rules.PLAN, {"rules": [{**RULE, **changes}]})


EXAMPLES = (
    example("vault-customer-key", good=make(rules.VAULT, {"kmsKeyArn": KEY}), bad=make(rules.VAULT)),
    example(
        "vault-not-emptied",
        good=[make(rules.VAULT), make(rules.VAULT, {"forceDestroy": False})],
        bad=make(rules.VAULT, {"forceDestroy": True}),
    ),
    example(
        "vault-lock-compliance",
        good=make(rules.LOCK, {"backupVaultName": "v", "changeableForDays": 3, "minRetentionDays": 35}),
        bad=[
            make(rules.LOCK, {"backupVaultName": "v", "minRetentionDays": 35}),
            make(rules.LOCK, {"backupVaultName": "v", "changeableForDays": 3, "minRetentionDays": 1}),
        ],
    ),
    example(
        "backup-copied-elsewhere",
        good=plan(),
        bad=[plan(copyActions=[]), plan(copyActions=[{"destinationVaultArn": HERE}])],
    ),
    example(
        "backup-kept-a-month",
        good=[plan(), plan(lifecycle={})],
        bad=[plan(lifecycle={"deleteAfter": 7}), plan(copyActions=[{**COPY, "lifecycle": {"deleteAfter": 1}}])],
    ),
)
