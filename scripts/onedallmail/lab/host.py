"""Whether this machine can run the lab: kernel and programs (scripts/setup.sh has looked at user, system and size)."""

import shutil
from pathlib import Path

FILE_SYSTEMS = ("overlay", "cgroup2")
INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
WANTED_INSTANCES = 4096
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


def raise_limits() -> None:
    """Let the kernel hold the inotify instances of many systemds: all servers' root is one user to it.

    The limit is raised only, and until the next boot of the machine; a larger one is left alone.
    """
    if int(INOTIFY_INSTANCES.read_text()) < WANTED_INSTANCES:
        INOTIFY_INSTANCES.write_text(f"{WANTED_INSTANCES}\n")
