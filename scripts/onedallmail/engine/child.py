"""Runs a command that ends with its parent: `python -m onedallmail.engine.child PARENT-PID COMMAND...`.

PR_SET_PDEATHSIG outlives exec, so the command itself need not know; it follows the *thread* that started this one.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def command(*args: str) -> list[str]:
    """Return the command line that runs `args` bound to the life of the calling process."""
    return [sys.executable, "-m", "onedallmail.engine.child", str(os.getpid()), *args]


def main() -> None:
    """Bind this process to its parent, then become the command."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The terminal sends its interrupt to all processes; the engine decides when these end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.getppid() != parent:  # it died before the call above
        raise SystemExit(1)
    os.execv(program[0], program)  # noqa: S606 - the point of this module


if __name__ == "__main__":
    main()
