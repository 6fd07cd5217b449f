"""Examples for rules/messaging.py."""

from infra.policy.rules import messaging as rules

from .example import KEY, PLAIN_HTTP, allow, deny, example, make, policy

OURS = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
BY_EVENTS = {"Principal": {"Service": "events.amazonaws.com"}}
OPEN = policy(allow("sqs:SendMessage", "*", Principal="*"))
MESSAGES = ["sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"]
PUBLISHING = ["sns:Publish", "sns:Subscribe"]

EXAMPLES = (
    example(
        "message-customer-key",
        good=[make(rules.TOPIC, {"kmsMasterKeyId": KEY}), make(rules.QUEUE, {"kmsMasterKeyId": "alias/ours"})],
        bad=[
            make(rules.TOPIC),
            make(rules.QUEUE, {"kmsMasterKeyId": "alias/aws/sqs"}),
            make(rules.QUEUE, {"sqsManagedSseEnabled": True}),
        ],
    ),
    example(
        "message-policy-tls",
        good=[
            make(rules.TOPIC_POLICY, {"arn": "t", "policy": policy(deny(PUBLISHING, PLAIN_HTTP))}),
            make(rules.QUEUE_POLICY, {"queueUrl": "q", "policy": policy(deny("sqs:*", PLAIN_HTTP))}),
            make(rules.QUEUE_POLICY, {"queueUrl": "q", "policy": policy(deny(MESSAGES, PLAIN_HTTP))}),
        ],
        bad=[
            make(rules.TOPIC_POLICY, {"arn": "t", "policy": policy(allow("sns:Publish", "*", **BY_EVENTS))}),
            make(rules.TOPIC_POLICY, {"arn": "t", "policy": policy(deny("sns:GetTopicAttributes", PLAIN_HTTP))}),
            make(rules.QUEUE_POLICY, {"queueUrl": "q", "policy": policy(deny("sqs:SendMessage", PLAIN_HTTP))}),
        ],
    ),
    example(
        "message-policy-not-public",
        good=[
            make(rules.TOPIC),
            make(
                rules.QUEUE_POLICY,
                {"queueUrl": "q", "policy": policy(allow("sqs:SendMessage", "*", Principal="*", Condition=OURS))},
            ),
        ],
        bad=[make(rules.QUEUE, {"policy": OPEN}), make(rules.QUEUE_POLICY, {"queueUrl": "q", "policy": OPEN})],
    ),
)
