"""Delete before replace: what the old resource's going takes with it, and the order in which it goes.

A dependent goes too when its provider says that it would have to be replaced if the inputs that come from what goes
were to change. All of them are marked as pending their replacement, and the program makes them again when it asks for
them; so does the next run, if this one fails in between.
"""

from .deletes import delete_resource
from .deployment import Deployment, needs
from .errors import ResourceError
from .events import name_of
from .state import Resource, key_of
from .values import UNKNOWN


def is_gone(run: Deployment, old: Resource) -> bool:
    """Tell whether an old resource was deleted already, in this run or one before, to make way."""
    return old["urn"] in run.gone or bool(old.get("pendingReplacement"))


def make_way(run: Deployment, root: Resource) -> None:
    """Delete `root` for its replacement, and before it the dependents that have to be replaced with it.

    Raises:
        ResourceError: one of them is protected; nothing was deleted.
    """
    with run.lock:
        going = [root, *(r for r in condemned(run, root) if r["urn"] not in run.taken | run.gone)]
        if protected := [name_of(r["urn"]) for r in going if r.get("protect")]:
            msg = (
                f"to replace it, {', '.join(protected)} must be deleted before, which is protected: "
                "remove `protect` and run `up` first, or remove delete_before_replace"
            )
            raise ResourceError(msg)
        if outside := [name_of(r["urn"]) for r in going if not run.scope.covers(r["urn"])]:
            msg = f"to replace it, {', '.join(outside)} must be replaced too, which --target leaves out: add it"
            raise ResourceError(msg)
        run.gone |= {r["urn"] for r in going}
    for resource in reversed(going):
        delete_resource(run, key_of(resource), resource, for_replacement=True)


def condemned(run: Deployment, root: Resource) -> list[Resource]:
    """Return the old dependents of `root`, direct or not, that its replacement replaces, dependencies first."""
    going, touched, found = {root["urn"]}, {root["urn"]}, []
    for resource in run.old.values():  # a state lists dependencies before dependents
        if resource["urn"] in going or not needs(resource) & touched:
            continue
        touched.add(resource["urn"])
        if must_follow(run, resource, going):
            going.add(resource["urn"])
            found.append(resource)
    return found


def must_follow(run: Deployment, resource: Resource, going: set[str]) -> bool:
    """Tell whether a dependent has to be replaced when the resources `going` are."""
    if not resource.get("custom") or resource.get("external") or "provider" not in resource:
        return False
    if resource["provider"].rpartition("::")[0] in going:
        return True
    by_property = resource.get("propertyDependencies") or {}
    unsure = {name for name, urns in by_property.items() if going & set(urns)}
    if not unsure or resource.get("pendingReplacement"):
        return False
    provider, _ = run.provider(resource["provider"], resource["type"], "")
    news = {k: UNKNOWN if k in unsure else v for k, v in resource.get("inputs", {}).items()}
    return bool(provider.diff(resource, resource, news).replaces)
