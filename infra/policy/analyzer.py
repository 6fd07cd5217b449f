"""The pack as Pulumi's engines speak to it: the Analyzer protocol around judge.py.

The SDK's own PolicyPack unpacks a resource anew for each of its policies: with the rules here that took 9 ms a
resource, and as much again for the whole stack. Unpacked once, it takes a fraction of one.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import analyzer_pb2 as proto
from pulumi.runtime.proto import analyzer_pb2_grpc, plugin_pb2

from .judge import WAIVERS_POLICY, WAIVERS_REMEDIATION, WAIVERS_TITLE, Finding, Judge
from .model import Level, Plan, Resource, Severity, StackRule
from .rules import ALL_RULES
from .sources import PROVIDER, plain, plan_from_config
from .values import Props
from .waivers import Waiver

NAME = "onedallmail"
VERSION = "1.0.0"
MESSAGE_BYTES = 400 << 20
"""Largest message, as Pulumi's engine has it: a whole stack comes as one."""


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """Answers an engine's questions about one stack."""

    def __init__(self, waivers: Sequence[Waiver]) -> None:
        self._judge = Judge(waivers)
        self._levels: dict[str, Any] = {}
        self._stack, self._config = os.environ.get("PULUMI_STACK", ""), os.environ.get("PULUMI_CONFIG") or "{}"

    def GetAnalyzerInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's names
        """Tell the policies, with level, severity, remediation and controls."""
        return proto.AnalyzerInfo(name=NAME, version=VERSION, supportsConfig=True, policies=list(_policies()))

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's names
        """Tell the version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's names
        """Take the levels that the user of the pack gives single policies."""
        self._levels = {name: config.enforcementLevel for name, config in request.policyConfig.items()}
        return empty_pb2.Empty()

    def ConfigureStack(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's names
        """Take the stack and its configuration, where the engine says them here and not by variables."""
        if request.stack:
            self._stack = request.stack
        if request.config:
            self._config = json.dumps(dict(request.config))
        return proto.AnalyzerStackConfigureResponse()

    def Analyze(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's names
        """Judge a resource before it is made."""
        if not request.type.startswith(PROVIDER):
            return proto.AnalyzeResponse()
        return self._answer(self._judge.resource(_resource(request, self._plan()), datetime.now(UTC).date()))

    def AnalyzeStack(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's names
        """Judge all resources together."""
        plan = self._plan()
        resources = [_resource(r, plan, _refers(r)) for r in request.resources if r.type.startswith(PROVIDER)]
        return self._answer(self._judge.stack(plan, resources, datetime.now(UTC).date()))

    def Remediate(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's names
        """Change nothing: the program is repaired, not its resources."""
        return proto.RemediateResponse()

    def _plan(self) -> Plan:
        return _plan_of(self._stack, self._config)

    def _answer(self, findings: Iterable[Finding]) -> Any:
        return proto.AnalyzeResponse(diagnostics=list(self._diagnostics(findings)))

    def _diagnostics(self, findings: Iterable[Finding]) -> Iterator[Any]:
        for finding in findings:
            chosen = self._levels.get(finding.policy)
            if chosen == proto.DISABLED:
                continue
            lowered = finding.level is Level.ADVISORY
            yield proto.AnalyzeDiagnostic(
                policyName=finding.policy,
                policyPackName=NAME,
                policyPackVersion=VERSION,
                description=finding.title,
                message=_message(finding),
                urn="" if finding.not_known else finding.urn,
                enforcementLevel=_level(finding.level) if chosen is None or lowered else chosen,
                severity=_severity(finding.severity),
            )


def serve(waivers: Sequence[Waiver]) -> None:
    """Answer until the engine ends the process; the port goes to standard output, as the engine expects it."""
    size = [("grpc.max_receive_message_length", MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=size)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(waivers), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


@cache
def _plan_of(stack: str, config: str) -> Plan:
    return plan_from_config(stack, json.loads(config))


def _resource(request: Any, plan: Plan, refers: Mapping[str, frozenset[str]] | None = None) -> Resource:
    values = plain(json_format.MessageToDict(request.properties))
    identifier = values.get("id")
    return Resource(
        request.type,
        request.name,
        Props(values),
        plan,
        id=identifier if isinstance(identifier, str) else "",
        urn=request.urn,
        refers=refers or {},
    )


def _refers(request: Any) -> dict[str, frozenset[str]]:
    return {name: frozenset(listed.urns) for name, listed in request.propertyDependencies.items()}


def _message(finding: Finding) -> str:
    if finding.not_known:
        return f"can't run policy '{finding.policy}' from policy pack '{NAME}' during preview: {finding.message}"
    return f"{finding.title}\n{finding.message}"


def _level(level: Level) -> Any:
    return proto.MANDATORY if level is Level.MANDATORY else proto.ADVISORY


def _severity(severity: Severity) -> Any:
    return proto.PolicySeverity.Value(f"POLICY_SEVERITY_{severity.name}")


def _policies() -> Iterator[Any]:
    for rule in ALL_RULES:
        whole = isinstance(rule, StackRule)
        yield proto.PolicyInfo(
            name=rule.id,
            displayName=rule.title,
            description=rule.title,
            enforcementLevel=_level(rule.level),
            severity=_severity(rule.severity),
            remediation_steps=rule.remediation,
            tags=rule.controls,
            policy_type=proto.POLICY_TYPE_STACK if whole else proto.POLICY_TYPE_RESOURCE,
        )
    yield proto.PolicyInfo(
        name=WAIVERS_POLICY,
        displayName=WAIVERS_TITLE,
        description=WAIVERS_TITLE,
        enforcementLevel=proto.MANDATORY,
        severity=_severity(Severity.HIGH),
        remediation_steps=WAIVERS_REMEDIATION,
        policy_type=proto.POLICY_TYPE_STACK,
    )
