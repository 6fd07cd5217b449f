"""Stack files of the accounts around the platform: keys, audit and management, apart by what a mistake can break."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from .options import AccountId, Email, LogRetention, RoleArn, Strict
from .regions import AWS_REGIONS
from .stack import StackConfig, StackError, explain, parse_stack

Owner = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")]


class StackKind(StrEnum):
    """What a stack is for; the name of its example file says it, too."""

    PLATFORM = "platform"
    """Networks, servers, edge, names: what carries the mail."""
    KEYS = "keys"
    """KMS keys by data class and the DNSSEC key, in an account of their own."""
    AUDIT = "audit"
    """Log archive and detection for the whole organisation."""
    MANAGEMENT = "management"
    """The organisation itself: accounts, guardrails, budgets."""


class _Account(Strict):
    stack: str
    target: Literal["lab", "aws"]
    owner: Owner
    regions: tuple[str, ...] = Field(min_length=1)
    account_id: AccountId | None = None

    @property
    def domains(self) -> tuple[str, ...]:
        """Mail domains: none, only platforms have them."""
        return ()

    @field_validator("regions")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - AWS_REGIONS):
            msg = f"unknown AWS region {', '.join(unknown)}: see platform/regions.py"
            raise ValueError(msg)
        if len(set(value)) != len(value):
            msg = "a region is listed twice"
            raise ValueError(msg)
        return value


class Contact(Strict):
    """Whom AWS reaches about an account besides its owner (CIS AWS Foundations 1.2)."""

    kind: Literal["BILLING", "OPERATIONS", "SECURITY"]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    title: Annotated[str, Field(min_length=1, max_length=50)]
    email: Email
    phone: Annotated[str, Field(pattern=r"^\+[0-9][0-9 ()-]{5,19}$")]


def _one_of_a_kind(value: tuple[Contact, ...]) -> tuple[Contact, ...]:
    kinds = [contact.kind for contact in value]
    if len(set(kinds)) != len(kinds):
        msg = "two contacts are of one kind: AWS keeps one each of BILLING, OPERATIONS, SECURITY"
        raise ValueError(msg)
    return value


Contacts = Annotated[tuple[Contact, ...], AfterValidator(_one_of_a_kind)]


class KeysConfig(_Account):
    """The first region holds the primary keys, the others their replicas."""

    kind: Literal[StackKind.KEYS]
    key_administrators: tuple[RoleArn, ...] = ()
    user_accounts: tuple[AccountId, ...] = ()
    """Accounts whose roles may use the keys, as their own policies grant it."""


class AuditConfig(_Account):
    """The first region is the home of trail and aggregators; `archive_region` keeps the copies."""

    kind: Literal[StackKind.AUDIT]
    archive_region: str
    organization_id: Annotated[str, Field(pattern=r"^o-[a-z0-9]{10,32}$")] | None = None
    management_account_id: AccountId | None = None
    """Owns the organisation's trail, whoever makes it (CloudTrail: organization trails)."""
    source_accounts: tuple[AccountId, ...] = ()
    """Accounts whose services deliver logs to the archive."""
    contacts: Contacts = ()
    log_retention_days: LogRetention = 400
    archive_years: Annotated[int, Field(ge=1, le=10)] = 7
    alert_emails: tuple[Email, ...] = ()
    detective: bool = False
    key_administrators: tuple[RoleArn, ...] = ()

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.archive_region not in AWS_REGIONS or self.archive_region == self.regions[0]:
            msg = f"archiveRegion '{self.archive_region}' must be an AWS region other than the first of regions"
            raise ValueError(msg)
        if (self.organization_id is None) != (self.management_account_id is None):
            msg = "organizationId and managementAccountId belong together: the organisation's trail is that account's"
            raise ValueError(msg)
        return self


class MemberAccount(Strict):
    """An account that the organisation creates."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,48}$")]
    email: Email
    unit: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,48}$")]


class ManagementConfig(_Account):
    """`regions` are those that member accounts may use; everything else is denied."""

    kind: Literal[StackKind.MANAGEMENT]
    accounts: tuple[MemberAccount, ...] = Field(min_length=1)
    audit_account: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,48}$")]
    """Name of the account that administers detection for all."""
    alert_emails: tuple[Email, ...] = Field(min_length=1)
    monthly_budget_usd: Annotated[int, Field(ge=1)]
    anomaly_threshold_usd: Annotated[int, Field(ge=1)] = 50
    contacts: Contacts = ()
    """Of this account and of every account of the organisation."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [a.name for a in self.accounts]
        if len(set(names)) != len(names) or len({a.email for a in self.accounts}) != len(names):
            msg = "accounts: each needs a name and an e-mail address of its own"
            raise ValueError(msg)
        if self.audit_account not in names:
            msg = f"auditAccount '{self.audit_account}' is none of accounts: {', '.join(names)}"
            raise ValueError(msg)
        return self


AnyConfig = StackConfig | KeysConfig | AuditConfig | ManagementConfig

MODELS: dict[StackKind, type[KeysConfig | AuditConfig | ManagementConfig]] = {
    StackKind.KEYS: KeysConfig,
    StackKind.AUDIT: AuditConfig,
    StackKind.MANAGEMENT: ManagementConfig,
}


def kind_of(stack: str, settings: Mapping[str, Any]) -> StackKind:
    """Return the kind that a stack file states; a platform where it states none.

    Raises:
        StackError: there is no such kind.
    """
    stated = settings.get("kind", StackKind.PLATFORM)
    try:
        return StackKind(stated)
    except ValueError as error:
        msg = f"Pulumi.{stack}.yaml: kind: '{stated}' is none of {', '.join(StackKind)}"
        raise StackError(msg) from error


def parse_any(stack: str, settings: Mapping[str, Any]) -> AnyConfig:
    """Return the model of a stack's settings, whatever its kind.

    Raises:
        StackError: one line a wrong field, with its path.
    """
    kind = kind_of(stack, settings)
    if kind is StackKind.PLATFORM:
        return parse_stack(stack, settings)
    try:
        return MODELS[kind].model_validate({**settings, "stack": stack, "kind": kind})
    except ValidationError as error:
        raise StackError(explain(stack, error)) from error
