"""Security operations of a region: events go to a topic for people and to a queue for programs."""

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from onedallmail.platform.naming import ControlScope, DataClass

from components.context import Scope
from components.event_patterns import EventRule, event_rules
from components.keys import Keys

KEEP_S = 14 * 24 * 3600
"""Longest time that SQS keeps a message: nothing is lost over holidays."""

VISIBILITY_S = 300
MAX_RECEIVES = 5

PUBLISHERS = ("backup.amazonaws.com", "budgets.amazonaws.com", "costalerts.amazonaws.com")
"""Services besides EventBridge and CloudWatch that send their notices to the topic."""


class SecurityEvents(pulumi.ComponentResource):
    """Topic, queue with a dead-letter queue, and the rules that feed both; all encrypted, over TLS only."""

    topic_arn: pulumi.Output[str]
    queue_url: pulumi.Output[str]
    queue_arn: pulumi.Output[str]
    dead_letter_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scope: Scope,
        region: str,
        keys: Keys,
        emails: Sequence[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("onedallmail:detection:SecurityEvents", name, None, opts)
        self._name, self._scope, self._region = name, scope, region
        self._child = pulumi.ResourceOptions(parent=self)
        self._key_arn = keys.arn(DataClass.LOGS, region)
        self.topic_arn = self._topic(emails)
        dead_letters = self._queue("dead-letters", redrive_policy=None)
        self.dead_letter_arn = dead_letters.arn
        queue = self._queue(
            "security",
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": MAX_RECEIVES}
            ),
        )
        self.queue_arn, self.queue_url = queue.arn, queue.url
        for rule in event_rules(region):
            self._rule(rule)
        self.register_outputs({"topicArn": self.topic_arn, "queueUrl": self.queue_url, "queueArn": self.queue_arn})

    def _tags(self, name: str) -> dict[str, str]:
        return self._scope.tags(name, DataClass.LOGS, ControlScope.EVIDENCE)

    def _sources(self, service: str, kind: str) -> pulumi.Output[str]:
        """Return the pattern of ARNs of this account's resources of a service in this region."""
        return self._scope.account_id.apply(lambda account: f"arn:aws:{service}:{self._region}:{account}:{kind}")

    def _topic(self, emails: Sequence[str]) -> pulumi.Output[str]:
        full_name = self._scope.name("security")
        topic = aws.sns.Topic(
            self._name,
            region=self._region,
            name=full_name,
            kms_master_key_id=self._key_arn,
            signature_version=2,
            tags=self._tags(full_name),
            opts=self._child,
        )
        aws.sns.TopicPolicy(
            self._name,
            region=self._region,
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(self._topic_policy(topic.arn)),
            opts=self._child,
        )
        for email in emails:
            aws.sns.TopicSubscription(
                f"{self._name}-{email}",
                region=self._region,
                topic=topic.arn,
                protocol="email",
                endpoint=email,
                opts=self._child,
            )
        return topic.arn

    def _topic_policy(self, arn: pulumi.Output[str]) -> dict[str, Any]:
        account = self._scope.account_id
        publish = {"Effect": "Allow", "Action": "sns:Publish", "Resource": arn}
        statements = [
            {
                "Sid": "Events",
                **publish,
                "Principal": {"Service": "events.amazonaws.com"},
                "Condition": {"ArnLike": {"aws:SourceArn": self._sources("events", "rule/*")}},
            },
            {
                "Sid": "Alarms",
                **publish,
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": account},
                    "ArnLike": {"aws:SourceArn": self._sources("cloudwatch", "alarm:*")},
                },
            },
            {
                "Sid": "Notices",
                **publish,
                "Principal": {"Service": list(PUBLISHERS)},
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            },
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ]
        return {"Version": "2012-10-17", "Statement": statements}

    def _queue(self, purpose: str, redrive_policy: pulumi.Output[str] | None) -> aws.sqs.Queue:
        full_name = self._scope.name("events", purpose)
        queue = aws.sqs.Queue(
            f"{self._name}-{purpose}",
            region=self._region,
            name=full_name,
            kms_master_key_id=self._key_arn,
            message_retention_seconds=KEEP_S,
            visibility_timeout_seconds=VISIBILITY_S,
            redrive_policy=redrive_policy,
            tags=self._tags(full_name),
            opts=self._child,
        )
        aws.sqs.QueuePolicy(
            f"{self._name}-{purpose}",
            region=self._region,
            queue_url=queue.url,
            policy=pulumi.Output.json_dumps(self._queue_policy(queue.arn)),
            opts=self._child,
        )
        return queue

    def _queue_policy(self, arn: pulumi.Output[str]) -> dict[str, Any]:
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "Events",
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                    "Condition": {"ArnLike": {"aws:SourceArn": self._sources("events", "rule/*")}},
                },
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sqs:*",
                    "Resource": arn,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ],
        }

    def _rule(self, rule: EventRule) -> None:
        name, full_name = f"{self._name}-{rule.name}", self._scope.name("security", rule.name)
        made = aws.cloudwatch.EventRule(
            name,
            region=self._region,
            name=full_name,
            description=rule.description,
            event_pattern=pulumi.Output.json_dumps(rule.pattern),
            tags=self._tags(full_name),
            opts=self._child,
        )
        for target, arn in (("topic", self.topic_arn), ("queue", self.queue_arn)):
            aws.cloudwatch.EventTarget(
                f"{name}-{target}",
                region=self._region,
                rule=made.name,
                target_id=target,
                arn=arn,
                dead_letter_config={"arn": self.dead_letter_arn},
                opts=self._child,
            )
