"""AWS regions that a stack may name, each with a number of its own.

The list is closed on purpose: a misspelt region must be refused in the plan, before any resource exists.
Source: AWS General Reference, "Amazon EC2 endpoints" (commercial partition).
"""

REGION_NUMBERS = {
    "af-south-1": 1,
    "ap-east-1": 2,
    "ap-northeast-1": 3,
    "ap-northeast-2": 4,
    "ap-northeast-3": 5,
    "ap-south-1": 6,
    "ap-south-2": 7,
    "ap-southeast-1": 8,
    "ap-southeast-2": 9,
    "ap-southeast-3": 10,
    "ap-southeast-4": 11,
    "ca-central-1": 12,
    "ca-west-1": 13,
    "eu-central-1": 14,
    "eu-central-2": 15,
    "eu-north-1": 16,
    "eu-south-1": 17,
    "eu-south-2": 18,
    "eu-west-1": 19,
    "eu-west-2": 20,
    "eu-west-3": 21,
    "il-central-1": 22,
    "me-central-1": 23,
    "me-south-1": 24,
    "sa-east-1": 25,
    "us-east-1": 26,
    "us-east-2": 27,
    "us-west-1": 28,
    "us-west-2": 29,
}
"""Numbers place a region's inspection network; they are never given to another region. New regions go at the end."""

AWS_REGIONS = frozenset(REGION_NUMBERS)

ZONE_LETTERS = {"ap-northeast-1": "acd", "ca-central-1": "abd"}
"""Letters of the availability zones that a plan calls a, b and c, where AWS offers other ones to new accounts.
Source: AWS Global Infrastructure, "AWS Availability Zones"."""

TWO_ZONES = frozenset({"us-west-1"})
"""Regions in which an account gets two zones; a platform's networks have three."""


def zone_name(region: str, zone: str) -> str:
    """Return AWS's name of the availability zone that a plan calls a, b or c: ap-northeast-1c of b in Tokyo."""
    return region + ZONE_LETTERS.get(region, "abc")["abc".index(zone)]


GLOBAL_REGION = "us-east-1"
"""Where Route 53 keeps DNSSEC keys, query logs and its health checks' metrics."""

ACCELERATOR_REGION = "us-west-2"
"""Where the API of Global Accelerator answers."""
