"""Rules for queues, one of each kind that the engine has to tell apart."""

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

QUEUE, POLICY = "aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy"


def forbidden_name(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type == QUEUE and args.props["name"] == "forbidden":
        report("a queue must not be called forbidden", None)


def missing_owner(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type == QUEUE and "owner" not in args.props["tags"]:
        report("the queue has no owner", None)


def foreign_queue(args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type == POLICY and args.props["queueUrl"].endswith("/foreign"):
        report("the policy is for a foreign queue", None)


def too_many(args: StackValidationArgs, report: ReportViolation) -> None:
    queues = [r for r in args.resources if r.resource_type == QUEUE]
    if len(queues) > 2:
        report("there are more than two queues", max(r.urn for r in queues))


PolicyPack(
    name="engine-tests",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        ResourceValidationPolicy(name="forbidden-name", description="names", validate=forbidden_name),
        ResourceValidationPolicy(
            name="missing-owner",
            description="owners",
            validate=missing_owner,
            enforcement_level=EnforcementLevel.ADVISORY,
        ),
        ResourceValidationPolicy(name="foreign-queue", description="needs a known value", validate=foreign_queue),
        StackValidationPolicy(name="too-many", description="counts", validate=too_many),
    ],
)
