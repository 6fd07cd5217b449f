"""Deletes what the program no longer asks for: dependents before what they need, in parallel where that allows."""

from collections import defaultdict
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import grpc

from .deployment import PROVIDER_PREFIX, Deployment, needs
from .events import Op, name_of
from .state import Key, Resource

PARALLEL = 16


def delete_resource(
    run: Deployment, key: Key, resource: Resource, *, with_container: bool = False, for_replacement: bool = False
) -> None:
    """Delete one resource at its provider, unless it only leaves the state, and record that it is gone.

    With `for_replacement` it stays in the state, marked, until its replacement is made.
    """
    urn = resource["urn"]
    gone_before = bool(resource.get("pendingReplacement"))
    entry: dict[str, Any] = {"pendingReplacement" if for_replacement else "drop": [key]}
    at_provider = (
        resource.get("custom")
        and not resource["type"].startswith(PROVIDER_PREFIX)
        and not resource.get("external")
        and not resource.get("retainOnDelete")
        and not with_container
        and not gone_before
    )
    if at_provider and not run.preview:
        provider, _ = run.provider(resource["provider"], resource["type"], "")
        run.state.record(begin={"resource": resource, "type": "deleting"})
        entry["end"] = ["deleting", urn]
        try:
            provider.delete(resource)
        except grpc.RpcError as error:
            if not run.plugins.lost(error):
                run.state.record(end=["deleting", urn])
            raise
    run.state.record(**entry)
    replaced = for_replacement or resource.get("delete")
    run.done(Op.REMOVE_PENDING if gone_before else Op.DELETE_REPLACED if replaced else Op.DELETE, urn)


def delete_unwanted(run: Deployment) -> None:
    """Delete every old resource in scope that the run did not keep or supersede (all of them, if no program ran).

    Protected ones, and what they need, stay and are named as an error. A failure stops new deletes and is recorded.
    """
    chosen = {k: r for k, r in run.state.olds.items() if run.scope.covers(r["urn"])}
    keys, todo = list(chosen), list(chosen.values())
    if refused := needed_outside(run, todo):
        run.fail("", f"{refused}: add it with --target")
        return
    waits = _order(todo)
    blocked = {i for i, r in enumerate(todo) if r.get("protect") and not r.get("delete")}
    for index in sorted(blocked):
        run.fail(todo[index]["urn"], "it is protected and can't be deleted: remove `protect` and run `up` first")
    known = len(run.errors)
    going = {r["urn"] for r in todo}
    left, running = set(waits) - blocked, dict[Future[None], int]()
    with ThreadPoolExecutor(PARALLEL) as pool:
        while left or running:
            for index in sorted(i for i in left if not waits[i] and len(run.errors) == known):
                left.discard(index)
                contained = todo[index].get("deletedWith") in going
                task = pool.submit(delete_resource, run, keys[index], todo[index], with_container=contained)
                running[task] = index
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                index = running.pop(future)
                error = future.exception()
                if error is None:
                    for waiting in waits.values():
                        waiting.discard(index)
                else:
                    text = run.plugins.describe(error) if isinstance(error, grpc.RpcError) else str(error)
                    run.fail(todo[index]["urn"], f"can't be deleted: {text}")


def needed_outside(run: Deployment, todo: list[Resource]) -> str:
    """Return why resources can't be deleted while others, out of scope, need them; "" when they can."""
    if not run.scope.targets:
        return ""
    going = {r["urn"] for r in todo if not r.get("delete")} - run.state.news.keys()
    staying = (r for r in run.state.all() if not run.scope.covers(r["urn"]))
    reasons = (
        f"{name_of(urn)} can't be deleted, because {name_of(resource['urn'])} needs it"
        for resource in staying
        for urn in sorted(needs(resource) & going)
    )
    return next(reasons, "")


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
