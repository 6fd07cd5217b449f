"""What a registration leads to, by the kind of resource: component, provider, custom resource, or one that is read."""

from typing import Any

from . import custom, references
from .deployment import PROVIDER_PREFIX, Deployment, needs
from .errors import ResourceError
from .events import Op, name_of
from .plugins import BUILTIN
from .state import Resource, key_of, timestamp
from .values import from_struct

REFUSED = {
    "remote": "remote components",
    "replace_with": "the option replace_with",
    "replacement_trigger": "the option replacement_trigger",
    "hooks": "resource hooks",
    "transforms": "remote transforms",
    "packageRef": "parameterised packages",
    "state_migrations": "state migrations",
    "envVarMappings": "envVarMappings",
}
COPIED_LISTS = ("additionalSecretOutputs", "ignoreChanges", "replaceOnChanges")
COPIED_FLAGS = ("protect", "retainOnDelete", "deletedWith")
PROVIDER_FIELDS = ("parent", "protect", "dependencies", "propertyDependencies", "additionalSecretOutputs")


def register(run: Deployment, request: Any, urn: str) -> Resource:
    """Bring one resource to what the program asks for and return it as recorded.

    Raises:
        ResourceError: the request is refused, or the provider refuses the inputs.
        grpc.RpcError: the provider failed.
    """
    refuse_unsupported(run, request, urn)
    old = run.claim(urn, request.aliasURNs)
    inputs = from_struct(request.object)
    resource = describe(request, urn, inputs, old)
    if request.type.startswith(PROVIDER_PREFIX):
        return register_provider(run, request, resource, old)
    if not request.custom:
        return register_component(run, resource, old)
    if not run.scope.covers(urn):
        return leave(run, resource, old)
    refuse_skipped(run, resource)
    provider, resource["provider"] = run.provider(request.provider, request.type, request.version)
    return custom.apply(
        custom.Step(run=run, request=request, old=old, provider=provider, inputs=inputs, resource=resource)
    )


def refuse_unsupported(run: Deployment, request: Any, urn: str) -> None:
    """Raise ResourceError for what this engine does not do."""
    for name, what in REFUSED.items():
        value = getattr(request, name, None)
        if value and (not hasattr(value, "ByteSize") or value.ByteSize()):
            msg = f"the embedded engine does not do {what}: remove them, or run this stack with a pulumi command"
            raise ResourceError(msg)
    if request.custom and request.type.split(":")[0] == BUILTIN and not request.type.startswith(PROVIDER_PREFIX):
        msg = f"the embedded engine does not make a {request.type}: run this stack with a pulumi command"
        raise ResourceError(msg)
    if request.importId and run.old.get(urn, {}).get("id") != request.importId:
        msg = f"the embedded engine does not import resources (id {request.importId}): remove import_ from the options"
        raise ResourceError(msg)


def describe(request: Any, urn: str, inputs: dict[str, Any], old: Resource | None) -> Resource:
    """Return the resource as the state records it, before its provider was asked."""
    now = timestamp()
    resource: Resource = {"urn": urn, "custom": request.custom, "type": request.type}
    resource |= {"inputs": inputs, "outputs": {}}
    if request.parent:
        resource["parent"] = request.parent
    resource |= {name: value for name in COPIED_FLAGS if (value := getattr(request, name))}
    resource |= {name: list(value) for name in COPIED_LISTS if (value := getattr(request, name))}
    if request.dependencies:
        resource["dependencies"] = sorted(request.dependencies)
    if request.custom:
        by_property = request.propertyDependencies.items()
        resource["propertyDependencies"] = {name: sorted(found.urns) for name, found in by_property}
    resource["created"] = old.get("created", now) if old else now
    resource["modified"] = old.get("modified", now) if old else now
    return resource


def register_provider(run: Deployment, request: Any, resource: Resource, old: Resource | None) -> Resource:
    """Register an explicit provider resource."""
    version = {"version": request.version} if request.version else {}
    inputs = {"__internal": {}, **resource["inputs"], **version}
    extra = {name: resource[name] for name in PROVIDER_FIELDS if name in resource}
    ref = run.put_provider(resource["urn"], inputs, extra, old)
    return {**resource, "id": ref.rpartition("::")[2], "outputs": resource["inputs"]}


def register_component(run: Deployment, resource: Resource, old: Resource | None) -> Resource:
    """Register a component: it has no provider and keeps its outputs until it registers new ones."""
    inputs = resource["inputs"]
    if not inputs:
        del resource["inputs"]
    if old:
        resource["outputs"] = old.get("outputs", {})
    run.judge(resource)
    run.commit(resource, old)
    run.done(Op.SAME if old else Op.CREATE, resource["urn"])
    return {**resource, "outputs": inputs}


def leave(run: Deployment, resource: Resource, old: Resource | None) -> Resource:
    """Keep a resource that is out of scope as it is, and skip a new one."""
    if old is None:
        with run.lock:
            run.skipped.add(resource["urn"])
        return {**resource, "skipped": True}
    kept = {**old, "urn": resource["urn"]}
    run.commit(kept, old)
    run.done(Op.SAME, resource["urn"])
    return kept


def refuse_skipped(run: Deployment, resource: Resource) -> None:
    """Raise ResourceError when a resource needs a new one that is out of scope."""
    if missing := sorted(name_of(urn) for urn in needs(resource) & run.skipped):
        msg = f"it needs {', '.join(missing)}, which --target leaves out: add --target {' --target '.join(missing)}"
        raise ResourceError(msg)


def read(run: Deployment, request: Any, urn: str) -> Resource:
    """Read a resource that exists outside the stack (`Resource.get`)."""
    old = run.claim(urn)
    provider, ref = run.provider(request.provider, request.type, request.version)
    now = timestamp()
    resource: Resource = {"urn": urn, "custom": True, "id": request.id, "type": request.type, "external": True}
    resource["provider"] = ref
    if request.type == references.TYPE:
        resource |= {"inputs": {"name": request.id}, "outputs": refer(run, request.id)}
    else:
        found = provider.read(resource, request.id, from_struct(request.properties), {})
        if found is None:
            msg = f"{request.type} '{request.id}' does not exist: nothing in this stack or the lab has that id"
            raise ResourceError(msg)
        resource["inputs"], resource["outputs"] = found
    resource |= {"dependencies": sorted(request.dependencies), "created": now, "modified": now}
    if request.parent:
        resource["parent"] = request.parent
    owned_before = bool(old and not old.get("external") and key_of(old) != key_of(resource))
    run.commit(resource, old, doom=owned_before)
    run.done(Op.READ, urn)
    return resource


def refer(run: Deployment, name: str) -> dict[str, Any]:
    """Return the properties of a reference to another stack."""
    other = references.resolve(run.work, run.target.project, name, may_be_missing=run.work.offline and run.preview)
    if not other.resolved:
        with run.lock:
            run.not_asked.add(f"the outputs of the stack '{name}', which has no state here: they count as unknown")
    return other.properties
