"""Faults of what stores: full disks of copies, mailboxes and queue, a changed byte, a server that stands still."""

import random
import time
from collections.abc import Sequence

from tests.faults.fault import Fault
from tests.lab import WITNESS, run_on

STORE = "/var/lib/onedallmail/copies/store"
SMALL = "/run/fault-store"
MAIL_DISK, QUEUE_DISK = "/var/vmail", "/var/spool/postfix"
"""File systems of their own on each mail server (`onedallmail.lab.disks`)."""
SERVICES = "onedallmail-ingest.service onedallmail-copies.service"
STOP, CONTINUE = (f"for unit in {SERVICES}; do systemctl kill --signal={s} $unit; done" for s in ("STOP", "CONT"))
FILL = f"""
mountpoint -q {STORE} && exit 0
{STOP}
mkdir -p {SMALL}
mount -t tmpfs -o size=$(($(du -sk {STORE} | cut -f1) + 4096))k,mode=0700 tmpfs {SMALL}
cp -a {STORE}/. {SMALL}/ && mount --bind {SMALL} {STORE}
{CONTINUE}
"""
"""The store moves to a file system that has less room than must stay free; nothing of it is lost."""
MAKE_ROOM = f"""
mountpoint -q {STORE} || exit 0
{STOP}
umount -l {STORE}
find {STORE} -mindepth 2 -type f -delete
cp -a {SMALL}/. {STORE}/ && umount -l {SMALL}
{CONTINUE}
"""
FREEZER = "/sys/fs/cgroup/system.slice/cgroup.freeze"
DAMAGE = f"""
end=$(($(date +%s) + 6))
while [ "$(date +%s)" -lt "$end" ]; do
    file=$(find {STORE} -type f -name '*-*-*' ! -name '*-'"$(hostname)" ! -name '*.tmp' | sort | head -n 1)
    size=$([ -z "$file" ] || stat -c %s "$file") && [ -n "$size" ] &&
        printf 'damaged' | dd of="$file" bs=1 seek=$((size - 40)) conv=notrunc status=none && echo "$file" && exit 0
    sleep 0.05
done
"""


def copies_full(chance: random.Random, living: Sequence[str]) -> Fault:
    """The disk of a server's copies is full: it must refuse mail, and senders go to the others."""
    name = chance.choice(living)
    return Fault(f"no room for copies on {name}", lambda: run_on(name, FILL), lambda: run_on(name, MAKE_ROOM))


def copy_damaged(chance: random.Random, living: Sequence[str]) -> Fault:
    """A copy that a server keeps for another changes on the disk; the origin still has its own."""
    name = chance.choice([*living, *WITNESS])
    return Fault(f"a copy held by {name} damaged, if one came by", lambda: run_on(name, DAMAGE), lambda: None)


def server_stalled(chance: random.Random, living: Sequence[str]) -> Fault:
    """Every service of a server stands still, as on a hanging disk or a paused machine, and then goes on."""
    name, seconds = chance.choice(living), round(chance.uniform(2, 14), 1)
    script = f"echo 1 > {FREEZER}; sleep {seconds}; echo 0 > {FREEZER}"
    until: list[float] = []

    def freeze() -> None:
        until.append(time.monotonic() + seconds + 1)
        run_on(name, f"setsid sh -c '{script}' < /dev/null > /dev/null 2>&1 &")

    return Fault(f"{name} stalled for {seconds} s", freeze, lambda: time.sleep(max(0, until[0] - time.monotonic())))


def filled(disk: str) -> str:
    """Return the script that leaves no byte of a file system, which must not be the one that everything is on."""
    return f"""
set -e
mountpoint -q {disk} || {{ echo "{disk} is no file system of its own: ./scripts/down, then ./scripts/up" >&2; exit 1; }}
room=$(df --output=avail -B1M {disk} | tail -n 1)
[ "$room" -lt 4 ] || fallocate -l "$((room - 3))M" {disk}/.fault-large
for size in 128k 4k 4k; do
    dd if=/dev/zero bs=$size oflag=append conv=notrunc,fsync of={disk}/.fault-rest 2> /dev/null || true
    sync {disk}/.fault-rest  # what was reserved for it and not needed is free again
done
[ "$(df --output=avail -B1 {disk} | tail -n 1)" -eq 0 ] || {{ df -B1 {disk} >&2; exit 1; }}
"""


def emptied(disk: str) -> str:
    """Return the script that gives the room back."""
    return f"rm -f {disk}/.fault-large {disk}/.fault-rest"


def mail_disk_full(chance: random.Random, living: Sequence[str]) -> Fault:
    """The disk of a server's mailboxes is full: what it is home and standby of can't grow, and waits."""
    return disk_full(chance.choice(living), MAIL_DISK)


def queue_disk_full(chance: random.Random, living: Sequence[str]) -> Fault:
    """The disk of a server's queue is full: it can take no mail, neither from outside nor from its fellows."""
    return disk_full(chance.choice(living), QUEUE_DISK)


def disk_full(name: str, disk: str) -> Fault:
    """Return the fault of a full file system."""

    def fill() -> None:
        output = run_on(name, filled(disk))
        assert output.code == 0, output

    return Fault(f"no room in {disk} on {name}", fill, lambda: run_on(name, emptied(disk)))
