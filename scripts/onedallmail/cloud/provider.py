"""The lab's AWS provider as a Pulumi plugin: `python -m onedallmail.cloud.provider --state FOLDER`.

It writes its port on the first line of standard output and ends with the process that started it.
"""

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Iterator
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
from onedallmail.engine.values import from_struct, has_unknown, to_struct

from . import emulated, invokes, recorded, schema, signing_keys
from .addresses import AddressBook, AddressesExhaustedError
from .emulator import EmulatorError
from .naming import SUFFIX_DIGITS
from .rules import Autoname, has_rules, module_of, rules_of
from .rules.paths import stated_at, steps
from .rules.violations import violations

THREADS = 16
DEFAULT_REGION = "us-east-1"
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


def refusal(token: str) -> str:
    """Return why the lab does not take a resource type, '' when it does."""
    if not schema.known(token):
        return f"pulumi_aws has no resource type {token}"
    if not has_rules(token):
        where = f"scripts/onedallmail/cloud/rules/{module_of(token)}.yaml"
        return f"the lab's provider has no rules for {token}: add an entry to {where}"
    return ""


def auto_name(auto: Autoname, request: Any) -> str:
    """Return the name that pulumi-aws gives a resource without one."""
    seed = bytes(request.randomSeed) or request.urn.encode()
    suffix = hashlib.sha256(seed + request.urn.encode()).hexdigest()[:SUFFIX_DIGITS]
    logical = request.urn.rsplit("::", 1)[-1]
    logical = logical.lower() if auto.property == "bucket" else logical
    return f"{auto.prefix}{logical}-{suffix}"


def replaced(token: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the properties whose change replaces a resource."""
    changed = [path for path in rules_of(token).force_new if stated_at(old, path) != stated_at(new, path)]
    return sorted({steps(path)[0][0] for path in changed})


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
        if reason := refusal(token):
            return proto.CheckResponse(failures=[proto.CheckFailure(reason=reason)])
        found = list(self._complete(token, request, inputs, olds))
        found += [(p.path, p.reason) for p in schema.problems(token, inputs)]
        found += violations(rules_of(token), inputs)
        found += emulated.unsupported(token, inputs)
        failures = [proto.CheckFailure(property=path, reason=reason) for path, reason in found]
        return proto.CheckResponse(inputs=to_struct(inputs), failures=failures)

    def _complete(
        self, token: str, request: Any, inputs: dict[str, Any], olds: dict[str, Any]
    ) -> Iterator[tuple[str, str]]:
        """Give name and region where the program left them out; yield what is wrong with the name."""
        fields, auto = schema.inputs_of(token), rules_of(token).autoname
        if "region" in fields:
            inputs.setdefault("region", self.region)
        if auto is None or auto.property not in fields or fields[auto.property].required:
            return
        if inputs.get(auto.property) is not None or inputs.get(f"{auto.property}Prefix") is not None:
            return
        name = olds.get(auto.property) or auto_name(auto, request)
        if len(name) > auto.max:
            yield (
                auto.property,
                f"the generated name of {len(name)} characters is longer than the {auto.max} that AWS takes: give one",
            )
        inputs[auto.property] = name

    def Diff(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Compare inputs; the rules say which changes replace."""
        old, new = from_struct(request.old_inputs) or from_struct(request.olds), from_struct(request.news)
        changed = [k for k in {**old, **new} if not k.startswith("__") and old.get(k) != new.get(k)]
        changed = [k for k in changed if k not in request.ignoreChanges]
        replaces = [k for k in replaced(token_of(request), old, new) if k in changed]
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
                inputs = recorded.named(token, inputs, self.api.claim(token, request.urn, inputs))
                identifier, outputs = emulated.create(self.api, token, request.urn, inputs)
                outputs = {**recorded.complete(token, identifier, inputs, self.region), **outputs}
            else:
                identifier, outputs = recorded.create(token, request.urn, inputs, self.region, self.book)
                if token == signing_keys.TOKEN:
                    outputs |= signing_keys.outputs(self.api, inputs)
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
                if token == signing_keys.TOKEN:
                    outputs |= signing_keys.outputs(self.api, inputs)
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
