"""Topics and queues: encrypted under our keys, reached over TLS, open to nobody unknown."""

from collections.abc import Iterator

from ..catalogue import resource_rule
from ..documents import allowed, statements
from ..model import AnyRule, Resource, Severity

TOPIC = "aws:sns/topic:Topic"
QUEUE = "aws:sqs/queue:Queue"
TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"
QUEUE_POLICY = "aws:sqs/queuePolicy:QueuePolicy"
PLAIN = ("bool", "aws:securetransport", ("false",))
"""The condition that a request came without TLS."""


@resource_rule(
    "message-customer-key",
    "Messages at rest are encrypted under a customer managed key",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "soc2:CC6.1"),
    remediation="Set kms_master_key_id to the region's key",
    applies_to=(TOPIC, QUEUE),
)
def message_customer_key(channel: Resource) -> Iterator[str]:
    """AWS's own key cannot be given to the services that publish, and cannot be withdrawn from anybody."""
    key = str(channel.props.get("kmsMasterKeyId") or "")
    if not key or key.startswith("alias/aws/"):
        yield "is encrypted under AWS's own key, or not at all"


@resource_rule(
    "message-policy-tls",
    "A topic's or queue's policy refuses requests without TLS",
    severity=Severity.HIGH,
    controls=("iso27001:A.8.24", "iso27001:A.5.14", "soc2:CC6.7"),
    remediation="Deny the service's actions to * where aws:SecureTransport is false",
    applies_to=(TOPIC_POLICY, QUEUE_POLICY),
)
def message_policy_tls(policy: Resource) -> Iterator[str]:
    """AWS takes no sns:* in a topic's policy, so the actions that carry messages stand for all of them."""
    listed = statements(policy.props.document("policy"))
    carrying = ("sns:Publish",) if policy.type == TOPIC_POLICY else ("sqs:SendMessage", "sqs:ReceiveMessage")
    refusals = [s for s in listed if not s.allows and PLAIN in s.conditions and s.names_everybody]
    for action in carrying:
        if not any(s.may(action) for s in refusals):
            yield f"no statement refuses {action} over plain HTTP to everybody"


@resource_rule(
    "message-policy-not-public",
    "No topic or queue takes requests of everybody",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.8.3", "iso27001:A.8.12", "soc2:CC6.1"),
    remediation="Name the principals, or bind the statement by aws:SourceAccount or aws:SourceArn",
    applies_to=(TOPIC, QUEUE, TOPIC_POLICY, QUEUE_POLICY),
)
def message_policy_not_public(channel: Resource) -> Iterator[str]:
    """Alarms of strangers hide the real one."""
    for statement in allowed(channel.props.document("policy")):
        if statement.open_to_all and not statement.has_condition("aws:sourceowner"):
            yield f"statement {statement.sid or '(no Sid)'} allows everybody {', '.join(statement.actions)}"


RULES: tuple[AnyRule, ...] = (message_customer_key, message_policy_tls, message_policy_not_public)
