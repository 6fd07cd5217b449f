"""Phase verify: the tests marked smoke, recorded as evidence."""

import os
import subprocess
import sys
from pathlib import Path

from onedallmail.engine import child
from onedallmail.evidence.bundle import evidence_dir
from onedallmail.paths import ROOT

from .phases import PhaseError, Step


def verify(stack: str, step: Step, log: Path) -> str:
    """Run the smoke tests; return pytest's closing line.

    Raises:
        PhaseError: a test failed.
    """
    step("tests marked smoke")
    report = log.with_name("smoke.log")
    argv = [sys.executable, "-m", "pytest", "-q", "-m", "smoke", "--color=no", "tests/hosts", "tests/mail"]
    argv += ["--evidence", str(evidence_dir(stack) / "results"), "--evidence-stack", stack]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "ONEDALLMAIL_STACK": stack}
    done = subprocess.run(child.command(*argv), cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    report.write_text(done.stdout + done.stderr)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0:
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        msg = f"smoke tests failed (see {report})\n" + "\n".join(failed[:10] or lines[-3:])
        raise PhaseError(msg)
    return lines[-1].strip("= ")
