"""An example of a rule: a stack in which its subject passes, and stacks in which it does not."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.policy.model import Plan, Resource
from infra.policy.sources import resource

from onedallmail.platform.flows import flows_of
from onedallmail.platform.options import Options

AT_SERVERS = Options(balancers=False, accelerator=False, web=False)
BEHIND_BALANCERS = Options()
REGIONS = frozenset({"eu-central-1", "eu-west-1", "eu-north-1"})
PLAN = Plan("example", REGIONS, flows_of(AT_SERVERS), AT_SERVERS)
BALANCED = Plan("example", REGIONS, flows_of(BEHIND_BALANCERS), BEHIND_BALANCERS)
KEY = "arn:aws:kms:eu-central-1:123456789012:key/0b1c"
ACCOUNT_ROOT = "arn:aws:iam::123456789012:root"
TAGS = {
    "Name": "onedallmail-example-thing",
    "Project": "onedallmail",
    "Stack": "example",
    "Owner": "platform-team",
    "DataClass": "none",
    "ControlScope": "iso27001+soc2+gdpr",
    "ManagedBy": "pulumi",
}

Stack = Sequence[Resource]


@dataclass(frozen=True)
class Example:
    """What passes a rule, and one or more stacks that violate it; the first resource of each is the subject."""

    rule: str
    good: Sequence[Stack]
    bad: Sequence[Stack]


def example(rule: str, *, good: Resource | Sequence[Any], bad: Resource | Sequence[Any]) -> Example:
    """Return an example; a resource alone is a stack of one, a list of resources are as many stacks."""
    return Example(rule, _stacks(good), _stacks(bad))


def _stacks(value: Any) -> tuple[Stack, ...]:
    if isinstance(value, Resource):
        return ((value,),)
    return tuple((item,) if isinstance(item, Resource) else tuple(item) for item in value)


def make(token: str, values: Mapping[str, Any] | None = None, *, plan: Plan = PLAN, **changes: Any) -> Resource:
    """Return a resource of a type with these values, some of them changed; a change to None takes one away."""
    merged = {"region": "eu-central-1", **(values or {}), **changes}
    kept = {k: v for k, v in merged.items() if v is not None}
    name = token.rsplit(":", 1)[-1].lower()
    identifier = str(kept.pop("id", f"{name}-id"))
    return resource(token, name, kept, plan, identifier=identifier)


def policy(*statements: Mapping[str, Any]) -> str:
    """Return a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions: Any, resources: Any = "arn:aws:s3:::b/*", **more: Any) -> dict[str, Any]:
    """Return a statement that allows."""
    return {"Sid": "Example", "Effect": "Allow", "Action": actions, "Resource": resources, **more}


def deny(actions: Any, condition: Mapping[str, Any], resources: Any = "*") -> dict[str, Any]:
    """Return a statement that refuses everybody under a condition."""
    return {"Effect": "Deny", "Principal": "*", "Action": actions, "Resource": resources, "Condition": condition}


PLAIN_HTTP = {"Bool": {"aws:SecureTransport": "false"}}
