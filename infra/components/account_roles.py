"""Roles that every account has for people: auditors, AWS support, and those who investigate an incident."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass
from onedallmail.platform.stack import PROJECT

from components.context import Scope

SESSION_S = 3600


@dataclass(frozen=True)
class PeopleRole:
    """A role for people, and what it may do."""

    name: str
    description: str
    managed_policies: tuple[str, ...]
    statements: tuple[dict[str, Any], ...] = field(default=())


_CONTAIN: dict[str, Any] = {
    "Sid": "Contain",
    "Effect": "Allow",
    "Action": [
        "ec2:CreateSnapshot",
        "ec2:CreateTags",
        "ec2:ModifyInstanceAttribute",
        "ec2:ModifyNetworkInterfaceAttribute",
        "ec2:StopInstances",
    ],
    "Resource": [
        f"arn:aws:ec2:*:*:{kind}/*"
        for kind in ("instance", "network-interface", "security-group", "snapshot", "volume")
    ],
    "Condition": {"StringEqualsIfExists": {"aws:ResourceTag/Project": PROJECT}},
}

ROLES = (
    PeopleRole(
        "auditor",
        "Reads configuration, not content (CIS 1.17 keeps support apart)",
        ("SecurityAudit", "job-function/ViewOnlyAccess"),
    ),
    PeopleRole("support", "Opens and follows cases at AWS (CIS AWS Foundations 1.17)", ("AWSSupportAccess",)),
    PeopleRole(
        "incident-responder",
        "Investigates and isolates; works in a quarantined account, too",
        ("SecurityAudit",),
        (_CONTAIN,),
    ),
)


class AccountRoles(pulumi.ComponentResource):
    """The roles; who may assume them decides the account, and a second factor is needed each time."""

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        trusted: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:guardrails:AccountRoles", name, None, opts)
        self._name, self._scope = name, scope
        self._child = pulumi.ResourceOptions(parent=self)
        principals: Any = list(trusted) or pulumi.Output.concat("arn:aws:iam::", scope.account_id, ":root")
        for role in ROLES:
            self._role(role, principals)
        self.register_outputs({})

    def _role(self, role: PeopleRole, principals: Any) -> None:
        # Without the stack's name: guardrails of the whole organisation know these roles by their names.
        full_name = f"{PROJECT}-{role.name}"
        made = aws.iam.Role(
            f"{self._name}-{role.name}",
            name=full_name,
            description=role.description,
            max_session_duration=SESSION_S,
            assume_role_policy=pulumi.Output.json_dumps(_trust(principals)),
            tags=self._scope.tags(full_name, DataClass.NONE, ControlScope.EVIDENCE),
            opts=self._child,
        )
        for policy in role.managed_policies:
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{role.name}-{policy.rsplit('/', 1)[-1]}",
                role=made.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=self._child,
            )
        if role.statements:
            aws.iam.RolePolicy(
                f"{self._name}-{role.name}",
                name=role.name,
                role=made.name,
                policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": list(role.statements)}),
                opts=self._child,
            )


def _trust(principals: Any) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": principals},
                "Action": "sts:AssumeRole",
                "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
            }
        ],
    }
