"""Acceptance of a stack's state by the real Terraform AWS provider, as an object that can be kept and judged later.

The validator is a program outside this project: it turns each resource of an exported state into a Terraform
configuration, which that provider validates and plans, and, when asked, applies on an emulator of AWS.
"""

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from onedallmail import paths
from onedallmail.engine.values import is_secret, walk

VALIDATOR_VARIABLE = "ONEDALLMAIL_AWSCHECK"
VALIDATOR = Path("shared/tools/awscheck/awscheck")
"""Where the validator lies beside the checkout when the variable does not name it."""

APPLY_TIMEOUT_S = 40
"""One apply; what takes longer waits for something that the emulator never does."""
APPLY_JOBS = 24
"""Most of an apply is waiting for the provider to look again."""
RUN_TIMEOUT_S = 3600
APPLIES = 2
"""What AWS would refuse is refused each time; what a busy emulator refused once gets another, whole run."""

ACCEPTED, REJECTED, UNMAPPED = "accepted", "rejected", "not mapped"
NOT_HELD = "planned only"

EMULATOR_LIMITS = (
    (r"", r"DEADLINE_EXCEEDED", "the provider waits for what the emulator never reports"),
    (r"aws:ssm/patchBaseline:", r"InvalidResourceId", "the emulator takes no tags on patch baselines"),
    (
        r"aws:route53/queryLog:",
        r"NoSuchCloudWatchLogsLogGroup",
        "the emulator looks for the log group in one region only",
    ),
)
"""Patterns of type and of an apply's error, and why it is the emulator's. Each was validated and planned before."""

EXISTS = re.compile(r"AlreadyExists|Duplicate|already exists|InstanceSessionsPerInstanceProfile", re.IGNORECASE)
"""The last one: the profile has its one role already."""
LATE = "the emulator answered late and was asked again; the state asks for it once"
"""A provider asks again when an answer takes too long; the emulator then has what the first request made."""
GLOBAL = ("aws:iam/", "aws:s3/", "aws:route53/", "aws:budgets/")
"""Types whose names count in all regions together."""
NO_IDENTITY = ("tags", "tagsAll", "description")
"""Inputs in which two resources that AWS takes for the same may differ."""


class ValidatorError(RuntimeError):
    """The validator did not come to a result."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One resource that the provider did not take."""

    name: str
    type: str
    region: str
    stage: str
    errors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """What the real provider said to one state."""

    stack: str
    state_sha256: str
    """Digest of what the program asked for (see `state_digest`)."""
    provider: str
    applied: bool
    """Whether resources were made on the emulator and planned again, or only validated and planned."""
    at: str
    """Time of the run (ISO 8601, UTC)."""
    duration_s: float
    counts: dict[str, int]
    """Resources by verdict: accepted, rejected, planned only (the emulator can't hold it), not mapped."""
    rejected: tuple[Finding, ...]
    unmapped: tuple[str, ...]
    not_held: dict[str, int]
    """Why resources were validated and planned but not applied, with their number."""
    not_checked: tuple[str, ...]
    """Arguments that this provider's version lacks, as type: argument."""

    @property
    def holds(self) -> bool:
        """Whether nothing was rejected and nothing left unjudged."""
        return not self.rejected and not self.unmapped and sum(self.counts.values()) > 0

    def valid_for(self, state: Path) -> bool:
        """Tell whether this speaks of the state in a file: a changed one has to be checked again."""
        return self.state_sha256 == state_digest(json.loads(state.read_text()))

    def write(self, folder: Path) -> Path:
        """Write `acceptance-<stack>.json` and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"acceptance-{self.stack}.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")
        return path


def read(path: Path) -> Acceptance:
    """Return what `Acceptance.write` wrote."""
    found = json.loads(path.read_text())
    findings = tuple(Finding(**{**f, "errors": tuple(f["errors"])}) for f in found["rejected"])
    lists = {name: tuple(found[name]) for name in ("unmapped", "not_checked")}
    return Acceptance(**{**found, **lists, "rejected": findings})


def state_digest(export: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what an exported state asks of AWS: type, name and inputs of each resource.

    Secrets count as present whatever they hold, so that the digest is the same with secrets shown and encrypted.
    """
    resources = export["deployment"].get("resources") or []
    asked = sorted(
        [r["urn"], r["type"], json.dumps(walk(r.get("inputs") or {}, _sealed), sort_keys=True)]
        for r in resources
        if r.get("custom") and not r.get("delete")
    )
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _sealed(value: Any) -> Any:
    return "[secret]" if is_secret(value) else value


def validator() -> Path | None:
    """Return the validator's program, None where there is none."""
    named = os.environ.get(VALIDATOR_VARIABLE)
    path = Path(named) if named else paths.ROOT.parent / VALIDATOR
    return path if os.access(path, os.X_OK) else None


def check_state(state: Path, stack: str, *, apply: bool = False, folder: Path | None = None) -> Acceptance:
    """Return what the real provider says to an exported state (secrets shown); `folder` gets the result as JSON.

    Raises:
        ValidatorError: there is no validator, or it ended without a report.
    """
    for _ in range(APPLIES if apply else 1):
        result = acceptance(_report(state, apply=apply), stack, json.loads(state.read_text()))
        if result.holds:
            break
    if folder:
        result.write(folder)
    return result


def _report(state: Path, *, apply: bool) -> dict[str, Any]:
    """Run the validator, with a new emulator, and return its report; raises ValidatorError."""
    program = validator()
    if program is None:
        msg = f"no validator: name its program in {VALIDATOR_VARIABLE}"
        raise ValidatorError(msg)
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        options = ["--apply", "--timeout", str(APPLY_TIMEOUT_S), "--jobs", str(APPLY_JOBS)] if apply else []
        done = subprocess.run(
            [program, state, "--report", report, *options],
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        if not report.exists():
            msg = f"{program} ended with {done.returncode} and no report: {done.stderr[-2000:]}"
            raise ValidatorError(msg)
        found: dict[str, Any] = json.loads(report.read_text())
    return found


def acceptance(report: Mapping[str, Any], stack: str, export: Mapping[str, Any]) -> Acceptance:
    """Return a validator's report on an export as an acceptance; the emulator's own errors become `planned only`."""
    asked = _asked(report, export)
    limits = {r["urn"]: reason for r in report["results"] if (reason := emulator_limit(r, asked))}
    verdicts = {r["urn"]: NOT_HELD if r["urn"] in limits else r["verdict"] for r in report["results"]}
    held_back = [limits.get(r["urn"]) or _why(r) for r in report["results"] if verdicts[r["urn"]] == NOT_HELD]
    return Acceptance(
        stack=stack,
        state_sha256=state_digest(export),
        provider=report["provider"],
        applied=report["applied"],
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        duration_s=report["seconds"],
        counts=dict(sorted(Counter(verdicts.values()).items())),
        rejected=tuple(_finding(r) for r in report["results"] if verdicts[r["urn"]] == REJECTED),
        unmapped=tuple(sorted({r["type"] for r in report["results"] if verdicts[r["urn"]] == UNMAPPED})),
        not_held=dict(Counter(held_back).most_common()),
        not_checked=tuple(sorted({f"{r['type']}: {a}" for r in report["results"] for a in r["not_in_provider"]})),
    )


def emulator_limit(result: Mapping[str, Any], asked: Mapping[str, str]) -> str:
    """Return why a rejection is the emulator's and not the provider's, '' when it is the provider's.

    `asked` is what AWS knows each resource by, by URN: what two of them ask for was refused for good reason.
    """
    if result["verdict"] != REJECTED or result.get("stage") not in ("apply", "provider call"):
        return ""
    text = " ".join(result["errors"])
    if EXISTS.search(text) and list(asked.values()).count(asked[result["urn"]]) == 1:
        return LATE
    found = (why for kind, error, why in EMULATOR_LIMITS if re.match(kind, result["type"]) and re.search(error, text))
    return next(found, "")


def _asked(report: Mapping[str, Any], export: Mapping[str, Any]) -> dict[str, str]:
    """Return what AWS knows each resource of a report by, by URN: type, region and name, or all that is asked of it."""
    inputs = {r["urn"]: r.get("inputs") or {} for r in export["deployment"].get("resources") or []}
    return {r["urn"]: json.dumps(_identity(r, inputs.get(r["urn"], {})), sort_keys=True) for r in report["results"]}


def _identity(result: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[Any]:
    region = "" if result["type"].startswith(GLOBAL) else result["region"]
    named = inputs.get("name") or {k: v for k, v in inputs.items() if k not in NO_IDENTITY and not k.startswith("__")}
    return [result["type"], region, named]


def _why(result: Mapping[str, Any]) -> str:
    """Return the first words of the last note of a resource that was not applied, without names and numbers of it."""
    note = (result["notes"] or ["not said"])[-1]
    if note.startswith("needs "):
        return "needs something that was not applied"
    return (
        f"{result['type'].split(':')[-1]}: {note.split(' (')[0].split(':')[0 if 'moto cannot' in note else -1].strip()}"
    )


def _finding(result: Mapping[str, Any]) -> Finding:
    return Finding(
        name=result["name"],
        type=result["type"],
        region=result["region"],
        stage=result.get("stage", ""),
        errors=tuple(result["errors"]),
    )
