"""Secrets as a whole: none depends on the roles' policies alone."""

from collections.abc import Iterator

from ..catalogue import stack_rule
from ..documents import statements
from ..model import AnyRule, Resource, Severity, Stack
from ..values import is_true
from .keys import SECRET, SECRET_POLICY


@stack_rule(
    "secret-has-policy",
    "Every secret refuses strangers by a policy of its own",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.5.17", "iso27001:A.8.3", "soc2:CC6.1", "soc2:CC6.3"),
    remediation="Add aws.secretsmanager.SecretPolicy with block_public_policy and a statement that denies",
    applies_to=(SECRET,),
)
def secret_has_policy(secret: Resource, stack: Stack) -> Iterator[str]:
    """Whoever gets a broad role in the account has no secret with it."""
    found = stack.naming(secret, SECRET_POLICY, by="secretArn")
    if not found:
        yield "has no policy of its own"
    for policy in found:
        if not is_true(policy.props.get("blockPublicPolicy")):
            yield "would take a public policy"
        if all(statement.allows for statement in statements(policy.props.document("policy"))):
            yield "its policy denies nothing"


RULES: tuple[AnyRule, ...] = (secret_has_policy,)
