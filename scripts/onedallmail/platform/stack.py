"""The stack file as a model: everything an operator decides, refused before any resource when it is wrong.

Errors name the field by its path in Pulumi.<stack>.yaml, what is wrong with it and what to write instead.
"""

import json
from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from .domains import Domain
from .options import (
    AccountId,
    CopiesConfig,
    Country,
    Email,
    LogRetention,
    Options,
    PolicyMode,
    References,
    RoleArn,
    Strict,
)
from .pins import PinConfig, pin_problems
from .regions import AWS_REGIONS, TWO_ZONES
from .roles import ServerRole

PROJECT = "onedallmail"
"""Name of the Pulumi project and prefix of its configuration keys."""

MIN_PREFIX, MAX_PREFIX = 16, 21
"""VPC sizes in bits: AWS allows no VPC above /16; below /21 the sixteen subnets have no room to grow."""

NOT_MODELLED = (
    "dkimPublicKeys",
    "dkimPrivateKeys",
    "hsmTrustAnchor",
    "hsmKeyStorePassword",
    "hsmKeyStoreConnected",
)
"""Configuration of the program that is no decision of the operator's."""

ACCOUNT_DIGITS = 12
"""Decimal text of this length is an account id, not a number."""

VOTERS = (3, 5, 7)
MIN_VOTER_REGIONS = 3
MIN_MAIL_REGIONS = 2
"""The standby of a mailbox stands in another region than its home."""


class StackError(ValueError):
    """The stack file can't be used; the message lists each wrong field with its path."""


class ServerConfig(Strict):
    """One server: its short name is also the host name below the first domain."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,14}$")]
    role: ServerRole = ServerRole.MAIL
    zone: Literal["a", "b", "c"] = "a"
    address: IPv4Address | None = None
    voter: bool = True
    weight: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0
    """Of two mail servers, one with twice the weight gets twice as many mailboxes."""

    @model_validator(mode="after")
    def _mailboxes(self) -> Self:
        if self.role is not ServerRole.MAIL and "weight" in self.model_fields_set:
            msg = f"server {self.name} is a {self.role} and holds no mailboxes: leave its weight out"
            raise ValueError(msg)
        return self


class RegionConfig(Strict):
    """One AWS region with its network and its servers."""

    name: str
    cidr: IPv4Network
    servers: tuple[ServerConfig, ...] = Field(min_length=1)

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in AWS_REGIONS:
            near = ", ".join(sorted(r for r in AWS_REGIONS if r[:2] == value[:2])) or "see platform/regions.py"
            msg = f"unknown AWS region '{value}': write one of {near}"
            raise ValueError(msg)
        return value

    @field_validator("cidr", mode="before")
    @classmethod
    def _written(cls, value: object) -> object:
        try:
            return IPv4Network(str(value))
        except ValueError as error:
            msg = f"'{value}' is no network ({error}): write its first address and size, such as 10.10.0.0/16"
            raise ValueError(msg) from error

    @field_validator("cidr")
    @classmethod
    def _size(cls, value: IPv4Network) -> IPv4Network:
        if not MIN_PREFIX <= value.prefixlen <= MAX_PREFIX:
            msg = (
                f"network {value} has a /{value.prefixlen}: a region needs a /{MIN_PREFIX} to "
                f"/{MAX_PREFIX} to hold its subnets and room to grow"
            )
            raise ValueError(msg)
        if not value.is_private:
            msg = f"network {value} is public: take one of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16"
            raise ValueError(msg)
        return value


class SessionAgent(Strict):
    """Release of the Session Manager agent that new servers install."""

    version: Annotated[str, Field(pattern=r"^(latest|\d+\.\d+\.\d+\.\d+)$")] = "latest"
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Digest of the Debian package; stated, no other package is installed."""

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if self.sha256 and self.version == "latest":
            msg = "sha256 needs a version: the latest release changes"
            raise ValueError(msg)
        return self


class StackConfig(Strict):
    """A whole stack, as `Pulumi.<stack>.yaml` states it below the key prefix `onedallmail:`."""

    stack: str
    kind: Literal["platform"] = "platform"
    target: Literal["lab", "aws"]
    owner: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]
    domains: tuple[Domain, ...] = Field(min_length=1)
    regions: tuple[RegionConfig, ...] = Field(min_length=1)
    placement_groups: Annotated[int, Field(ge=8, le=65536)] = 64
    pins: tuple[PinConfig, ...] = ()
    """Domains and mailboxes whose mail must stay in regions."""
    copies: CopiesConfig = CopiesConfig()
    instance_type: str = "m7i.large"
    volume_size_gb: Annotated[int, Field(ge=20, le=16384)] = 100
    evidence_retention_days: Annotated[int, Field(ge=1, le=3650)] = 365
    certificate_issuers: tuple[str, ...] = ("letsencrypt.org", "amazon.com")
    mta_sts_mode: PolicyMode = PolicyMode.ENFORCE
    """What senders do when no exchanger proves to be one; `none` takes the policy back (RFC 8461, section 8.3)."""
    options: Options = Options()
    references: References = References()
    inspection_network: IPv4Network = IPv4Network("10.255.0.0/16")
    """Holds the inspection network of each region, a /24 each."""
    blocked_countries: tuple[Country, ...] = ()
    """Countries from which the web side is refused (ISO 3166-1)."""
    egress_domains: tuple[Domain, ...] = ()
    """Names, with all below them, that servers may call over HTTPS besides those that the platform needs."""
    alert_emails: tuple[Email, ...] = ()
    log_retention_days: LogRetention = 400
    key_administrators: tuple[RoleArn, ...] = ()
    """Who may administer keys without using them; empty: a role that the account's own administrators may assume."""
    operator_keys: tuple[
        Annotated[str, Field(pattern=r"^(ssh-ed25519|sk-ssh-ed25519@openssh\.com) [A-Za-z0-9+/=]+")], ...
    ] = ()
    """SSH public keys with which operators and Ansible log in, through Session Manager only."""
    session_agent: SessionAgent = SessionAgent()
    monthly_budget_usd: Annotated[int, Field(ge=1)] | None = None
    organization_id: Annotated[str, Field(pattern=r"^o-[a-z0-9]{10,32}$")] | None = None
    account_id: AccountId | None = None
    """The account that the stack is for: a run in any other is refused."""

    @field_validator("inspection_network")
    @classmethod
    def _inspection_size(cls, value: IPv4Network) -> IPv4Network:
        if value.prefixlen != MIN_PREFIX or not value.is_private:
            msg = f"network {value} must be a private /{MIN_PREFIX}, such as 10.255.0.0/16"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems = [
            *_duplicates(self),
            *_overlaps(self),
            *_voters(self),
            *_mail_regions(self),
            *_zones(self),
            *_lab(self),
            *pin_problems(self.pins, self.domains, _with_mail(self), self.placement_groups),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _zones(stack: StackConfig) -> list[str]:
    """Return what is wrong with regions that are too small for three zones."""
    small = [r.name for r in stack.regions if r.name in TWO_ZONES] if stack.target == "aws" else []
    return [f"{name} has two availability zones, a platform needs three: take another region" for name in small]


def _duplicates(stack: StackConfig) -> list[str]:
    servers = [s for r in stack.regions for s in r.servers]
    found = [
        f"two regions are named {n}: merge them" for n, c in Counter(r.name for r in stack.regions).items() if c > 1
    ]
    found += [
        f"two servers are named {n}: give each a name of its own"
        for n, c in Counter(s.name for s in servers).items()
        if c > 1
    ]
    found += [
        f"two servers have the address {a}: give each its own, or leave 'address' out"
        for a, c in Counter(s.address for s in servers if s.address).items()
        if c > 1
    ]
    found += [f"domain {d} is listed twice" for d, c in Counter(stack.domains).items() if c > 1]
    return found


def _overlaps(stack: StackConfig) -> list[str]:
    found = [
        f"networks {one.cidr} ({one.name}) and {two.cidr} ({two.name}) overlap: give each region its own"
        for i, one in enumerate(stack.regions)
        for two in stack.regions[i + 1 :]
        if one.cidr.overlaps(two.cidr)
    ]
    inspected = stack.inspection_network
    return found + [
        f"network {r.cidr} ({r.name}) overlaps inspectionNetwork {inspected}: give one of them another range"
        for r in stack.regions
        if stack.options.inspection and r.cidr.overlaps(inspected)
    ]


LAB_CANNOT = ("inspection", "balancers", "endpoints", "ipv6", "cloud_hsm", "health_checks")
"""Options that decide where packets go, or need a service, that the lab's network does not realise."""


def _lab(stack: StackConfig) -> list[str]:
    wanted = [to_camel(name) for name in LAB_CANNOT if stack.target == "lab" and getattr(stack.options, name)]
    return [f"options {', '.join(wanted)}: the lab does not realise them, turn them off"] if wanted else []


def _voters(stack: StackConfig) -> list[str]:
    per_region = {r.name: sum(s.voter for s in r.servers) for r in stack.regions}
    total = sum(per_region.values())
    found = []
    if total not in VOTERS:
        found.append(f"{total} voters: etcd needs 3, 5 or 7 (set 'voter: false' on servers that shall not vote)")
    if sum(1 for n in per_region.values() if n) < MIN_VOTER_REGIONS:
        found.append("voters stand in fewer than 3 regions: add a region with a witness, or a quorum dies with one")
    found += [
        f"region {name} holds {n} of {total} voters, a majority: spread them"
        for name, n in per_region.items()
        if n > total // 2
    ]
    return found


def _with_mail(stack: StackConfig) -> list[str]:
    return [r.name for r in stack.regions if any(s.role is ServerRole.MAIL for s in r.servers)]


def _mail_regions(stack: StackConfig) -> list[str]:
    found = []
    if len(_with_mail(stack)) < MIN_MAIL_REGIONS:
        found.append("mail servers stand in fewer than 2 regions: a mailbox needs its standby in another region")
    if not any(s.role is ServerRole.WITNESS for r in stack.regions for s in r.servers):
        found.append("no server has the role 'witness': logs need a collector outside the mail regions")
    return found


def parse_stack(stack: str, settings: Mapping[str, Any]) -> StackConfig:
    """Return the model of a stack's settings (keys without prefix).

    Raises:
        StackError: one line a wrong field, with its path.
    """
    try:
        return StackConfig.model_validate({"stack": stack, **settings})
    except ValidationError as error:
        raise StackError(explain(stack, error)) from error


def settings_from_config(config: Mapping[str, str]) -> dict[str, Any]:
    """Return settings from a Pulumi program's flat configuration, where objects travel as JSON text."""
    prefix = f"{PROJECT}:"
    stated = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    return {name: _decoded(value) for name, value in stated.items() if name not in NOT_MODELLED}


def _decoded(value: str) -> Any:
    """Return lists, objects, whole numbers and booleans from their JSON text, every other text as it is."""
    if value[:1] in ("[", "{") or value in ("true", "false") or (value.isdecimal() and len(value) < ACCOUNT_DIGITS):
        return json.loads(value)
    return value


def explain(stack: str, error: ValidationError) -> str:
    """Return one line a wrong field, with its path in the stack file."""
    lines = []
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"]) or "stack"
        lines.append(f"Pulumi.{stack}.yaml: {path}: {item['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)
