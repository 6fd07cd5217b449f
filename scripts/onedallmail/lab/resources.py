"""A deployment's resources by type and id, with look-ups that name what is missing.

Pulumi keeps a property in the inputs, the outputs, or both; outputs win, because the cloud has the last word.
"""

from dataclasses import dataclass
from typing import Any

from .errors import LabError

STACK_TYPE = "pulumi:pulumi:Stack"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource of the state."""

    urn: str
    type: str
    id: str
    properties: dict[str, Any]

    def text(self, key: str) -> str:
        """Return a property that must be there as a text."""
        value = self.properties.get(key)
        if not isinstance(value, str) or not value:
            message = f"{self.urn} has no {key} (found {value!r}). Provision the stack again."
            raise LabError(message)
        return value

    def optional(self, key: str, default: Any = None) -> Any:
        """Return a property, or `default` if it is absent or null."""
        value = self.properties.get(key)
        return default if value is None else value

    @property
    def region(self) -> str:
        """The region that the resource says it is in."""
        return self.text("region")

    def tag(self, key: str) -> str:
        """Return a tag that must be there."""
        value = self.optional("tags", {}).get(key)
        if not isinstance(value, str) or not value:
            message = f"{self.urn} has no tag {key}, and the stack's outputs do not name it. Give it the tag."
            raise LabError(message)
        return value


@dataclass(frozen=True, kw_only=True)
class Resources:
    """All live resources of a deployment."""

    stack: str
    items: tuple[Resource, ...]

    @classmethod
    def of(cls, deployment: dict[str, Any]) -> "Resources":
        """Return the resources of a deployment that are not marked for deletion."""
        body = deployment.get("deployment", deployment)
        if not isinstance(body, dict) or not isinstance(body.get("resources"), list):
            message = "This is not a Pulumi deployment: it has no list of resources. Provision the stack again."
            raise LabError(message)
        items = tuple(
            Resource(
                urn=r["urn"],
                type=r["type"],
                id=r.get("id", ""),
                properties={**r.get("inputs", {}), **r.get("outputs", {})},
            )
            for r in body["resources"]
            if not r.get("delete")
        )
        stack = next((r.urn.split(":")[2] for r in items if r.type == STACK_TYPE), "")
        return cls(stack=stack, items=items)

    def all(self, type_: str) -> tuple[Resource, ...]:
        """Return every resource of a type."""
        return tuple(r for r in self.items if r.type == type_)

    def stack_outputs(self) -> dict[str, Any]:
        """Return what the program exported."""
        return next((r.properties for r in self.all(STACK_TYPE)), {})

    def known(self, where: Resource, key: str, id_: str, *types: str) -> Resource:
        """Return the resource of one of `types` with that id; raises LabError naming `where` and `key`."""
        for r in self.items:
            if r.id == id_ and r.type in types:
                return r
        kinds = " or ".join(t.rsplit(":", 1)[-1] for t in types)
        message = f"{where.urn} refers by {key} to {id_!r}, but the deployment has no {kinds} with that id."
        raise LabError(message)

    def get(self, where: Resource, key: str, *types: str) -> Resource:
        """Return the resource that a property refers to."""
        return self.known(where, key, where.text(key), *types)

    def get_each(self, where: Resource, key: str, types: tuple[str, ...]) -> list[str]:
        """Return the checked ids of a property that is a list of references."""
        return [self.known(where, key, str(id_), *types).id for id_ in where.optional(key, [])]
