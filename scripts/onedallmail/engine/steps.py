"""What a registration leads to: check, diff, then create, update, replace or nothing; Pulumi's own order of steps."""

import copy
import secrets
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2 as proto

from .deletes import delete_resource
from .deployment import PROVIDER_PREFIX, Deployment
from .errors import ResourceError
from .events import Op
from .state import Resource, timestamp
from .values import from_struct, has_unknown, keep_ignored, keep_secret, reveal, secret, to_struct

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


@dataclass(kw_only=True)
class Step:
    """One resource on its way: what was asked (`request`), what was there (`old`), what comes out (`resource`)."""

    run: Deployment
    request: Any
    urn: str
    old: Resource | None
    provider: Any
    inputs: dict[str, Any]
    resource: Resource
    seed: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    @property
    def names(self) -> dict[str, Any]:
        """Return the fields that each provider call carries."""
        return {"urn": self.urn, "name": self.request.name, "type": self.request.type}

    @property
    def old_inputs(self) -> dict[str, Any]:
        """Inputs of the last time, {} when there was none."""
        return dict((self.old or {}).get("inputs", {}))

    @property
    def old_outputs(self) -> dict[str, Any]:
        """Outputs of the last time, {} when there was none."""
        return dict((self.old or {}).get("outputs", {}))


def register(run: Deployment, request: Any, urn: str) -> Resource:
    """Bring one resource to what the program asks for and return it as recorded.

    Raises:
        ResourceError: the request is refused, or the provider refuses the inputs.
        grpc.RpcError: the provider failed.
    """
    refuse_unsupported(run, request, urn)
    run.claim(urn)
    inputs = from_struct(request.object)
    old = next((run.old[u] for u in (urn, *request.aliasURNs) if u in run.old), None)
    resource = describe(request, urn, inputs, old)
    if request.type.startswith(PROVIDER_PREFIX):
        return register_provider(run, request, resource)
    if not request.custom:
        return register_component(run, resource, old)
    provider, resource["provider"] = run.provider(request.provider, request.type, request.version)
    step = Step(run=run, request=request, urn=urn, old=old, provider=provider, inputs=inputs, resource=resource)
    return apply(step)


def refuse_unsupported(run: Deployment, request: Any, urn: str) -> None:
    """Raise ResourceError for what the embedded engine does not do."""
    for name, words in REFUSED.items():
        value = getattr(request, name)
        # Messages are sent empty when the option is not used; lists and texts are then falsy.
        if value.ListFields() if hasattr(value, "ListFields") else value:
            msg = f"the embedded engine does not do {words}: remove them, or run this stack with a pulumi command"
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


def register_provider(run: Deployment, request: Any, resource: Resource) -> Resource:
    """Register an explicit provider resource."""
    version = {"version": request.version} if request.version else {}
    inputs = {"__internal": {}, **resource["inputs"], **version}
    kept = ("parent", "protect", "dependencies", "propertyDependencies", "additionalSecretOutputs")
    ref = run.put_provider(resource["urn"], inputs, {k: resource[k] for k in kept if k in resource})
    return {**resource, "id": ref.rpartition("::")[2], "outputs": resource["inputs"]}


def register_component(run: Deployment, resource: Resource, old: Resource | None) -> Resource:
    """Register a component: it has no provider and keeps its outputs until it registers new ones."""
    inputs = resource["inputs"]
    if not inputs:
        del resource["inputs"]
    if old:
        resource["outputs"] = old.get("outputs", {})
    run.commit(resource, old)
    run.done(Op.SAME if old else Op.CREATE, resource["urn"])
    return {**resource, "outputs": inputs}


def apply(step: Step) -> Resource:
    """Check, diff and act on a custom resource."""
    untouched = copy.deepcopy(step.inputs)
    if step.old:
        for path in step.request.ignoreChanges:
            keep_ignored(step.inputs, step.old_inputs, path)
    checked = check(step, step.inputs, step.old_inputs)
    op, reasons, must_free_first = diff(step, checked)
    if op is Op.REPLACE:
        # A replacement is a new resource: names are drawn anew and ignore_changes has nothing to keep.
        checked = check(step, untouched, {})
        refuse_replacement(step, must_free_first)
    step.resource["inputs"] = checked
    if op is Op.SAME:
        return unchanged(step, checked)
    if op is Op.REPLACE and must_free_first and not step.run.preview:
        assert step.old is not None  # noqa: S101 - a replacement has a predecessor; for mypy
        delete_resource(step.run, step.old)
        step.run.wanted.add(step.old["urn"])
    act(step, op, checked, superseded=step.old if not (op is Op.REPLACE and must_free_first) else None)
    step.run.done(op, step.urn, f"[{', '.join(reasons)}]" if reasons else "")
    return step.resource


def check(step: Step, news: dict[str, Any], olds: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs as the provider completes them, secrets marked again."""
    answer = step.provider.Check(
        proto.CheckRequest(
            **step.names, olds=to_struct(reveal(olds)), news=to_struct(reveal(news)), randomSeed=step.seed
        )
    )
    if answer.failures:
        reasons = (f"{f.property}: {f.reason}" if f.property else f.reason for f in answer.failures)
        raise ResourceError("; ".join(reasons))
    return keep_secret(from_struct(answer.inputs), news)


def diff(step: Step, checked: dict[str, Any]) -> tuple[Op, list[str], bool]:
    """Return what is to be done, the properties that are the reason, and whether the old one goes first."""
    if step.old is None:
        return Op.CREATE, [], False
    request, news, olds = step.request, reveal(checked), reveal(step.old_inputs)
    answer = step.provider.Diff(
        proto.DiffRequest(
            **step.names,
            id=step.old["id"],
            olds=to_struct(reveal(step.old_outputs)),
            news=to_struct(news),
            old_inputs=to_struct(olds),
            ignoreChanges=request.ignoreChanges,
        )
    )
    replaces = [*answer.replaces, *(p for p in answer.diffs if p in request.replaceOnChanges)]
    if replaces:
        return Op.REPLACE, sorted(set(replaces)), request.deleteBeforeReplace or answer.deleteBeforeReplace
    unsure = answer.changes == proto.DiffResponse.DIFF_UNKNOWN and olds != news
    changed = answer.changes == proto.DiffResponse.DIFF_SOME or unsure
    return (Op.UPDATE if changed else Op.SAME), list(answer.diffs), False


def refuse_replacement(step: Step, must_free_first: bool) -> None:
    """Raise ResourceError for a replacement that can't be done."""
    assert step.old is not None  # noqa: S101 - a replacement has a predecessor; for mypy
    if step.old.get("protect"):
        msg = "it is protected and can't be replaced: remove `protect` first, if that is meant"
        raise ResourceError(msg)
    if must_free_first and (found := step.run.dependents(step.old["urn"])):
        names = ", ".join(urn.rsplit("::", 1)[-1] for urn in found)
        msg = (
            f"delete_before_replace would need its dependents ({names}) replaced too, which the embedded engine "
            "does not do: remove the option or run this stack with a pulumi command"
        )
        raise ResourceError(msg)


def unchanged(step: Step, checked: dict[str, Any]) -> Resource:
    """Record a resource that stays as it is (its options may have changed)."""
    assert step.old is not None  # noqa: S101 - only an old one can stay; for mypy
    step.resource |= {"id": step.old["id"], "outputs": keep_secret(step.old_outputs, checked)}
    step.run.commit(step.resource, step.old)
    step.run.done(Op.SAME, step.urn)
    return step.resource


def act(step: Step, op: Op, checked: dict[str, Any], superseded: Resource | None) -> None:
    """Create or update, with the intent journalled before and the result after."""
    run, resource = step.run, step.resource
    resource["modified"] = timestamp()
    kind = "updating" if op is Op.UPDATE else "creating"
    doom = op is Op.REPLACE and superseded is not None
    if not run.preview:
        if has_unknown(checked):
            msg = "an input is still unknown while resources are made: an output it depends on has no value"
            raise ResourceError(msg)
        intent = {**resource, "id": step.old["id"]} if op is Op.UPDATE and step.old else resource
        run.state.record(begin={"resource": intent, "type": kind})
    try:
        identifier, outputs = call(step, op, checked)
    except grpc.RpcError as error:
        if run.preview:
            raise
        if partial := init_failure(error):  # it exists but is not healthy: keep it
            resource |= {"id": partial.id, "outputs": keep_secret(from_struct(partial.properties), checked)}
            resource["initErrors"] = list(partial.reasons)
            run.commit(resource, superseded, doom=doom, end=kind)
        else:
            run.state.record(end=[kind, step.urn])
        raise
    outputs = keep_secret(outputs, checked)
    named = set(step.request.additionalSecretOutputs)
    resource["outputs"] = {k: secret(v) if k in named else v for k, v in outputs.items()}
    resource["id"] = identifier
    run.commit(resource, superseded, doom=doom, end=kind)


def call(step: Step, op: Op, checked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Ask the provider to create or update; return id and outputs."""
    preview, news = step.run.preview, to_struct(reveal(checked))
    if op is not Op.UPDATE or step.old is None:
        made = step.provider.Create(proto.CreateRequest(**step.names, properties=news, preview=preview))
        return made.id, from_struct(made.properties)
    answer = step.provider.Update(
        proto.UpdateRequest(
            **step.names,
            id=step.old["id"],
            olds=to_struct(reveal(step.old_outputs)),
            old_inputs=to_struct(reveal(step.old_inputs)),
            news=news,
            ignoreChanges=step.request.ignoreChanges,
            preview=preview,
        )
    )
    return step.old["id"], from_struct(answer.properties)


def init_failure(error: grpc.RpcError) -> Any:
    """Return the partial resource that a failed call carries, or None."""
    for name, value in error.trailing_metadata() or []:
        if name == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                partial = proto.ErrorResourceInitFailed()
                if detail.Unpack(partial):
                    return partial
    return None


def read(run: Deployment, request: Any, urn: str) -> Resource:
    """Read a resource that exists outside the stack (`Resource.get`)."""
    run.claim(urn)
    provider, ref = run.provider(request.provider, request.type, request.version)
    answer = provider.Read(
        proto.ReadRequest(
            id=request.id,
            urn=urn,
            name=request.name,
            type=request.type,
            properties=to_struct(reveal(from_struct(request.properties))),
        )
    )
    if not answer.id:
        msg = f"{request.type} '{request.id}' does not exist: nothing in this stack or the lab has that id"
        raise ResourceError(msg)
    now = timestamp()
    resource: Resource = {"urn": urn, "custom": True, "id": answer.id, "type": request.type, "external": True}
    resource |= {"inputs": from_struct(answer.inputs), "outputs": from_struct(answer.properties), "provider": ref}
    resource |= {"dependencies": sorted(request.dependencies), "created": now, "modified": now}
    if request.parent:
        resource["parent"] = request.parent
    run.commit(resource, run.old.get(urn))
    run.done(Op.READ, urn)
    return resource
