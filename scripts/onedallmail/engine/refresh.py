"""Refresh: the state follows what the provider finds; what is gone leaves it, interrupted creates are settled."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from . import references
from .deletes import PARALLEL
from .deployment import PROVIDER_PREFIX, Deployment
from .errors import EngineError
from .events import Op, name_of
from .state import Resource, key_of
from .values import keep_secret, reveal

Found = tuple[dict[str, Any], dict[str, Any]]
"""Inputs and outputs of a resource as its provider finds it."""


def refresh(run: Deployment, settled: Mapping[str, str]) -> None:
    """Read every resource in scope, after settling the interrupted creates that `settled` tells the end of.

    `settled` has the id of what a create made by URN or name, or "" when it made nothing. Failures are recorded.
    """
    try:
        settle(run, settled)
    except EngineError as error:
        run.fail("", str(error))
        return
    wanted = [r for r in run.state.olds.values() if readable(r) and run.scope.covers(r["urn"])]
    with ThreadPoolExecutor(PARALLEL) as pool:
        for resource, answer in zip(wanted, pool.map(lambda r: attempt(run, r), wanted), strict=True):
            if isinstance(answer, str):
                run.fail(resource["urn"], answer)
            elif answer is None:
                forget(run, resource)
            else:
                take_over(run, resource, *answer)


def readable(resource: Resource) -> bool:
    """Tell whether a resource can be looked up at a provider."""
    built_in = resource["type"].startswith(PROVIDER_PREFIX) or resource["type"] == references.TYPE
    waits = resource.get("delete") or resource.get("pendingReplacement")
    return bool(resource.get("custom")) and not built_in and not waits


def attempt(run: Deployment, resource: Resource) -> Found | str | None:
    """Return what the provider finds: inputs and outputs, None when it is gone, or why it can't tell."""
    if run.interrupted:
        return "was not read: interrupted"
    try:
        return look_up(run, resource, resource["id"])
    except grpc.RpcError as error:
        return run.plugins.describe(error)
    except EngineError as error:
        return str(error)


def look_up(run: Deployment, resource: Resource, identifier: str) -> Found | None:
    """Read one resource; None when it does not exist."""
    provider, _ = run.provider(resource["provider"], resource["type"], "")
    olds, inputs = resource.get("outputs", {}), resource.get("inputs", {})
    found = provider.read(resource, identifier, olds, inputs)
    if found is None:
        return None
    return keep_secret(found[0], inputs) or inputs, keep_secret(keep_secret(found[1], inputs), olds)


def take_over(run: Deployment, resource: Resource, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    """Record what was found."""
    key, olds = key_of(resource), resource.get("outputs", {})
    changed = sorted(k for k in {**olds, **outputs} if reveal(olds.get(k)) != reveal(outputs.get(k)))
    if changed or inputs != resource.get("inputs", {}):
        now = run.state.olds[key]  # since it was read, references to others that are gone may have left it
        run.state.record(replace=[[key, {**now, "inputs": inputs, "outputs": outputs}]])
        run.done(Op.REFRESH, resource["urn"], f"[{', '.join(changed)}]")
    else:
        run.done(Op.SAME, resource["urn"])


def forget(run: Deployment, gone: Resource) -> None:
    """Drop a resource that no longer exists, and the references to it."""
    others = ((k, r) for k, r in run.state.olds.items() if r["urn"] != gone["urn"] and mentions(r, gone["urn"]))
    pruned = [[key, without(resource, gone)] for key, resource in others]
    run.state.record(drop=[key_of(gone)], replace=pruned)
    run.done(Op.DELETE, gone["urn"], "(does not exist any more)")


def mentions(resource: Resource, urn: str) -> bool:
    """Tell whether a resource refers to `urn`."""
    by_property = (resource.get("propertyDependencies") or {}).values()
    direct = (resource.get("parent"), resource.get("deletedWith"), *resource.get("dependencies", ()))
    return urn in direct or any(urn in urns for urns in by_property)


def without(resource: Resource, gone: Resource) -> Resource:
    """Return a resource without its references to one that is gone; its children move up to that one's parent."""
    urn, kept = gone["urn"], dict(resource)
    if kept.get("deletedWith") == urn:
        del kept["deletedWith"]
    if kept.get("parent") == urn:
        kept["parent"] = gone.get("parent", "")
    if "dependencies" in kept:
        kept["dependencies"] = [u for u in kept["dependencies"] if u != urn]
    if by_property := kept.get("propertyDependencies"):
        kept["propertyDependencies"] = {k: [u for u in urns if u != urn] for k, urns in by_property.items()}
    return kept


def settle(run: Deployment, settled: Mapping[str, str]) -> None:
    """Take interrupted creates into the state, or off the list of pending operations.

    Raises:
        EngineError: there is no such pending create, or its provider does not find the id.
    """
    creates = {p["resource"]["urn"]: p["resource"] for p in run.state.pending if p["type"] == "creating"}
    for name, identifier in settled.items():
        resource = next((r for urn, r in creates.items() if name in (urn, name_of(urn))), None)
        if resource is None:
            known = ", ".join(name_of(urn) for urn in creates) or "none"
            msg = f"no create of '{name}' was interrupted (interrupted ones: {known})"
            raise EngineError(msg)
        found = look_up(run, resource, identifier) if identifier else None
        if identifier and found is None:
            msg = f"{resource['type']} '{identifier}' does not exist: give the id of what '{name}' made, or none"
            raise EngineError(msg)
        if found is None:
            run.state.record(settled=resource["urn"])
        else:
            made = {**resource, "id": identifier, "inputs": found[0], "outputs": found[1]}
            doubled = made["urn"] in run.old  # a later run made it again: this one is deleted by the next up
            run.state.record(settled=resource["urn"], adopt=made | ({"delete": True} if doubled else {}))
            run.done(Op.READ, resource["urn"], f"{identifier} was made by an interrupted create")
