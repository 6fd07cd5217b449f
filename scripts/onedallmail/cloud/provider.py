"""The lab's AWS provider as a Pulumi plugin: `python -m onedallmail.cloud.provider --state FOLDER`.

It writes its port on the first line of standard output and ends with the process that started it.
"""

import argparse
import hashlib
import json
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
from botocore.exceptions import ClientError
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as proto

from onedallmail.engine.plugins import CHANNEL_OPTIONS, LAB_MARK, PACKAGE
from onedallmail.engine.values import UNKNOWN, from_struct, has_unknown, to_struct

from . import emulated, invokes, recorded, schema
from .addresses import AddressBook, AddressesExhaustedError
from .emulator import EmulatorError
from .rules import rules_of, violations

THREADS = 16
DEFAULT_REGION = "us-east-1"
SUFFIX_DIGITS = 7
logger = logging.getLogger(__name__)


def token_of(request: Any) -> str:
    """Return the resource type of a request (older engines send it in the URN only)."""
    return str(request.type or request.urn.split("::")[2].split("$")[-1])


def difference(name: str, old: dict[str, Any], new: dict[str, Any], *, replaces: bool) -> Any:
    """Return the kind of a property's change, as the protocol numbers them."""
    kind = proto.PropertyDiff
    if name not in old:
        return kind.ADD_REPLACE if replaces else kind.ADD
    if name not in new:
        return kind.DELETE_REPLACE if replaces else kind.DELETE
    return kind.UPDATE_REPLACE if replaces else kind.UPDATE


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Method names are the protocol's."""

    def __init__(self, state_dir: Path) -> None:
        """Keep what the provider itself has to remember below `state_dir`."""
        self.region = DEFAULT_REGION
        self.version = f"{version('pulumi-aws')}+{LAB_MARK}"
        self.book = AddressBook(state_dir / "cloud")
        self.api = emulated.Api(state_dir)

    # -- life cycle
    def Handshake(self, _request: Any, _: Any) -> Any:  # noqa: N802
        """Say what values the provider takes: plain ones."""
        return proto.ProviderHandshakeResponse(accept_secrets=False, accept_resources=False, accept_outputs=False)

    def GetPluginInfo(self, _request: Any, _: Any) -> Any:  # noqa: N802
        """Name the provider as the lab's."""
        return plugin_pb2.PluginInfo(version=self.version)

    def Attach(self, _request: Any, _: Any) -> Any:  # noqa: N802
        """Accept an engine."""
        return empty_pb2.Empty()

    def Cancel(self, _request: Any, _: Any) -> Any:  # noqa: N802
        """Calls are short; there is nothing to cancel."""
        return empty_pb2.Empty()

    def GetSchema(self, _request: Any, _: Any) -> Any:  # noqa: N802
        """Return the name only: the SDK's classes are the schema."""
        return proto.GetSchemaResponse(schema=json.dumps({"name": PACKAGE, "version": self.version}))

    def CheckConfig(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Accept a configuration."""
        return proto.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Compare configurations; none replaces the resources."""
        same = request.olds == request.news
        return proto.DiffResponse(changes=proto.DiffResponse.DIFF_NONE if same else proto.DiffResponse.DIFF_SOME)

    def Configure(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Take the default region."""
        self.region = from_struct(request.args).get("region", self.region)
        return proto.ConfigureResponse(
            acceptSecrets=False, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    # -- resources
    def Check(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Complete the inputs and refuse what AWS would refuse."""
        token, inputs, olds = token_of(request), from_struct(request.news), from_struct(request.olds)
        if not schema.known(token):
            reason = f"pulumi_aws has no resource type {token}"
            return proto.CheckResponse(failures=[proto.CheckFailure(reason=reason)])
        self._complete(token, request, inputs, olds)
        rules = rules_of(token)
        found = [(p.path, p.reason) for p in schema.problems(token, inputs)]
        found += violations(rules, inputs, lambda value: value != UNKNOWN)
        found += emulated.unsupported(token, inputs)
        failures = [proto.CheckFailure(property=path, reason=reason) for path, reason in found]
        return proto.CheckResponse(inputs=to_struct(inputs), failures=failures)

    def _complete(self, token: str, request: Any, inputs: dict[str, Any], olds: dict[str, Any]) -> None:
        name = rules_of(token).autoname
        fields = schema.inputs_of(token)
        if name in fields and name not in inputs:
            seed = bytes(request.randomSeed) or request.urn.encode()
            prefix = inputs.get(f"{name}Prefix") or f"{request.urn.rsplit('::', 1)[-1]}-"
            suffix = hashlib.sha256(seed + request.urn.encode()).hexdigest()[:SUFFIX_DIGITS]
            inputs[name] = olds.get(name) or f"{prefix}{suffix}"
        if "region" in fields:
            inputs.setdefault("region", self.region)

    def Diff(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Compare inputs; rules.yaml says which changes replace."""
        old, new = from_struct(request.old_inputs) or from_struct(request.olds), from_struct(request.news)
        changed = [k for k in {**old, **new} if not k.startswith("__") and old.get(k) != new.get(k)]
        changed = [k for k in changed if k not in request.ignoreChanges]
        replaces = [k for k in changed if k in rules_of(token_of(request)).force_new]
        detail = {
            k: proto.PropertyDiff(kind=difference(k, old, new, replaces=k in replaces), inputDiff=True) for k in changed
        }
        some = proto.DiffResponse.DIFF_SOME if changed else proto.DiffResponse.DIFF_NONE
        return proto.DiffResponse(
            changes=some, replaces=replaces, diffs=changed, detailedDiff=detail, hasDetailedDiff=True
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Make a resource, or say what it would be."""
        token, inputs = token_of(request), from_struct(request.properties)
        if request.preview:
            return proto.CreateResponse(id="", properties=to_struct(recorded.planned(token, inputs, self.region)))
        with Failures(context):
            if token in emulated.HANDLERS:
                identifier, outputs = emulated.create(self.api, token, request.urn, inputs)
                outputs = {**recorded.complete(token, identifier, inputs, self.region), **outputs}
            else:
                identifier, outputs = recorded.create(token, request.urn, inputs, self.region, self.book)
        return proto.CreateResponse(id=identifier, properties=to_struct(outputs))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Change a resource in place."""
        token, inputs, old = token_of(request), from_struct(request.news), from_struct(request.olds)
        if has_unknown(inputs):
            outputs = {**old, **recorded.complete(token, request.id, inputs, self.region)}
            return proto.UpdateResponse(properties=to_struct({**outputs, **inputs}))
        with Failures(context):
            if token in emulated.HANDLERS:
                outputs = {**old, **recorded.complete(token, request.id, inputs, self.region)}
                kept = {k: v for k, v in old.items() if k not in schema.inputs_of(token) and k != "tagsAll"}
                changed = (
                    {}
                    if request.preview
                    else emulated.update(self.api, token, request.id, from_struct(request.old_inputs), inputs)
                )
                outputs = {**outputs, **kept, **changed}
            else:
                outputs = recorded.update(token, request.id, inputs, old, region=self.region, book=self.book)
        return proto.UpdateResponse(properties=to_struct(outputs))

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return a resource as it is known; an empty id when the emulator no longer has it."""
        token, known = token_of(request), from_struct(request.properties)
        with Failures(context):
            if token in emulated.HANDLERS and not emulated.exists(self.api, token, request.id, known):
                return proto.ReadResponse(id="")
        outputs = known if len(known) > 1 else recorded.complete(token, request.id, known, self.region)
        return proto.ReadResponse(id=request.id, properties=to_struct(outputs), inputs=request.inputs)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Remove a resource; one that is gone already is fine."""
        token = token_of(request)
        with Failures(context):
            if token in emulated.HANDLERS:
                emulated.delete(self.api, token, request.id, from_struct(request.old_inputs))
            else:
                recorded.delete(token, request.id, self.book)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer a function."""
        with Failures(context):
            answer = invokes.invoke(request.tok, from_struct(request.args), self.region)
        fields: dict[str, Any] = {"return": to_struct(answer)}  # a keyword of Python
        return proto.InvokeResponse(**fields)


class Failures:
    """Turns the errors of a call into gRPC statuses that the engine shows."""

    def __init__(self, context: Any) -> None:
        """Answer on `context`."""
        self._context = context

    def __enter__(self) -> None:
        """Begin the call."""

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        """Abort the call when it failed."""
        if isinstance(error, ClientError):
            info = error.response["Error"]
            self._context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"{error.operation_name}: {info['Code']}: {info['Message']}"
            )
        if isinstance(error, EmulatorError):
            self._context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        if isinstance(error, (invokes.InvokeError, emulated.RefusedError, AddressesExhaustedError)):
            self._context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def serve(provider: Any) -> None:
    """Serve a provider until the process is ended."""
    logging.basicConfig(level=logging.WARNING)
    server = grpc.server(ThreadPoolExecutor(THREADS), options=CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


def state_dir_argument() -> Path:
    """Return the stack's state folder from the command line."""
    parser = argparse.ArgumentParser(description="the lab's AWS provider (a Pulumi plugin)")
    parser.add_argument("--state", type=Path, required=True, help="state folder of the stack")
    parsed, _ = parser.parse_known_args()  # an engine may add its own address
    folder: Path = parsed.state
    return folder


if __name__ == "__main__":
    serve(Provider(state_dir_argument()))
