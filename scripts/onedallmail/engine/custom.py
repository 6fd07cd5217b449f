"""Brings one custom resource to what the program asks for: check, diff, then create, update, replace or nothing."""

import copy
import secrets
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import status_pb2
from pulumi.runtime.proto import provider_pb2 as proto

from . import replacement
from .client import Client
from .deployment import PROVIDER_PREFIX, Deployment
from .errors import ResourceError
from .events import Op
from .state import Resource, timestamp
from .values import from_struct, has_unknown, keep_ignored, keep_secret, reveal, secret


@dataclass(kw_only=True)
class Step:
    """One resource on its way: what was asked (`request`), what was there (`old`), what comes out (`resource`)."""

    run: Deployment
    request: Any
    old: Resource | None
    provider: Client
    inputs: dict[str, Any]
    resource: Resource
    seed: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def check(self, news: dict[str, Any], olds: dict[str, Any]) -> dict[str, Any]:
        """Return the inputs as the provider completes them, secrets marked again."""
        return keep_secret(self.provider.check(self.resource, news, olds, self.seed), news)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done, the properties that are the reason, and for a replacement whether the old one goes first."""

    op: Op
    reasons: tuple[str, ...] = ()
    delete_first: bool = False


def apply(step: Step) -> Resource:
    """Check, diff and act on a custom resource; return it as recorded."""
    plan, checked = decide(step)
    step.resource["inputs"] = checked
    step.run.judge(step.resource)
    if plan.op is Op.SAME:
        return unchanged(step, checked)
    if plan.delete_first:
        replacement.make_way(step.run, step.old or {})
    act(step, plan, checked)
    step.run.done(plan.op, step.resource["urn"], f"[{', '.join(plan.reasons)}]" if plan.reasons else "")
    return step.resource


def decide(step: Step) -> tuple[Plan, dict[str, Any]]:
    """Return what is to be done, and the inputs that it is done with."""
    if step.old is None:
        return Plan(op=Op.CREATE), step.check(step.inputs, {})
    if replacement.is_gone(step.run, step.old) or step.old.get("external"):
        return Plan(op=Op.REPLACE), step.check(step.inputs, {})
    olds = step.old.get("inputs", {})
    kept = copy.deepcopy(step.inputs) if step.request.ignoreChanges else step.inputs
    for path in step.request.ignoreChanges:
        keep_ignored(kept, olds, path)
    checked = step.check(kept, olds)
    plan = compare(step, step.old, checked)
    if plan.op is not Op.REPLACE:
        return plan, checked
    if step.old.get("protect"):
        msg = "it is protected and can't be replaced: remove `protect` first, if that is meant"
        raise ResourceError(msg)
    # A replacement is a new resource: names are drawn anew and ignore_changes has nothing to keep.
    return plan, step.check(step.inputs, {})


def compare(step: Step, old: Resource, checked: dict[str, Any]) -> Plan:
    """Return what the difference to the last time leads to."""
    request = step.request
    answer = step.provider.diff(step.resource, old, checked, request.ignoreChanges)
    replaces = {*answer.replaces, *(p for p in answer.diffs if p in request.replaceOnChanges)}
    if moved(old.get("provider", ""), step.resource["provider"]):
        replaces.add("provider")
    if replaces:
        first = request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else answer.deleteBeforeReplace
        return Plan(op=Op.REPLACE, reasons=tuple(sorted(replaces)), delete_first=first)
    unsure = answer.changes == proto.DiffResponse.DIFF_UNKNOWN and reveal(old.get("inputs", {})) != reveal(checked)
    if answer.changes == proto.DiffResponse.DIFF_SOME or unsure or old.get("initErrors"):
        return Plan(op=Op.UPDATE, reasons=tuple(answer.diffs))
    return Plan(op=Op.SAME)


def moved(old_ref: str, new_ref: str) -> bool:
    """Tell whether the resource changes to another provider (from one default provider to another does not count)."""
    old, new = old_ref.rpartition("::")[0], new_ref.rpartition("::")[0]
    both_default = all(f":{PROVIDER_PREFIX}" in urn and "::default" in urn for urn in (old, new))
    return old_ref != new_ref and not both_default


def unchanged(step: Step, checked: dict[str, Any]) -> Resource:
    """Record a resource that stays as it is (its options may have changed)."""
    assert step.old is not None  # noqa: S101 - only an old one can stay; for mypy
    step.resource |= {"id": step.old["id"], "outputs": keep_secret(step.old.get("outputs", {}), checked)}
    step.run.commit(step.resource, step.old)
    step.run.done(Op.SAME, step.resource["urn"])
    return step.resource


def act(step: Step, plan: Plan, checked: dict[str, Any]) -> None:
    """Create or update, with the intent journalled before and the result after."""
    run, resource, old = step.run, step.resource, step.old
    resource["modified"] = timestamp()
    kind = "updating" if plan.op is Op.UPDATE else "creating"
    stays = plan.op is Op.REPLACE and old is not None and not replacement.is_gone(run, old)
    doom = stays and not (old or {}).get("external")
    if not run.preview:
        if has_unknown(checked):
            msg = "an input is still unknown while resources are made: an output it depends on has no value"
            raise ResourceError(msg)
        intent = {**resource, "id": old["id"]} if plan.op is Op.UPDATE and old else {**resource}
        run.state.record(begin={"resource": intent, "type": kind})
    try:
        if plan.op is Op.UPDATE and old:
            ignored = step.request.ignoreChanges
            resource["id"], outputs = step.provider.update(resource, old, checked, ignored, preview=run.preview)
        else:
            resource["id"], outputs = step.provider.create(resource, checked, preview=run.preview)
    except grpc.RpcError as error:
        if partial := init_failure(error):  # it exists but is not healthy: keep it
            resource |= {"id": partial.id, "outputs": keep_secret(from_struct(partial.properties), checked)}
            resource["initErrors"] = list(partial.reasons)
            run.commit(resource, old, doom=doom, end=kind)
        elif not run.plugins.lost(error):  # a provider that died may have done it
            run.state.record(end=[kind, step.resource["urn"]])
        raise
    outputs = keep_secret(outputs, checked)
    named = set(step.request.additionalSecretOutputs)
    resource["outputs"] = {k: secret(v) if k in named else v for k, v in outputs.items()}
    run.commit(resource, old, doom=doom, end=kind)


def init_failure(error: grpc.RpcError) -> Any:
    """Return the partial resource that a failed call carries, or None."""
    for name, value in error.trailing_metadata() or []:
        if name == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                partial = proto.ErrorResourceInitFailed()
                if detail.Unpack(partial):
                    return partial
    return None
