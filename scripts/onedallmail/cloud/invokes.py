"""The provider's functions (data sources) that the lab answers."""

from collections.abc import Callable
from typing import Any

from onedallmail.platform.regions import AWS_REGIONS

from .naming import ACCOUNT, ZONES, zone_id

Values = dict[str, Any]
AMI = "ami-0d13000000000001ab"
"""Stands for Debian's official AMI; a lab server boots the lab's own image."""


class InvokeError(ValueError):
    """An invoke that the lab does not answer, or whose arguments are wrong."""


def _region(arguments: Values, region: str) -> str:
    name = arguments.get("region") or arguments.get("name") or region
    if name not in AWS_REGIONS:
        msg = f"'{name}' is not a region the lab knows: {', '.join(sorted(AWS_REGIONS))}"
        raise InvokeError(msg)
    return str(name)


def _zones(arguments: Values, region: str) -> Values:
    name = _region(arguments, region)
    names = [name + letter for letter in ZONES]
    ids = [zone_id(name, letter) for letter in ZONES]
    return {"id": name, "region": name, "names": names, "zoneIds": ids, "groupNames": [name]}


def _caller(_: Values, __: str) -> Values:
    return {"id": ACCOUNT, "accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:user/lab", "userId": "lab"}


def _ami(arguments: Values, region: str) -> Values:
    name = _region({k: v for k, v in arguments.items() if k == "region"}, region)
    return {
        "id": AMI,
        "imageId": AMI,
        "region": name,
        "architecture": "x86_64",
        "name": "debian-13-amd64-lab",
        "owners": arguments.get("owners") or [],
        "ownerId": "136693071363",
        "rootDeviceName": "/dev/xvda",
        "state": "available",
        "virtualizationType": "hvm",
        "arn": f"arn:aws:ec2:{name}::image/{AMI}",
    }


def _get_region(arguments: Values, region: str) -> Values:
    name = _region(arguments, region)
    endpoint = f"ec2.{name}.amazonaws.com"
    return {"id": name, "region": name, "name": name, "endpoint": endpoint, "description": name}


def _partition(_: Values, __: str) -> Values:
    return {
        "id": "aws",
        "partition": "aws",
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    }


INVOKES: dict[str, Callable[[Values, str], Values]] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:ec2/getAmi:getAmi": _ami,
    "aws:index/getRegion:getRegion": _get_region,
    "aws:index/getPartition:getPartition": _partition,
}


def invoke(token: str, arguments: Values, region: str) -> Values:
    """Return the answer of a function with its arguments echoed, as the provider does.

    Raises:
        InvokeError: the lab does not answer this function; the message lists those it does.
    """
    function = INVOKES.get(token)
    if function is None:
        known = ", ".join(sorted(name.rsplit(":", 1)[-1] for name in INVOKES))
        msg = f"the lab's provider has no function {token} (it has {known}): add it to cloud/invokes.py"
        raise InvokeError(msg)
    return {**arguments, **function(arguments, region)}
