"""What one run of an operation knows and shares: old and new resources, counts, errors, provider clients."""

import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .client import Client
from .errors import ResourceError
from .events import Event, Op, Progress, Violation, name_of
from .plugins import BUILTIN, Plugins, refuse_foreign
from .state import Key, Resource, State, key_of, timestamp
from .values import secret
from .workspace import Workspace

ORGANIZATION = "organization"
STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Which stack runs, its program's folder, and its configuration (`secret_keys` name the secret ones)."""

    project: str
    program: Path
    stack: str
    config: Mapping[str, str]
    secret_keys: frozenset[str]


@dataclass(frozen=True)
class Scope:
    """The resources that an operation is about: URNs or names, with `*` for any text; none means all."""

    targets: tuple[str, ...] = ()

    def covers(self, urn: str) -> bool:
        """Tell whether a resource is in scope."""
        return not self.targets or any(matches(target, urn) for target in self.targets)

    def unmatched(self, urns: Iterable[str]) -> list[str]:
        """Return the targets that no resource matches."""
        known = list(urns)
        return [t for t in self.targets if not any(matches(t, urn) for urn in known)]


def matches(target: str, urn: str) -> bool:
    """Tell whether a target names a resource."""
    return fnmatchcase(urn if target.startswith("urn:") else name_of(urn), target.replace("[", "[[]"))


@dataclass(kw_only=True)
class Deployment:
    """One run. Methods may be called by many threads; `lock` guards the tables."""

    work: Workspace
    target: Target
    state: State
    plugins: Plugins
    preview: bool
    progress: Progress
    scope: Scope = field(default_factory=Scope)
    lock: threading.RLock = field(default_factory=threading.RLock)
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    registered: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    root_urn: str = ""
    taken: set[str] = field(default_factory=set)
    """URNs of old resources that a registration of this run is about, or was."""
    gone: set[str] = field(default_factory=set)
    """URNs of old resources that were deleted because one that they need is replaced."""
    skipped: set[str] = field(default_factory=set)
    """URNs of new resources that the scope leaves out."""
    interrupted: bool = False
    """Somebody asked the run to end: what is under way is finished, the program is not waited for."""
    judge: Callable[[Resource], None] = lambda _: None
    """Raises ResourceError when a resource must not be made (see policy.py)."""
    violations: list[Violation] = field(default_factory=list)
    not_asked: set[str] = field(default_factory=set)
    """Functions and references that were answered without the account (offline only)."""

    def __post_init__(self) -> None:
        """Know no provider yet."""
        self._clients: dict[str, Client] = {}
        self._defaults: dict[tuple[str, str], str] = {}
        self.index()

    def index(self) -> None:
        """Learn what was there before (again, after a refresh)."""
        self.old = {r["urn"]: r for r in self.state.olds.values() if not r.get("delete")}

    # -- reports
    def done(self, op: Op, urn: str, text: str = "") -> None:
        """Count and report a finished step."""
        event = Event(op=op, urn=urn, text=text)
        with self.lock:
            if not event.internal:
                self.counts[op] += 1
            self.progress(event)

    def fail(self, urn: str, message: str) -> None:
        """Record an error; nothing new is begun after the first."""
        with self.lock:
            self.errors.append(f"{name_of(urn)}: {message}" if urn else message)
            self.progress(Event(urn=urn, text=message, severity="error"))

    def interrupt(self) -> None:
        """End the run early: no step is begun any more."""
        self.interrupted = True
        self.fail("", "interrupted: steps under way are finished, nothing new is begun (once more to end at once)")

    def say(self, severity: str, message: str, urn: str = "") -> None:
        """Report a message."""
        with self.lock:
            self.progress(Event(urn=urn, text=message, severity=severity))

    # -- names
    def urn(self, type_: str, name: str, parent: str) -> str:
        """Return the URN of a resource below `parent` (a URN, or '')."""
        parent_type = parent.split("::")[2] if parent else ""
        chain = f"{parent_type}$" if parent_type not in ("", STACK_TYPE) else ""
        return f"urn:pulumi:{self.target.stack}::{self.target.project}::{chain}{type_}::{name}"

    def claim(self, urn: str, aliases: Iterable[str] = ()) -> Resource | None:
        """Reserve a URN for one registration of this run and return the old resource that it is about."""
        with self.lock:
            if urn in self.registered:
                msg = f"two resources have the URN {urn}: give one of them another name"
                raise ResourceError(msg)
            self.registered[urn] = {"urn": urn}
            old = next((self.old[u] for u in (urn, *aliases) if u in self.old), None)
            if old:
                self.taken.add(old["urn"])
        return old

    # -- results
    def commit(self, resource: Resource, old: Resource | None, *, doom: bool = False, end: str = "") -> None:
        """Make `resource` what the program asked for; `old` is superseded, or doomed: deleted at the end."""
        with self.lock:
            self.registered[resource["urn"]] = resource
        keys: list[Key] = [key_of(old)] if old else []
        entry: dict[str, Any] = {"put": resource, "delete" if doom else "drop": keys}
        if old and old["urn"] != resource["urn"]:
            entry["renamed"] = {old["urn"]: resource["urn"]}
        if end:
            entry["end"] = [end, resource["urn"]]
        self.state.record(**entry)

    # -- providers
    def provider(self, ref: str, type_: str, version: str) -> tuple[Client, str]:
        """Return client and reference: of `ref`, or of the default provider of the type's package."""
        package = type_.split(":", maxsplit=1)[0]
        refuse_foreign(package)
        with self.lock:
            if not ref:
                key = (package, version)
                if key not in self._defaults:
                    self._defaults[key] = self._default_provider(package, version)
                ref = self._defaults[key]
            if ref not in self._clients:
                self._clients[ref] = self._old_client(ref)
            return self._clients[ref], ref

    def _default_provider(self, package: str, version: str) -> str:
        name = "default" + ("_" + re.sub(r"[.+-]", "_", version) if version else "")
        urn = self.urn(f"{PROVIDER_PREFIX}{package}", name, "")
        config = {
            key.split(":", 1)[1]: secret(value) if key in self.target.secret_keys else value
            for key, value in self.target.config.items()
            if key.startswith(package + ":")
        }
        versioned = {"version": version} if version else {}
        return self.put_provider(urn, {"__internal": {}, **config, **versioned}, {}, self.claim(urn))

    def put_provider(self, urn: str, inputs: dict[str, Any], extra: Mapping[str, Any], old: Resource | None) -> str:
        """Register a provider resource, start what it stands for, and return its reference."""
        type_ = urn.split("::")[2].rsplit("$", maxsplit=1)[-1]
        package = type_.removeprefix(PROVIDER_PREFIX)
        refuse_foreign(package)
        same = old is not None and old["inputs"] == inputs
        identifier = old["id"] if old else str(uuid.uuid4())
        now = timestamp()
        resource = {
            "urn": urn,
            "custom": True,
            "id": identifier,
            "type": type_,
            "inputs": inputs,
            "outputs": {k: v for k, v in inputs.items() if k != "__internal"},
            **extra,
            "created": old.get("created", now) if old else now,
            "modified": old.get("modified", now) if old and same else now,
        }
        ref = f"{urn}::{identifier}"
        client = Client(None) if package == BUILTIN else self.plugins.client(ref, package, inputs)
        with self.lock:
            self._clients[ref] = client
        self.commit(resource, old)
        self.done(Op.SAME if same else Op.UPDATE if old else Op.CREATE, urn)
        return ref

    def _old_client(self, ref: str) -> Client:
        urn = ref.rpartition("::")[0]
        resource = self.state.news.get(urn) or self.old.get(urn)
        if resource is None:
            msg = f"its provider {urn} is neither in the program nor in the state: import a complete state"
            raise ResourceError(msg)
        return self.plugins.client(ref, resource["type"].removeprefix(PROVIDER_PREFIX), resource["inputs"])


def needs(resource: Resource) -> set[str]:
    """Return the URNs that a resource depends on: declared, by property, parent, container and provider."""
    by_property: Iterable[list[str]] = (resource.get("propertyDependencies") or {}).values()
    found = {*resource.get("dependencies", ()), *(urn for urns in by_property for urn in urns)}
    found |= {resource.get("parent", ""), resource.get("deletedWith", "")}
    found.add(resource.get("provider", "").rpartition("::")[0])
    return found - {""}
