"""Whether this machine can run the lab: kernel and programs (scripts/setup.sh has looked at user, system and size)."""

import shutil
from pathlib import Path

FILE_SYSTEMS = ("overlay", "cgroup2")
PROGRAMS = ("ip", "nft", "mmdebstrap", "systemd-nspawn", "unshare", "nsenter", "ssh", "ssh-keygen")


def preflight() -> list[str]:
    """Return what is missing, a sentence each with what to do; nothing when the lab can run."""
    known = Path("/proc/filesystems").read_text().split()
    problems = [
        f"The kernel has no {name} file system: load the module, or use Debian's own kernel."
        for name in FILE_SYSTEMS
        if name not in known
    ]
    problems += [f"{name} is not installed: run ./scripts/up." for name in PROGRAMS if shutil.which(name) is None]
    return problems
