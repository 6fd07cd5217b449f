"""What a rule is and what it looks at: a resource, the whole stack, and the plan that the stack follows. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from onedallmail.platform.flows import Flow
from onedallmail.platform.options import Options

from .values import NotEstablished, Props


class Severity(StrEnum):
    """How bad a violation is for the platform."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Level(StrEnum):
    """What a violation does: stop the deployment, or be shown."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"


@dataclass(frozen=True)
class Plan:
    """What the stack was asked to be; rules compare resources with it."""

    stack: str
    regions: frozenset[str]
    flows: Sequence[Flow] = ()
    """The intent graph; empty for stacks without networks."""
    options: Options | None = None
    """What a platform stack has or leaves out; None for stacks of other kinds."""
    audit: str = ""
    """Name of the stack that holds the account's detection, when it is not this one."""


@dataclass(frozen=True)
class Resource:
    """One resource: its Pulumi type and name, its inputs by wire name, and the stack's plan.

    Where an engine gives outputs only, they stand for the inputs.
    """

    type: str
    name: str
    props: Props
    plan: Plan
    id: str = ""
    urn: str = ""
    outputs: Mapping[str, object] = field(default_factory=dict)
    """What the provider added; rules do not judge it, other resources refer by it."""
    refers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """URNs of the resources that a property's value comes from, where the engine tells."""

    @property
    def region(self) -> str:
        """The region it lies in, "" for a global one."""
        return str(self.props.get("region") or "")

    @cached_property
    def identities(self) -> frozenset[str]:
        """Every text by which another resource may name this one; what is unknown is left out."""
        names = ("id", "arn", "bucket", "name", "keyId", "zoneId", "vaultName", "url", "defaultNetworkAclId")
        given = (source.known(name) for source in (self.props, Props(self.outputs)) for name in names)
        return frozenset(v for v in (self.id, *given) if isinstance(v, str) and v)


@dataclass(frozen=True)
class Stack:
    """All resources of a stack, found by type and by what they refer to."""

    plan: Plan
    resources: tuple[Resource, ...]

    @cached_property
    def _by_type(self) -> Mapping[str, tuple[Resource, ...]]:
        found: dict[str, list[Resource]] = {}
        for resource in self.resources:
            found.setdefault(resource.type, []).append(resource)
        return {token: tuple(listed) for token, listed in found.items()}

    def of(self, *types: str) -> tuple[Resource, ...]:
        """Return the resources of these types."""
        return tuple(r for token in types for r in self._by_type.get(token, ()))

    def naming(self, subject: Resource, *types: str, by: str) -> tuple[Resource, ...]:
        """Return the resources of these types whose property `by` names `subject`.

        Raises:
            NotEstablished: none does, but one whose property is not known yet may.
        """
        found, open_names = [], []
        for candidate in self.of(*types):
            referred = candidate.refers.get(by.partition(".")[0], frozenset())
            if subject.urn and subject.urn in referred:
                found.append(candidate)
            elif candidate.props.is_unknown(by):
                if not referred:
                    open_names.append(candidate.name)
            elif any(text in subject.identities for text in candidate.props.texts(by)):
                found.append(candidate)
        if not found and open_names:
            message = f"what {', '.join(open_names)} belongs to is not known yet"
            raise NotEstablished(message)
        return tuple(found)

    def named_by(self, source: Resource, by: str, *types: str) -> tuple[Resource, ...]:
        """Return the resources of these types that the property `by` of `source` names."""
        urns = source.refers.get(by.partition(".")[0], frozenset())
        texts = () if source.props.is_unknown(by) else source.props.texts(by)
        return tuple(r for r in self.of(*types) if r.urn in urns or any(text in r.identities for text in texts))

    def in_region(self, region: str, *types: str) -> tuple[Resource, ...]:
        """Return the resources of these types in a region."""
        return tuple(r for r in self.of(*types) if r.region == region)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What all rules say of themselves."""

    id: str
    title: str
    severity: Severity
    level: Level
    controls: tuple[str, ...]
    """Ids of the evidence catalogue (iso27001:A.8.24, soc2:CC6.1) and of the CIS AWS benchmark (cis-aws:3.0/5.4)."""
    remediation: str
    applies_to: tuple[str, ...]
    """Pulumi types; a prefix with * at its end covers all types below it."""

    def covers(self, token: str) -> bool:
        """Tell whether the rule looks at resources of this type."""
        return any(token.startswith(t[:-1]) if t.endswith("*") else token == t for t in self.applies_to)


@dataclass(frozen=True, kw_only=True)
class ResourceRule(Rule):
    """A rule that needs nothing but the resource: checked before it is created."""

    check: Callable[[Resource], Iterable[str]]


@dataclass(frozen=True, kw_only=True)
class StackRule(Rule):
    """A rule about a resource and its company: checked when all resources of the stack are there."""

    check: Callable[[Resource, Stack], Iterable[str]]


AnyRule = ResourceRule | StackRule
