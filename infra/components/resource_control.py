"""The resource control policy: who may reach into the organisation's data at all, whatever a resource's policy says.

Service control policies bind the organisation's own principals; this one binds everybody else. Pure: id in, JSON out.
Source: AWS Organizations User Guide, "Resource control policies (RCPs)"; it binds no service-linked role, and nothing
in the management account.
"""

from typing import Any

from components.guardrail import Guardrail

NAME = "own-principals"
DESCRIPTION = "Data for the organisation's own principals, and for AWS services that act for it"
DATA = ("kms:*", "s3:*", "secretsmanager:*", "sqs:*")
"""What holds data or opens it, of the services whose resources such a policy reaches."""


def own_principals(organization_id: str) -> Guardrail:
    """Return the policy that keeps the organisation's data among its own principals, over TLS.

    An AWS service gets in on behalf of the organisation's own resources only: where it names none, as for requests
    that it makes by itself, the resource's policy decides alone.
    """
    return Guardrail(
        NAME,
        DESCRIPTION,
        (
            _deny(
                "Strangers",
                [*DATA, "sts:AssumeRole"],
                {
                    "StringNotEqualsIfExists": {"aws:PrincipalOrgID": organization_id},
                    "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
                },
            ),
            _deny(
                "ServicesForStrangers",
                [*DATA, "sts:AssumeRole"],
                {
                    "StringNotEqualsIfExists": {"aws:SourceOrgID": organization_id},
                    "Null": {"aws:SourceAccount": "false"},
                    "Bool": {"aws:PrincipalIsAWSService": "true"},
                },
            ),
            _deny("PlainText", list(DATA), {"BoolIfExists": {"aws:SecureTransport": "false"}}),
        ),
    )


def _deny(sid: str, actions: list[str], condition: dict[str, Any]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": actions, "Resource": "*", "Condition": condition}
