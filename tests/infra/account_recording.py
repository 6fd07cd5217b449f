"""Runs the stacks of the audit and management accounts under mocks, with ids of the kinds that AWS gives."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pulumi
import yaml
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks

from onedallmail.paths import ROOT

from .recording import ProgramError, Registered


def _id(args: MockResourceArgs) -> str:
    digest = sha256(args.name.encode()).hexdigest()
    match args.typ:
        case "aws:organizations/account:Account":
            return str(int(digest, 16))[:12]
        case "aws:organizations/organizationalUnit:OrganizationalUnit":
            return f"ou-ab12-{digest[:8]}"
        case "aws:organizations/policy:Policy":
            return f"p-{digest[:10]}"
        case _:
            return f"{args.name}-id"


class _Recorder(Mocks):
    def __init__(self) -> None:
        self.resources: list[dict[str, Any]] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        region = args.inputs.get("region", "")
        computed: dict[str, Any] = {"arn": f"arn:aws:mock:{region}:222222222222:{args.name}", "url": f"url-{args.name}"}
        if args.typ == "aws:organizations/organization:Organization":
            computed["roots"] = [{"id": "r-ab12", "arn": "", "name": "Root", "policyTypes": []}]
        identifier, outputs = _id(args), {**args.inputs, **computed}
        seen = {"name": args.name, "type": args.typ, "inputs": args.inputs, "id": identifier, "outputs": outputs}
        self.resources.append(seen)
        return identifier, outputs

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        return {"accountId": "222222222222", "token": args.token}, []


def record_account(stack: str, changes: Mapping[str, Any] | None = None) -> list[Registered]:
    """Return what a stack registers, with some settings changed; None takes a setting away.

    Raises:
        ProgramError: with the program's own words.
    """
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"] | dict(changes or {})
    flat = {k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items() if v is not None}
    env = {**os.environ, "PULUMI_CONFIG": json.dumps(flat)}
    env["PYTHONPATH"] = os.pathsep.join((str(ROOT / "scripts"), str(ROOT / "infra"), str(ROOT)))
    argv = [sys.executable, "-m", "tests.infra.account_recording", stack]
    done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise ProgramError(done.stderr)
    return [Registered(**r) for r in json.loads(done.stdout)]


def _main(stack: str) -> None:
    recorder = _Recorder()
    pulumi.runtime.set_all_config(json.loads(os.environ["PULUMI_CONFIG"]))
    pulumi.runtime.set_mocks(recorder, project="onedallmail", stack=stack, preview=False)

    @pulumi.runtime.test  # type: ignore[untyped-decorator] # the SDK's decorator has no types
    def program() -> None:
        runpy.run_path(str(ROOT / "infra" / "__main__.py"), run_name="__main__")

    program()
    json.dump(recorder.resources, sys.stdout, default=str)


if __name__ == "__main__":
    _main(sys.argv[1])
