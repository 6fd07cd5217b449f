"""Running the host's programs with errors that name the program and what it said.

No shell takes part: each command is a list.
"""

import subprocess
from collections.abc import Sequence

from .errors import LabError


def run(argv: Sequence[str], *, stdin: str | None = None, timeout_s: float = 120) -> str:
    """Return the standard output of a command.

    Raises LabError with the command's own words if it fails, is missing, or takes too long.
    """
    try:
        done = subprocess.run(list(argv), input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False)
    except FileNotFoundError as error:
        message = f"The program {argv[0]!r} is not installed. Run ./scripts/up, which installs it."
        raise LabError(message) from error
    except subprocess.TimeoutExpired as error:
        message = f"{' '.join(argv[:6])} did not end within {timeout_s:.0f} s."
        raise LabError(message) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        message = f"{' '.join(argv[:8])} failed with status {done.returncode}: {said}"
        raise LabError(message)
    return done.stdout


def succeeds(argv: Sequence[str], *, timeout_s: float = 30) -> bool:
    """Return whether a command that is only a question ends with status 0."""
    try:
        return subprocess.run(list(argv), capture_output=True, timeout=timeout_s, check=False).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
