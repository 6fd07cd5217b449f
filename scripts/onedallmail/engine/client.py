"""A provider as the engine sees it: plain values in and out; secrets travel in clear, which this provider asks for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi.runtime.proto import provider_pb2 as proto

from .errors import ResourceError
from .events import name_of
from .state import Resource
from .values import from_struct, reveal, to_struct

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Client:
    """The calls to one configured provider process; each raises grpc.RpcError when the provider fails."""

    stub: Any

    def check(self, resource: Resource, news: Values, olds: Values, seed: bytes) -> dict[str, Any]:
        """Return the inputs as the provider completes them.

        Raises:
            ResourceError: the provider refuses them.
        """
        request = proto.CheckRequest(**_about(resource), olds=_struct(olds), news=_struct(news), randomSeed=seed)
        answer = self.stub.Check(request)
        if answer.failures:
            reasons = (f"{f.property}: {f.reason}" if f.property else f.reason for f in answer.failures)
            raise ResourceError("; ".join(reasons))
        return from_struct(answer.inputs)

    def diff(self, resource: Resource, old: Resource, news: Values, ignored: Iterable[str] = ()) -> Any:
        """Compare `news` with what `old` has, and return the provider's answer."""
        return self.stub.Diff(
            proto.DiffRequest(
                **_about(resource),
                id=old["id"],
                olds=_struct(old.get("outputs", {})),
                old_inputs=_struct(old.get("inputs", {})),
                news=_struct(news),
                ignoreChanges=ignored,
            )
        )

    def create(self, resource: Resource, inputs: Values, *, preview: bool) -> tuple[str, dict[str, Any]]:
        """Make a resource; return its id ("" in a preview) and outputs."""
        request = proto.CreateRequest(**_about(resource), properties=_struct(inputs), preview=preview)
        made = self.stub.Create(request)
        return made.id, from_struct(made.properties)

    def update(
        self, resource: Resource, old: Resource, inputs: Values, ignored: Iterable[str], *, preview: bool
    ) -> tuple[str, dict[str, Any]]:
        """Change a resource in place; return its id and outputs."""
        answer = self.stub.Update(
            proto.UpdateRequest(
                **_about(resource),
                id=old["id"],
                olds=_struct(old.get("outputs", {})),
                old_inputs=_struct(old.get("inputs", {})),
                news=_struct(inputs),
                ignoreChanges=ignored,
                preview=preview,
            )
        )
        return old["id"], from_struct(answer.properties)

    def read(
        self, resource: Resource, identifier: str, properties: Values, inputs: Values
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return inputs and outputs of what exists under `identifier`, None when nothing does."""
        answer = self.stub.Read(
            proto.ReadRequest(**_about(resource), id=identifier, properties=_struct(properties), inputs=_struct(inputs))
        )
        return (from_struct(answer.inputs), from_struct(answer.properties)) if answer.id else None

    def delete(self, resource: Resource) -> None:
        """Delete a resource."""
        properties, inputs = _struct(resource.get("outputs", {})), _struct(resource.get("inputs", {}))
        self.stub.Delete(
            proto.DeleteRequest(**_about(resource), id=resource["id"], properties=properties, old_inputs=inputs)
        )

    def invoke(self, token: str, arguments: Values, *, preview: bool) -> Any:
        """Call a function and return the provider's answer."""
        return self.stub.Invoke(proto.InvokeRequest(tok=token, args=_struct(arguments), preview=preview))


def _about(resource: Resource) -> dict[str, Any]:
    return {"urn": resource["urn"], "name": name_of(resource["urn"]), "type": resource["type"]}


def _struct(values: Values) -> Any:
    return to_struct(reveal(dict(values)))
