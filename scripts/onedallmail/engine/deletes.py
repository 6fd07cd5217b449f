"""Deletes what the program no longer asks for: dependents before what they need, in parallel where that allows."""

from collections import defaultdict
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import grpc
from pulumi.runtime.proto import provider_pb2 as proto

from .deployment import PROVIDER_PREFIX, Deployment, needs
from .events import Op
from .state import Resource, key_of
from .values import reveal, to_struct

PARALLEL = 16


def delete_resource(run: Deployment, resource: Resource, *, with_container: bool = False) -> None:
    """Delete one resource at its provider (unless it only leaves the state) and record that it is gone."""
    urn = resource["urn"]
    entry: dict[str, object] = {"drop": [key_of(resource)]}
    at_provider = (
        resource.get("custom")
        and not resource["type"].startswith(PROVIDER_PREFIX)
        and not resource.get("external")
        and not resource.get("retainOnDelete")
        and not with_container
    )
    if at_provider and not run.preview:
        provider, _ = run.provider(resource["provider"], resource["type"], "")
        run.state.record(begin={"resource": resource, "type": "deleting"})
        entry["end"] = ["deleting", urn]
        try:
            provider.Delete(
                proto.DeleteRequest(
                    id=resource["id"],
                    urn=urn,
                    properties=to_struct(reveal(resource.get("outputs", {}))),
                    old_inputs=to_struct(reveal(resource.get("inputs", {}))),
                    name=urn.rsplit("::", 1)[-1],
                    type=resource["type"],
                )
            )
        except grpc.RpcError:
            run.state.record(end=["deleting", urn])
            raise
    if not run.preview:
        run.state.record(**entry)
    if not resource["type"].startswith(PROVIDER_PREFIX) or "::default" not in urn:  # nobody asked for a default one
        run.done(Op.DELETE, urn, "(replaced)" if resource.get("delete") else "")


def unwanted(run: Deployment, *, everything: bool) -> list[Resource]:
    """Return the old resources that have to go."""
    if not run.preview:
        return list(run.state.olds)  # what the run kept has moved to the new ones
    olds = run.state.olds
    return [r for r in olds if everything or r.get("delete") or r["urn"] not in run.wanted]


def delete_unwanted(run: Deployment, *, everything: bool = False) -> None:
    """Delete all that is not wanted; a failure stops new deletes and is recorded."""
    todo = unwanted(run, everything=everything)
    protected = [r["urn"] for r in todo if r.get("protect") and not r.get("delete")]
    if protected:
        names = ", ".join(urn.rsplit("::", 1)[-1] for urn in protected)
        run.fail(protected[0], f"protected resources can't be deleted ({names}): remove `protect` and run `up` first")
        return
    going = {r["urn"] for r in todo}
    waits = _order(todo)
    left, running = set(waits), dict[Future[None], int]()
    with ThreadPoolExecutor(PARALLEL) as pool:
        while left or running:
            for index in sorted(i for i in left if not waits[i] and not run.errors):
                left.discard(index)
                contained = todo[index].get("deletedWith") in going
                running[pool.submit(delete_resource, run, todo[index], with_container=contained)] = index
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                index = running.pop(future)
                error = future.exception()
                if error is None:
                    for waiting in waits.values():
                        waiting.discard(index)
                else:
                    text = error.details() if isinstance(error, grpc.RpcError) else str(error)
                    run.fail(todo[index]["urn"], f"can't be deleted: {text}")


def _order(todo: list[Resource]) -> dict[int, set[int]]:
    """Return, by index, the indices that have to be gone before."""
    by_urn = defaultdict(list)
    for index, resource in enumerate(todo):
        by_urn[resource["urn"]].append(index)
    waits: dict[int, set[int]] = {index: set() for index in range(len(todo))}
    for index, resource in enumerate(todo):
        for urn in needs(resource):
            for needed in by_urn.get(urn, ()):
                if needed != index:
                    waits[needed].add(index)
    return waits
