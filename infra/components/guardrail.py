"""A policy of the organisation as a document, the roles that guardrails exempt, and what they protect by name."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAX_POLICY_CHARACTERS = 5120
"""Source: AWS Organizations User Guide, "Quotas for AWS Organizations"."""

BREAK_GLASS = "arn:aws:iam::*:role/onedallmail-break-glass"
"""Role for emergencies; each use of it raises an alarm."""

DEPLOYMENT = "arn:aws:iam::*:role/onedallmail-deployment"
"""Role with which the stacks are deployed."""

RESPONDER = "arn:aws:iam::*:role/onedallmail-incident-responder"
"""Role that investigates a quarantined account."""

ACCOUNT_ACCESS = "arn:aws:iam::*:role/OrganizationAccountAccessRole"
"""Role that AWS Organizations makes in a new account: with it the roles above are made."""

BUCKETS = "arn:aws:s3:::onedallmail-*"
LOG_GROUPS = "arn:aws:logs:*:*:log-group:/onedallmail/*"


class GuardrailError(ValueError):
    """A policy can't be used as it is; the message says by how much it is over a limit."""


@dataclass(frozen=True)
class Guardrail:
    """A service control policy, or a resource control policy."""

    name: str
    description: str
    statements: tuple[dict[str, Any], ...]

    @property
    def content(self) -> str:
        """The policy as compact JSON.

        Raises:
            GuardrailError: it is longer than AWS Organizations takes.
        """
        text = json.dumps({"Version": "2012-10-17", "Statement": list(self.statements)}, separators=(",", ":"))
        if len(text) > MAX_POLICY_CHARACTERS:
            msg = (
                f"policy '{self.name}' has {len(text)} characters, "
                f"{len(text) - MAX_POLICY_CHARACTERS} too many for AWS Organizations: split it, or name fewer regions"
            )
            raise GuardrailError(msg)
        return text


def deny(
    sid: str,
    actions: Sequence[str],
    *,
    resources: Sequence[str] = ("*",),
    condition: dict[str, Any] | None = None,
    but: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a statement that denies actions to all but some roles."""
    where = dict(condition or {})
    if but:
        where["ArnNotLike"] = {**where.get("ArnNotLike", {}), "aws:PrincipalArn": list(but)}
    statement = {"Sid": sid, "Effect": "Deny", "Action": list(actions), "Resource": list(resources)}
    return {**statement, "Condition": where} if where else statement
