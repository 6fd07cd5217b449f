"""What the lab's AWS knows of a deployment: instances with their roles, the roles' policies, and the keys' policies.

Pure: read once from the engine's state, kept as JSON for the process that serves it.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import LabError
from ..resources import Resource, Resources

_INSTANCE, _PROFILE = "aws:ec2/instance:Instance", "aws:iam/instanceProfile:InstanceProfile"
_ROLE, _ROLE_POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
_KEYS, _ALIAS = ("aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey"), "aws:kms/alias:Alias"


@dataclass(frozen=True, kw_only=True)
class Guest:
    """An instance as its metadata service describes it; `hop_limit` is how far answers travel."""

    id: str
    region: str
    zone: str
    address: str
    role_name: str
    role_arn: str
    hop_limit: int

    @property
    def account(self) -> str:
        """The account of the instance's role."""
        return self.role_arn.split(":")[4]

    @property
    def session_arn(self) -> str:
        """The caller as AWS names it in its answers."""
        return f"arn:aws:sts::{self.account}:assumed-role/{self.role_name}/{self.id}"


@dataclass(frozen=True, kw_only=True)
class CloudEstate:
    """All of it; policies are documents by the ARN of the role or key that they belong to."""

    regions: tuple[str, ...]
    guests: tuple[Guest, ...]
    role_policies: dict[str, list[dict[str, Any]]]
    key_policies: dict[str, dict[str, Any]]
    aliases: dict[str, str]
    """ARN of the key by the ARN of its alias."""

    def guest(self, id_: str) -> Guest | None:
        """Return the instance of that id, or None."""
        return next((g for g in self.guests if g.id == id_), None)

    def guest_at(self, region: str, address: str) -> Guest | None:
        """Return the instance with that private address, or None."""
        return next((g for g in self.guests if (g.region, g.address) == (region, address)), None)

    def to_json(self) -> str:
        """Return the estate as text that `from_json` reads."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "CloudEstate":
        """Return the estate that `to_json` wrote."""
        found = json.loads(text)
        guests = tuple(Guest(**g) for g in found.pop("guests"))
        return cls(regions=tuple(found.pop("regions")), guests=guests, **found)


def read_cloud(deployment: dict[str, Any]) -> CloudEstate:
    """Return what a deployment says of identities and keys; an instance without a profile has no credentials.

    Raises LabError for a profile, role or key that the deployment names but does not hold.
    """
    found = Resources.of(deployment)
    guests = tuple(
        sorted((_guest(found, r) for r in found.all(_INSTANCE) if r.optional("iamInstanceProfile")), key=lambda g: g.id)
    )
    policies: dict[str, list[dict[str, Any]]] = {g.role_arn: [] for g in guests}
    for r in found.all(_ROLE_POLICY):
        role = _by_name(found, r, "role", _ROLE)
        if role.text("arn") in policies:
            policies[role.text("arn")].append(json.loads(r.text("policy")))
    return CloudEstate(
        regions=tuple(sorted({r.region for r in found.all("aws:ec2/vpc:Vpc")})),
        guests=guests,
        role_policies=policies,
        key_policies={r.text("arn"): json.loads(r.text("policy")) for type_ in _KEYS for r in found.all(type_)},
        aliases={r.text("arn"): r.text("targetKeyArn") for r in found.all(_ALIAS)},
    )


def _guest(found: Resources, instance: Resource) -> Guest:
    profile = _by_name(found, instance, "iamInstanceProfile", _PROFILE)
    role = _by_name(found, profile, "role", _ROLE)
    options = instance.optional("metadataOptions", {})
    subnet = found.get(instance, "subnetId", "aws:ec2/subnet:Subnet")
    return Guest(
        id=instance.id,
        region=instance.region,
        zone=subnet.text("availabilityZone"),
        address=instance.text("privateIp"),
        role_name=role.text("name"),
        role_arn=role.text("arn"),
        hop_limit=int(options.get("httpPutResponseHopLimit", 1)),
    )


def _by_name(found: Resources, where: Resource, key: str, type_: str) -> Resource:
    name = where.text(key)
    for r in found.all(type_):
        if name in (r.id, r.optional("name")):
            return r
    message = f"{where.urn} refers by {key} to {name!r}, but the deployment has no {type_.rsplit(':', 1)[-1]} of it."
    raise LabError(message)
