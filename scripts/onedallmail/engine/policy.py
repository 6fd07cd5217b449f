"""Runs the project's policy pack as Pulumi does: a process that judges each resource, then the whole stack."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import analyzer_pb2 as proto
from pulumi.runtime.proto import analyzer_pb2_grpc

from . import child
from .deployment import ORGANIZATION, Deployment
from .errors import EngineError, ResourceError
from .events import Violation, name_of
from .plugins import CHANNEL_OPTIONS, python_path
from .state import Resource
from .values import to_struct

PACK = Path("infra") / "policy"
"""Folder of the policy pack in a project."""

LEVELS = {proto.ADVISORY: "advisory", proto.MANDATORY: "mandatory", proto.REMEDIATE: "mandatory"}
NOT_YET_KNOWN = "can't run policy"
"""How the pack says that a policy needs a value that is unknown in a preview."""


def pack_of(root: Path) -> Path | None:
    """Return the folder of the project's policy pack, None when it has none."""
    folder = root / PACK
    return folder if (folder / "PulumiPolicy.yaml").is_file() else None


class Pack:
    """A running policy pack."""

    def __init__(self, run: Deployment, process: "subprocess.Popen[str]", log: Path) -> None:
        """Connect to the pack's process as soon as it says its port."""
        self._run, self._undecided = run, Counter[str]()
        port = process.stdout.readline().strip() if process.stdout else ""
        if not port.isdigit():
            msg = f"the policy pack did not start (it wrote '{port}' for its port): see {log}"
            raise EngineError(msg)
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL_OPTIONS)
        self._analyzer = analyzer_pb2_grpc.AnalyzerStub(channel)

    def check(self, resource: Resource) -> None:
        """Judge one resource before it is made.

        Raises:
            ResourceError: it violates a mandatory policy (in a preview all violations are collected instead).
        """
        answer = self._analyzer.Analyze(proto.AnalyzeRequest(**fields(resource, resource.get("inputs", {}))))
        refused = self._take(answer.diagnostics, resource["urn"])
        if refused and not self._run.preview:
            raise ResourceError("; ".join(f"policy {v.policy}: {v.message}" for v in refused))

    def check_stack(self) -> None:
        """Judge all resources together, once the program has ended; mandatory violations fail the run."""
        resources = [
            proto.AnalyzerResource(
                **fields(resource, resource.get("outputs") or resource.get("inputs", {})),
                parent=resource.get("parent", ""),
                dependencies=resource.get("dependencies", []),
                propertyDependencies={
                    name: proto.AnalyzerPropertyDependencies(urns=urns)
                    for name, urns in (resource.get("propertyDependencies") or {}).items()
                },
            )
            for resource in self._run.state.news.values()
        ]
        self._take(self._analyzer.AnalyzeStack(proto.AnalyzeStackRequest(resources=resources)).diagnostics, "")
        for policy, count in sorted(self._undecided.items()):
            self._run.say("info", f"policy {policy} needs values that a preview does not have, {count} time(s)")
        for violation in self._run.violations:
            if violation.level == "mandatory":
                self._run.fail(violation.urn, f"policy {violation.policy}: {violation.message}")

    def _take(self, diagnostics: Any, urn: str) -> list[Violation]:
        found = []
        for diagnostic in diagnostics:
            if diagnostic.message.startswith(NOT_YET_KNOWN):
                self._undecided[diagnostic.policyName] += 1
                continue
            level = LEVELS.get(diagnostic.enforcementLevel, "advisory")
            about = diagnostic.urn or urn
            text = diagnostic.message.removeprefix(f"{diagnostic.description}\n").strip()
            found.append(Violation(policy=diagnostic.policyName, urn=about, level=level, message=text))
        with self._run.lock:
            self._run.violations += found
        return [v for v in found if v.level == "mandatory"]


def fields(resource: Resource, properties: dict[str, Any]) -> dict[str, Any]:
    """Return what both kinds of request say of a resource."""
    options = proto.AnalyzerResourceOptions(
        protect=bool(resource.get("protect")),
        ignoreChanges=resource.get("ignoreChanges", []),
        additionalSecretOutputs=resource.get("additionalSecretOutputs", []),
        parent=resource.get("parent", ""),
    )
    name = name_of(resource["urn"])
    return {
        "type": resource["type"],
        "urn": resource["urn"],
        "name": name,
        "properties": to_struct(properties),
        "options": options,
    }


@contextmanager
def judging(run: Deployment, address: str) -> Iterator[None]:
    """Run the project's policy pack, if it has one, while the block runs; the stack is judged at its end."""
    folder = pack_of(run.work.root)
    if folder is None:
        yield
        return
    target, log = run.target, run.work.logs / "policy.log"
    environment = python_path() | {
        "PULUMI_PROJECT": target.project,
        "PULUMI_STACK": target.stack,
        "PULUMI_ORGANIZATION": ORGANIZATION,
        "PULUMI_DRY_RUN": str(run.preview).lower(),
        "PULUMI_CONFIG": json.dumps({k: v for k, v in target.config.items() if k not in target.secret_keys}),
    }
    command = child.command(sys.executable, "-u", "-m", "pulumi.policy", address, str(folder))
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            with ThreadPoolExecutor(1) as starter:  # the program starts meanwhile
                pack = starter.submit(Pack, run, process, log)
                run.judge = lambda resource: pack.result().check(resource)
                yield
            if not run.errors:
                pack.result().check_stack()
        finally:
            process.kill()
