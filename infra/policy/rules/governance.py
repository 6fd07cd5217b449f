"""What holds for resources of every type: the stack's regions, and tags that say whose they are and what they hold."""

from collections.abc import Iterator

from onedallmail.cloud import schema
from onedallmail.platform.naming import ControlScope, DataClass
from onedallmail.platform.stack import PROJECT

from ..catalogue import resource_rule
from ..model import AnyRule, Resource, Severity

EVERYTHING = ("aws:*",)
GLOBAL_HOMES: dict[str, tuple[str, ...]] = {
    "us-east-1": ("kms", "cloudwatch", "sns", "sqs", "route53", "acm", "wafv2", "shield", "cfg", "guardduty", "iam"),
    "us-west-2": ("globalaccelerator", "cloudwatch", "sns"),
}
"""Regions from which AWS runs global services, and the services that may have resources there for that reason.

First: keys of DNSSEC, logs of queries, metrics of health checks, events of IAM. Second: the accelerator.
"""
TAGS = ("Name", "Project", "Stack", "Owner", "DataClass", "ControlScope", "ManagedBy")
PARTS_OF_OTHERS = {
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "its security group carries the tags",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "its security group carries the tags",
    "aws:ec2/vpcPeeringConnectionAccepter:VpcPeeringConnectionAccepter": "the connection carries the tags",
    "aws:lb/listenerRule:ListenerRule": "its listener carries the tags",
    "aws:ec2transitgateway/peeringAttachmentAccepter:PeeringAttachmentAccepter": "the attachment carries the tags",
}
"""Types that could carry tags and need not, with the reason."""


def _takes(resource: Resource, name: str) -> bool:
    return schema.known(resource.type) and name in schema.inputs_of(resource.type)


@resource_rule(
    "region-of-stack",
    "Every resource lies in a region of the stack, or in the home of a global service",
    severity=Severity.CRITICAL,
    controls=("iso27001:A.5.23", "iso27001:A.5.31", "iso27001:A.5.34", "soc2:CC6.1", "soc2:CC5.2"),
    remediation="Use a region of onedallmail:regions",
    applies_to=EVERYTHING,
)
def region_of_stack(resource: Resource) -> Iterator[str]:
    """Data stays where it was promised to stay."""
    region = resource.region
    service = resource.type.partition(":")[2].partition("/")[0]
    if region and region not in resource.plan.regions and service not in GLOBAL_HOMES.get(region, ()):
        yield f"lies in {region}; the stack has {', '.join(sorted(resource.plan.regions))}"


@resource_rule(
    "region-named",
    "A regional resource names its region",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.5.23", "iso27001:A.8.9", "soc2:CC8.1"),
    remediation="Pass region= to the resource",
    applies_to=EVERYTHING,
)
def region_named(resource: Resource) -> Iterator[str]:
    """Without one it lands in the provider's default region."""
    if not resource.region and _takes(resource, "region"):
        yield "leaves its region to the provider"


@resource_rule(
    "tags-complete",
    "A resource that can carry tags says whose it is, what it holds and which audits see it",
    severity=Severity.MEDIUM,
    controls=("iso27001:A.5.9", "iso27001:A.5.13", "soc2:CC6.1", "soc2:CC2.1"),
    remediation="Pass tags=context.tags(...)",
    applies_to=EVERYTHING,
)
def tags_complete(resource: Resource) -> Iterator[str]:
    """Tags are the register of assets of the cloud."""
    if resource.type in PARTS_OF_OTHERS:
        return
    if not resource.props.get("tags"):
        if _takes(resource, "tags"):
            yield "carries no tags"
        return
    missing = [name for name in TAGS if not resource.props.get(f"tags.{name}")]
    if missing:
        yield f"lacks the tags {', '.join(missing)}"


@resource_rule(
    "tags-true",
    "Tags have values that the platform knows",
    severity=Severity.LOW,
    controls=("iso27001:A.5.12", "iso27001:A.5.13", "soc2:CC2.1"),
    remediation="Use the classes and scopes of platform/naming.py; the stack's own name and project",
    applies_to=EVERYTHING,
)
def tags_true(resource: Resource) -> Iterator[str]:
    """A class that nobody knows decides nothing."""
    wanted = {
        "DataClass": {c.value for c in DataClass},
        "ControlScope": {c.value for c in ControlScope},
        "Project": {PROJECT},
        "Stack": {resource.plan.stack},
        "ManagedBy": {"pulumi"},
    }
    if not resource.props.get("tags"):
        return
    for name, values in wanted.items():
        value = resource.props.get(f"tags.{name}")
        if value and value not in values:
            yield f"its {name} is {value!r}, not {' or '.join(sorted(values))}"


RULES: tuple[AnyRule, ...] = (region_of_stack, region_named, tags_complete, tags_true)
