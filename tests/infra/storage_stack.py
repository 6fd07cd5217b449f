"""Runs keys, buckets, backup and HSM of a platform under mocks, in a process of its own; returns what they register."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import import_module
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from onedallmail.paths import ROOT
from onedallmail.platform.model import build_platform
from onedallmail.platform.stack import parse_stack

from .network_stack import ALL_OFF, Made, settings

ACCOUNT = "123456789012"


@cache
def storage(count: int = 3, target: str = "aws", *, key_store: bool = False) -> tuple[Made, ...]:
    """Return every resource that the components of a platform of `count` regions register."""
    options = ALL_OFF if target == "lab" else {"hsmKeyStore": key_store}
    paths = os.pathsep.join((str(ROOT / "scripts"), str(ROOT / "infra"), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-m", "tests.infra.storage_stack"],
        input=json.dumps(settings(options, count, target)),
        env={**os.environ, "PYTHONPATH": paths},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tuple(Made(**r) for r in json.loads(done.stdout))


def of_kind(kind: str, count: int = 3, target: str = "aws", *, key_store: bool = False) -> dict[str, Made]:
    """Return the resources of a kind (`Bucket`) by name."""
    return {m.name: m for m in storage(count, target, key_store=key_store) if m.kind == kind}


class _Cloud(Mocks):
    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        kind, region = args.typ.split(":")[-1], args.inputs.get("region", "")
        service = args.typ.split(":")[1].split("/")[0]
        made = {"arn": f"arn:aws:{service}:{region}:{ACCOUNT}:{kind.lower()}/{args.name}", "keyId": f"mrk-{args.name}"}
        if kind == "Bucket":
            made = {"arn": f"arn:aws:s3:::{args.name}", "bucket": args.name}
        if kind == "Cluster":
            made |= {"clusterId": "cluster-1", "securityGroupId": "sg-1"}
        return f"{kind}/{args.name}", {**args.inputs, **made}

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        return dict(args.args), []


class _Monitor(MockMonitor):
    """Keeps what the mocks do not see: protection."""

    made: list[Made]

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        reply = super().RegisterResource(request)  # type: ignore[no-untyped-call] # the SDK's mocks have no types
        inputs = json_format.MessageToDict(request.object)
        self.made.append(Made(request.name, request.type, reply.id, inputs, protect=request.protect, aliases=()))
        return reply


def _program(stack: Mapping[str, Any]) -> None:
    names = (
        "backup",
        "backup_reports",
        "context",
        "evidence_store",
        "hsm",
        "keys",
        "log_store",
        "mail_secrets",
        "restore_tests",
    )
    part: dict[str, Any] = {n: import_module(f"components.{n}") for n in names}
    config = parse_stack("test", stack)
    context = part["context"].Context(
        **{**vars(part["context"].Scope.of(config)), "stated_account": ACCOUNT},
        platform=build_platform(config),
        dkim_public_keys={},
        dkim_private_keys=pulumi.Output.from_input({"acme.example": "the-private-key"}),
    )
    regions, archive = [r.name for r in config.regions], context.platform.archive
    keys = part["keys"].KeySet("keys", scope=context, regions=regions, log_regions=["us-east-1"])
    part["keys"].DnssecKey("dnssec", scope=context)
    logs = {
        r: part["log_store"].LogStore(f"logs-{r}", scope=context, region=r, keys=keys, retention_days=400)
        for r in regions
    }
    import_module("stacks.log_copies").copy_logs(context, logs, archive)
    part["evidence_store"].EvidenceStore(
        "evidence",
        scope=context,
        region=archive,
        replica_region=regions[0],
        keys=keys,
        logs=logs,
        retention_days=config.evidence_retention_days,
    )
    part["mail_secrets"].DkimKeys(
        "dkim", context=context, region=regions[0], kms_key_arn=pulumi.Output.from_input("arn:key")
    )
    backup = part["backup"].Backup("backup", scope=context, regions=regions, archive=archive, keys=keys)
    part["backup_reports"].BackupReports(
        "reports", scope=context, region=archive, regions=regions, keys=keys, logs=logs[archive], retention_days=400
    )
    for region, vault in backup.vaults.items():
        part["restore_tests"].RestoreTests(
            f"restore-{region}", scope=context, region=region, vault=vault, role_arn=backup.role_arn, keys=keys
        )
    if config.options.cloud_hsm:
        subnets = [pulumi.Output.from_input(f"subnet-{zone}") for zone in "ab"]
        cluster = part["hsm"].HsmCluster("hsm", context=context, subnet_ids=subnets)
        if config.options.hsm_key_store:
            part["hsm"].KeyStore(
                "hsm",
                context=context,
                cluster=cluster,
                trust_anchor="-----BEGIN CERTIFICATE-----",
                password=pulumi.Output.secret("the-password"),
                connected=True,
            )


def _main() -> None:
    stack = json.load(sys.stdin)
    monitor = _Monitor(_Cloud())
    monitor.made = []
    pulumi.runtime.set_mocks(_Cloud(), project="onedallmail", stack="test", preview=False, monitor=monitor)

    @pulumi.runtime.test  # type: ignore[untyped-decorator] # the SDK's decorator has no types
    def program() -> None:
        _program(stack)

    program()
    json.dump([asdict(m) for m in monitor.made], sys.stdout)


if __name__ == "__main__":
    _main()
