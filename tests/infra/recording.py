"""Runs the Pulumi program under mocks, in a process of its own, and returns every resource that it registers.

A process of its own, because the SDK keeps its event loop and its settings in module state.
"""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import yaml
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks

from onedallmail.paths import ROOT

from .cloud_answers import ACCOUNT, outputs


class ProgramError(Exception):
    """The program ended with an error; the message is its standard error."""


@dataclass(frozen=True)
class Registered:
    """One resource as the program registered it."""

    name: str
    type: str
    inputs: dict[str, Any]
    id: str
    outputs: dict[str, Any]
    """What it was answered: its inputs, a made-up text for each output that is one, ARN and public address."""


class _Recorder(Mocks):
    def __init__(self) -> None:
        self.resources: list[dict[str, Any]] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        identifier, answer = f"{args.name}-id", outputs(args.typ, args.name, args.inputs, len(self.resources))
        seen = {"name": args.name, "type": args.typ, "inputs": args.inputs, "id": identifier, "outputs": answer}
        self.resources.append(seen)
        return identifier, answer

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        return {"id": "ami-1", "token": args.token, "accountId": ACCOUNT}, []


def _config(stack: str, changes: Mapping[str, Any]) -> dict[str, str]:
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    domains = config.get("onedallmail:domains", [])
    dkim = {
        "onedallmail:dkimPublicKeys": json.dumps(dict.fromkeys(domains, "QUJD")),
        "onedallmail:dkimPrivateKeys": json.dumps(dict.fromkeys(domains, "the-private-key")),
    }
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in {**config, **dkim, **changes}.items()}


def record_program(stack: str = "lab", changes: Mapping[str, Any] | None = None) -> list[Registered]:
    """Run infra/__main__.py and return what it registered.

    Raises:
        ProgramError: with the program's own words.
    """
    env = {**os.environ, "PULUMI_CONFIG": json.dumps(_config(stack, changes or {}))}
    env["PYTHONPATH"] = os.pathsep.join((str(ROOT / "scripts"), str(ROOT / "infra"), str(ROOT)))
    argv = [sys.executable, "-m", "tests.infra.recording", stack]
    done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise ProgramError(done.stderr)
    return [Registered(**r) for r in json.loads(done.stdout)]


def _main(stack: str) -> None:
    recorder = _Recorder()
    pulumi.runtime.set_all_config(json.loads(os.environ["PULUMI_CONFIG"]), ["onedallmail:dkimPrivateKeys"])
    pulumi.runtime.set_mocks(recorder, project="onedallmail", stack=stack, preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator] # the SDK's decorator has no types
    def program() -> None:
        runpy.run_path(str(ROOT / "infra" / "__main__.py"), run_name="__main__")

    program()
    json.dump(recorder.resources, sys.stdout, default=str)


if __name__ == "__main__":
    _main(sys.argv[1])
