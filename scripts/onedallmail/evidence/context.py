"""What a report says about the platform it looked at: servers, regions, resources, phases, versions, limits.

Whoever builds a bundle fills this in from facts; nothing here is evidence, so nothing here can make a control pass.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, TypeAdapter, ValidationError, with_config

from onedallmail.evidence import canonical


class ContextError(ValueError):
    """A context file cannot be used; the message names the file and the field."""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True)
class CoveredServer:
    """One server of the platform."""

    name: str
    fqdn: str
    role: str
    region: str


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True)
class ResourceCount:
    """How many resources of one type exist as what.

    `realised`: something runs that does the work; `emulated`: an emulator answers; `recorded`: an entry in the
    deployment's state and no more.
    """

    type: str
    realised: int = 0
    emulated: int = 0
    recorded: int = 0


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True)
class Phase:
    """One phase of bringing the platform up."""

    name: str
    started: AwareDatetime
    duration_s: float
    note: str = ""


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, kw_only=True)
class BundleContext:
    """Everything about the platform that the report tells beside the evidence."""

    domain: str
    target: Literal["lab", "aws"]
    servers: tuple[CoveredServer, ...] = ()
    resources: tuple[ResourceCount, ...] = ()
    phases: tuple[Phase, ...] = ()
    git_revision: str = "unknown"
    tool_versions: dict[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions with at least one server, in the order of the servers."""
        return tuple(dict.fromkeys(server.region for server in self.servers))


_ADAPTER = TypeAdapter(BundleContext)


def to_document(context: BundleContext) -> dict[str, Any]:
    """Return the JSON document of a context."""
    document: dict[str, Any] = _ADAPTER.dump_python(context, mode="json")
    return document


def from_document(document: object, *, source: str) -> BundleContext:
    """Return the context in a JSON document; raise ContextError naming `source` when it is none."""
    try:
        return _ADAPTER.validate_json(canonical.encode(document))
    except (ValidationError, canonical.CanonicalError) as error:
        message = f"{source}: {error}"
        raise ContextError(message) from error


def save(context: BundleContext, path: Path) -> None:
    """Write a context where `onedallmail evidence build` finds it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(canonical.encode(to_document(context)) + b"\n")


def load(path: Path) -> BundleContext:
    """Return the context of a file; raise ContextError when it is missing or wrong."""
    try:
        return from_document(canonical.decode(path.read_bytes()), source=str(path))
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror}); bring the platform up first"
        raise ContextError(message) from error
    except canonical.CanonicalError as error:
        message = f"{path}: {error}"
        raise ContextError(message) from error


def from_outputs(outputs: dict[str, Any], *, source: str) -> BundleContext:
    """Return what a stack's outputs alone can tell: domain, target and servers."""
    try:
        servers = tuple(
            CoveredServer(name=row["name"], fqdn=row["fqdn"], role=row["role"], region=row["region"])
            for row in outputs["servers"].values()
        )
        return BundleContext(domain=outputs["domain"], target=outputs["target"], servers=servers)
    except (KeyError, TypeError, AttributeError) as error:
        message = f"{source}: no outputs of a stack: {error!r} is missing or of another form"
        raise ContextError(message) from error
