"""The services that the Pulumi SDK calls: ResourceMonitor and Engine, each call on a thread of its own.

Feature flags: secrets and deletedWith only. Without aliasSpecs the SDK works out alias URNs itself, without
outputValues it sends plain sentinels; both are what `steps` expects.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from . import steps
from .deployment import ORGANIZATION, STACK_TYPE, Deployment
from .errors import EngineError
from .plugins import CHANNEL_OPTIONS
from .state import Resource
from .values import from_struct, redact, secret, to_struct

THREADS = 64
PARALLEL = 16
SEVERITIES = ("debug", "info", "warning", "error")
FEATURES = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "deletedWith": resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
}

SHUTDOWN_TEXT = "Resource monitor has terminated, shutting down"
"""What the SDK says after UNAVAILABLE; the error that led to it was reported already."""

logger = logging.getLogger(__name__)


class Monitor(resource_pb2_grpc.ResourceMonitorServicer, engine_pb2_grpc.EngineServicer):
    """Answers the program of one run. Method names are the protocol's."""

    def __init__(self, run: Deployment) -> None:
        """Serve `run`."""
        self.run = run
        self.at_end = False
        self.activity = Activity()

    # -- Engine
    def Log(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Pass on a message of the program; an error fails the run."""
        text = redact(request.message.rstrip(), self._config_secrets())
        if self.run.errors and text == SHUTDOWN_TEXT:
            return empty_pb2.Empty()
        if request.severity == engine_pb2.ERROR:
            self.run.fail(request.urn, text)
        elif request.severity != engine_pb2.DEBUG and not request.ephemeral:
            self.run.say(SEVERITIES[request.severity], text, request.urn)
        return empty_pb2.Empty()

    def _config_secrets(self) -> list[Any]:
        target = self.run.target
        return [secret(target.config[key]) for key in target.secret_keys if key in target.config]

    def GetRootResource(self, _request: Any, _: Any) -> Any:  # noqa: N802
        """Return the URN of the stack resource."""
        return engine_pb2.GetRootResourceResponse(urn=self.run.root_urn)

    def SetRootResource(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Remember the URN of the stack resource."""
        self.run.root_urn = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, _request: Any, _: Any) -> Any:  # noqa: N802
        """Accept: the range is about the pulumi command, which is not here."""
        return engine_pb2.RequirePulumiVersionResponse()

    # -- ResourceMonitor
    def GetDeploymentInfo(self, _request: Any, _: Any) -> Any:  # noqa: N802
        """Describe the run to the SDK."""
        target = self.run.target
        return resource_pb2.DeploymentInfo(
            project=target.project,
            stack=target.stack,
            organization=ORGANIZATION,
            config=dict(target.config),
            configSecretKeys=sorted(target.secret_keys),
            dryRun=self.run.preview,
            parallel=PARALLEL,
            supportedFeatures=list(FEATURES.values()),
        )

    def SupportsFeature(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Answer older SDKs, which ask by name."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in FEATURES)

    def SignalAndWaitForShutdown(self, _request: Any, _: Any) -> Any:  # noqa: N802
        """Note that the program is at its end; nothing of it is called back after that."""
        self.at_end = True
        return empty_pb2.Empty()

    def RegisterResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Bring a resource to what the program asks for."""
        urn = self.run.urn(request.type, request.name, request.parent)
        resource = self._guarded(context, urn, request.object, lambda: steps.register(self.run, request, urn))
        return resource_pb2.RegisterResourceResponse(
            urn=urn,
            id=resource.get("id", ""),
            object=to_struct(resource["outputs"]),
            unknown=resource.get("skipped", False),
        )

    def ReadResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Read a resource that the stack does not own."""
        urn = self.run.urn(request.type, request.name, request.parent)
        resource = self._guarded(context, urn, request.properties, lambda: steps.read(self.run, request, urn))
        return resource_pb2.ReadResourceResponse(urn=urn, properties=to_struct(resource["outputs"]))

    def _guarded(self, context: Any, urn: str, inputs: Any, action: Callable[[], Resource]) -> Resource:
        """Run a step; a failure is recorded, and the SDK is told so that the program ends."""
        message = "the engine shuts down after an error"
        if not self.run.errors:
            with self._failure(urn, inputs) as failure:
                return action()
            message = failure[0]
        context.abort(grpc.StatusCode.UNAVAILABLE, message)  # the SDK makes a clean RunError of UNAVAILABLE
        raise AssertionError  # abort raises

    @contextmanager
    def _failure(self, urn: str, inputs: Any) -> Iterator[list[str]]:
        caught: list[str] = []
        try:
            yield caught
        except EngineError as error:
            caught.append(str(error))
        except grpc.RpcError as error:
            caught.append(self.run.plugins.describe(error))
        except Exception as error:  # a defect of ours must fail the run, not hang the program
            logger.exception("%s", urn)
            caught.append(f"internal error of the engine: {error!r}")
        if caught:
            caught[0] = redact(caught[0], from_struct(inputs))
            self.run.fail(urn, caught[0])

    def RegisterResourceOutputs(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Record the outputs of a component; those of the stack wait until the program has ended well."""
        outputs = from_struct(request.outputs)
        resource = self.run.registered[request.urn]
        if resource["type"] == STACK_TYPE:  # the SDK sends them from a program that crashes, too
            self.run.root_urn, self.run.outputs = request.urn, outputs
        else:
            self.run.state.record(outputs=[request.urn, outputs])
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Call a function of the provider."""
        if self.run.work.offline:
            with self.run.lock:
                self.run.not_asked.add(f"the function {request.tok}: the lab's provider answered it")
        try:
            provider, _ = self.run.provider(request.provider, request.tok, request.version)
            answer = provider.invoke(request.tok, from_struct(request.args), preview=self.run.preview)
        except EngineError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        fields = {"return": getattr(answer, "return"), "failures": answer.failures}
        return resource_pb2.ResourceInvokeResponse(**fields)


class Activity(grpc.ServerInterceptor):  # type: ignore[misc] # grpc has no types for it
    """When the program was last heard of."""

    def __init__(self) -> None:
        """Begin now."""
        self._lock, self._calls, self._last = threading.Lock(), 0, time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last call ended; 0 while one is under way."""
        with self._lock:
            return 0.0 if self._calls else time.monotonic() - self._last

    def _count(self, change: int) -> None:
        with self._lock:
            self._calls += change
            self._last = time.monotonic()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Count a call while it is answered."""
        handler = continuation(details)
        if handler is None:
            return None

        def counted(request: Any, context: Any) -> Any:
            self._count(1)
            try:
                return handler.unary_unary(request, context)
            finally:
                self._count(-1)

        return grpc.unary_unary_rpc_method_handler(counted, handler.request_deserializer, handler.response_serializer)


@contextmanager
def serving(run: Deployment) -> Iterator[tuple[Monitor, str]]:
    """Serve a run on a loopback port; yield what answers, and its address."""
    monitor = Monitor(run)
    server = grpc.server(ThreadPoolExecutor(THREADS), options=CHANNEL_OPTIONS, interceptors=[monitor.activity])
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(monitor, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield monitor, f"127.0.0.1:{port}"
    finally:
        server.stop(5).wait()
