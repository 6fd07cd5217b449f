"""A queue and its policy, shaped by the configuration; engine tests run it as a real Pulumi program.

SQS, because its part of pulumi_aws loads in a moment.
"""

import json
import threading
import time

import pulumi
import pulumi_aws as aws

STATEMENT = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}

config = pulumi.Config("sample")
password = config.get_secret("password")
tags: dict[str, pulumi.Input[str]] = {"version": config.get("version") or "1"}
if password is not None:
    tags["password"] = password

queue = aws.sqs.Queue(
    "queue",
    name=config.get("name") or "first",
    tags=tags,
    opts=pulumi.ResourceOptions(
        protect=config.get_bool("protect") or False,
        delete_before_replace=config.get_bool("deleteFirst") or False,
    ),
)
if not config.get_bool("alone"):
    policy = aws.sqs.QueuePolicy(
        "policy",
        queue_url=queue.url,
        policy=json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]}),
        opts=pulumi.ResourceOptions(protect=config.get_bool("protectPolicy") or False),
    )
    pulumi.export("policyId", policy.id)
for name, (type_, properties) in (config.get_object("raw") or {}).items():
    pulumi.CustomResource(type_, name, properties)
pulumi.export("zones", aws.get_availability_zones().names)
pulumi.export("queueId", queue.id)
pulumi.export("password", password)
if reference := config.get("reference"):
    other = pulumi.StackReference(reference)
    pulumi.export("otherQueueId", other.get_output("queueId"))
    pulumi.export("otherPassword", other.get_output("password"))
    aws.sqs.Queue("mirror", name="mirror", tags={"of": other.get_output("queueId")})
if config.get_bool("lingers"):
    threading.Thread(target=time.sleep, args=(600,)).start()
if config.get_bool("works"):
    queue.id.apply(lambda _: time.sleep(600))
if config.get_bool("crash"):
    msg = f"the program is wrong, whatever {config.get('version')} is"
    raise ValueError(msg)
