"""What a platform stack may have or leave out, and which choices exclude each other."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

STACK_NAME = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$"


class Strict(BaseModel):
    """A part of the stack file: frozen, camelCase names, nothing that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Options(Strict):
    """Building blocks of a platform stack; each is on unless its cost or its ceremony asks for a decision."""

    inspection: bool = True
    """Inspection VPC with AWS Network Firewall and transit gateways; off: VPC peering, NAT in the mail VPC."""
    balancers: bool = True
    """Network load balancers in front, servers in mail subnets; off: an Elastic IP on each mail server."""
    web: bool = True
    """Every mail server serves the web names: autoconfiguration and MTA-STS.

    Where there are balancers, behind an application load balancer with its WAF; otherwise at its own address.
    """
    accelerator: bool = True
    """Global Accelerator in front of the network load balancers."""
    shield_advanced: bool = False
    """Shield Advanced on public addresses (a yearly commitment of the account)."""
    ipv6: bool = True
    """Dual stack at the edge; servers call out over IPv4, whose addresses have names."""
    endpoints: bool = True
    """VPC endpoints for AWS APIs, each with an endpoint policy."""
    dns_firewall: bool = True
    """Route 53 Resolver: DNS firewall, query logs, validation."""
    cloud_hsm: bool = True
    """CloudHSM cluster in the first region, HSMs in two zones."""
    hsm_key_store: bool = False
    """KMS custom key store on the cluster; only after the activation ceremony."""
    dnssec: bool = True
    """Hosted zones signed with a key in us-east-1."""
    health_checks: bool = True
    """Route 53 answers with an address only while the service behind it passes its check."""
    backup: bool = True
    """AWS Backup with locked vaults, copies to another region and restore tests."""
    patching: bool = True
    """Patch baselines and maintenance windows."""
    detection: bool = True
    """CloudTrail, Config, GuardDuty, Security Hub, Inspector, Macie, Access Analyzer, alarms."""
    detective: bool = False
    """Amazon Detective beside them."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for chosen, needed in (
            ("accelerator", "balancers"),
            ("hsm_key_store", "cloud_hsm"),
            ("detective", "detection"),
        ):
            if getattr(self, chosen) and not getattr(self, needed):
                msg = f"{to_camel(chosen)} needs {to_camel(needed)}: turn that on, or {to_camel(chosen)} off"
                raise ValueError(msg)
        return self

    @property
    def web_balancers(self) -> bool:
        """Whether application load balancers stand before the web side.

        Only with servers in subnets of their own: beside the balancer they would reach each other past the WAF.
        """
        return self.web and self.balancers

    @property
    def whole_network(self) -> bool:
        """Whether every tier exists in all three zones, used by a server or not."""
        return self.inspection or self.balancers or self.endpoints


class PolicyMode(StrEnum):
    """How strictly senders shall take the MTA-STS policy (RFC 8461, section 5)."""

    ENFORCE = "enforce"
    TESTING = "testing"
    """Failures are reported (TLS-RPT), mail is delivered all the same."""
    NONE = "none"


class CopiesConfig(Strict):
    """What becomes of a message of which no copy can be stored in a second region."""

    without_second_place: Literal["refuse", "accept"] = "refuse"
    """`refuse`: its sender tries again later. `accept`: it is taken with a local copy only, and an alarm."""


class References(Strict):
    """Stacks whose outputs this one uses instead of making its own."""

    keys: Annotated[str, Field(pattern=STACK_NAME)] | None = None
    audit: Annotated[str, Field(pattern=STACK_NAME)] | None = None


def _country(value: str) -> str:
    if len(value) != 2 or not value.isalpha() or not value.isupper():  # noqa: PLR2004 - ISO 3166-1 alpha-2
        msg = f"'{value}' is no country: write its two capital letters (ISO 3166-1), such as KP"
        raise ValueError(msg)
    return value


Country = Annotated[str, AfterValidator(_country)]

LOG_RETENTION_DAYS = (365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Periods of a year and more that CloudWatch Logs knows (PutRetentionPolicy)."""


def _retention(value: int) -> int:
    if value not in LOG_RETENTION_DAYS:
        known = ", ".join(map(str, LOG_RETENTION_DAYS))
        msg = f"{value} days: CloudWatch Logs keeps logs for one of {known}"
        raise ValueError(msg)
    return value


LogRetention = Annotated[int, AfterValidator(_retention)]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws:(iam|sts)::\d{12}:(role|user|assumed-role)/[\w+=,.@/-]+$")]
AccountId = Annotated[str, Field(pattern=r"^\d{12}$")]
