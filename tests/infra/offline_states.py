"""States of the project's stacks, made without an account, and variants of a platform stack to make them of."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from onedallmail.cloud import emulator
from onedallmail.engine import run
from onedallmail.engine.events import UpResult
from onedallmail.engine.workspace import Workspace
from onedallmail.paths import ROOT
from onedallmail.platform.options import Options
from onedallmail.platform.regions import REGION_NUMBERS
from onedallmail.platform.stack import PROJECT

PLATFORM = "example"
SIZES = (2, 5, 8)
"""Regions with mail servers in variants; the witness stands in one more."""

LEADING = ("eu-central-1", "eu-west-1", "eu-north-1")
ROUNDS = 4
"""Runs until a variant's violations are all waived: some are found only when others no longer stop the run."""

VOTERS = 2
"""Mail servers that vote; the witness is the third voter."""


@dataclass(frozen=True)
class Variant:
    """A platform stack that differs from the example in regions and options."""

    name: str
    options: Mapping[str, bool] = field(default_factory=dict)
    regions: int = SIZES[0]

    def config(self) -> dict[str, str]:
        """Return the configuration that makes the example this variant; it has keys and archive of its own."""
        stated = {"options": self.options, "regions": _regions(self.regions), "references": {}}
        return {f"{PROJECT}:{key}": json.dumps(value) for key, value in stated.items()}


def _regions(count: int) -> list[dict[str, Any]]:
    names = [*LEADING, *(r for r in sorted(REGION_NUMBERS) if r not in LEADING)][: count + 1]
    mail = [
        {
            "name": name,
            "cidr": f"10.{10 + index}.0.0/16",
            "servers": [
                {"name": f"m{index}a", "zone": "a", "voter": index < VOTERS},
                {"name": f"m{index}b", "zone": "b", "voter": False},
            ],
        }
        for index, name in enumerate(names[:-1])
    ]
    witness = {"name": f"w{count}", "zone": "a", "role": "witness"}
    return [*mail, {"name": names[-1], "cidr": f"10.{10 + count}.0.0/16", "servers": [witness]}]


def variants() -> Iterator[Variant]:
    """Yield stacks of each size, with all options on and off, and with each option turned the other way."""
    defaults = Options().model_dump(by_alias=True)
    everything, nothing = dict.fromkeys(defaults, True), dict.fromkeys(defaults, False)
    for size in SIZES:
        yield Variant(f"{size}-regions", regions=size)
    yield Variant("everything", everything)
    yield Variant("nothing", nothing)
    for option, value in defaults.items():
        yield Variant(f"{option}-{'off' if value else 'on'}", turned({**defaults, option: not value}, option))


def turned(options: dict[str, bool], fixed: str) -> dict[str, bool]:
    """Return options that agree, by turning as few others as it takes."""
    others = [name for name in options if name != fixed]
    for number in range(len(others) + 1):
        for names in combinations(others, number):
            changed = options | {name: not options[name] for name in names}
            if _agrees(changed):
                return changed
    msg = f"no other option makes '{fixed}' possible"
    raise LookupError(msg)


def _agrees(options: dict[str, bool]) -> bool:
    try:
        Options.model_validate(options)
    except ValidationError:
        return False
    return True


@cache
def _stack_file(stack: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return content


def stacks() -> list[str]:
    """Return the stacks of the checkout, those that others refer to first."""
    names = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))
    return sorted(names, key=lambda stack: f"{PROJECT}:references" in _stack_file(stack))


def dkim(stack: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return public and secret configuration with DKIM keys for the stack's domains, none where it has none."""
    domains = _stack_file(stack).get(f"{PROJECT}:domains")
    if not domains:
        return {}, {}
    public, private = json.dumps(dict.fromkeys(domains, "QUJD")), json.dumps(dict.fromkeys(domains, "a-private-key"))
    return {f"{PROJECT}:dkimPublicKeys": public}, {f"{PROJECT}:dkimPrivateKeys": private}


def _waive(root: Path, violations: set[tuple[str, str]]) -> None:
    """Write a waiver for each policy and resource into the project's file."""
    expires = (datetime.now(UTC) + timedelta(days=30)).date()
    entries = [
        {
            "rule": policy,
            "resource": name,
            "stack": PLATFORM,
            "approver": "test",
            "reason": "A variant that leaves out on purpose what the policy asks for.",
            "expires": expires,
        }
        for policy, name in sorted(violations)
    ]
    (root / "infra" / "policy" / "waivers.yaml").write_text(yaml.safe_dump({"waivers": entries}))


@cache
def ceremony() -> dict[str, str]:
    """Return the configuration that the activation of an HSM cluster leaves: the certificate that signed it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "customer CA")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    anchor = certificate.public_bytes(Encoding.PEM).decode()
    return {f"{PROJECT}:hsmTrustAnchor": anchor, f"{PROJECT}:hsmKeyStoreConnected": "true"}


@dataclass(frozen=True)
class OfflineStates:
    """Makes stacks below one folder, where they find each other."""

    folder: Path

    def make(self, stack: str, config: Mapping[str, str] | None = None) -> tuple[UpResult, Path]:
        """Return the result of an `up` without an account, and the file with the exported state.

        Stacks that it refers to are made before it, unless `config` makes it one that stands alone.
        """
        for other in (_stack_file(stack).get(f"{PROJECT}:references") or {}).values() if config is None else ():
            if not self._file(other).exists():
                self.make(other)
        return self._up(stack, config or {}, ROOT)

    def make_variant(self, variant: Variant) -> tuple[UpResult, Path, frozenset[str]]:
        """Return result and state of a variant, and the policies that had to be waived for it.

        What the pack makes mandatory can be left out by a waiver only, as an operator would: the violations of one run
        are waived for the next, in a copy of the project.
        """
        root, waived = self._project(), set[tuple[str, str]]()
        for _ in range(ROUNDS):
            result, file = self._up(PLATFORM, variant.config(), root)
            found = {(v.policy, v.urn.rsplit("::", 1)[-1]) for v in result.violations if v.level == "mandatory"}
            if not found - waived:
                break
            waived |= found
            _waive(root, waived)
        return result, file, frozenset(policy for policy, _ in waived)

    def _project(self) -> Path:
        """Return a copy of the project that has waivers of its own; all else are links to the checkout."""
        root = self.folder / "project"
        (root / "infra").mkdir(parents=True)
        for path in ROOT.glob("Pulumi*.yaml"):
            (root / path.name).symlink_to(path)
        for path in (ROOT / "infra").iterdir():
            if path.name not in ("policy", "__pycache__"):
                (root / "infra" / path.name).symlink_to(path)
        shutil.copytree(ROOT / "infra" / "policy", root / "infra" / "policy")
        return root

    def _up(self, stack: str, config: Mapping[str, str], root: Path) -> tuple[UpResult, Path]:
        work = Workspace(stack=stack, root=root, state_dir=self.folder / f"{stack}-offline")
        public, private = dkim(stack)
        if json.loads(config.get(f"{PROJECT}:options", "{}")).get("hsmKeyStore"):
            public, private = {**public, **ceremony()}, {**private, f"{PROJECT}:hsmKeyStorePassword": "a-password-1"}
        try:
            result = run.up(stack, config={**public, **config}, secret_config=private, workspace=work, offline=True)
            exported = run.export(stack, show_secrets=True, workspace=work, offline=True)
        finally:
            emulator.stop(stack, state_dir=work.home)
        file = self._file(stack)
        file.touch(mode=0o600)
        file.write_text(json.dumps(exported))
        return result, file

    def _file(self, stack: str) -> Path:
        return self.folder / f"{stack}.json"
