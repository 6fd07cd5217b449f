"""Debian servers as systemd-nspawn containers in the lab's own network namespaces.

A node's root is an overlay over the server image; it lives in a mount namespace and a cgroup of its own, so ending
the node ends its mounts with it. The node outlives the command that started it.
"""

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .. import paths
from . import disks, naming
from .command import run, succeeds
from .disks import Disk
from .errors import LabError
from .process import Process, children

BOOT_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
RUN_DIR = Path("/run/onedallmail")
POWER_OFF = signal.SIGRTMIN + 4
"""systemd powers off on it (systemd(1), Signals)."""

_DROPPED = ("CAP_SYS_MODULE", "CAP_SYS_TIME", "CAP_SYS_BOOT", "CAP_SYS_RAWIO")
_START = f"""
set -eu
mkdir -p "$ROOT" "$UPPER" "$WORK"
mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$UPPER,workdir=$WORK" "$ROOT"
{disks.MOUNT}
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$CGROUP"
echo $$ >"/sys/fs/cgroup/$CGROUP/cgroup.procs"
exec env SYSTEMD_NSPAWN_API_VFS_WRITABLE=network systemd-nspawn --quiet --register=no --keep-unit -D "$ROOT" \\
    --machine="$CGROUP" --hostname="$NODE" --network-namespace-path="/run/netns/$NETNS" --resolv-conf=off \\
    --timezone=off --link-journal=no --console=pipe --capability=all --drop-capability="$DROPPED" \\
    --system-call-filter="add_key keyctl bpf perf_event_open" -b
"""


@dataclass(frozen=True)
class NodeSpec:
    """What a node is before it runs."""

    name: str
    image: Path
    disks: tuple[Disk, ...] = ()


@dataclass(frozen=True)
class NodePlace:
    """Where a node's files, records and names are."""

    stack: str
    lab_id: str
    name: str

    @property
    def home(self) -> Path:
        """Folder of the node's changes to the image; it outlives a restart."""
        return paths.state_dir(self.stack) / "lab" / "nodes" / self.name

    @property
    def record(self) -> Path:
        """File with the node's processes, gone with the machine's next boot."""
        return RUN_DIR / self.lab_id / "nodes" / f"{self.name}.json"

    @property
    def namespace(self) -> str:
        """Network namespace, machine name and cgroup."""
        return naming.namespace(self.lab_id, self.name)

    @property
    def log(self) -> Path:
        """What the node writes to its console."""
        return paths.state_dir(self.stack) / "logs" / f"node-{self.name}.log"


def init(place: NodePlace) -> Process | None:
    """Return the node's PID 1 if it runs."""
    recorded = _recorded(place).get("init")
    return recorded if recorded and recorded.alive else None


def start(place: NodePlace, spec: NodeSpec) -> None:
    """Begin to boot a node; return before it is reachable. A node that runs on this image is left as it is.

    Raises:
        LabError: the container did not start; the message names its log.
    """
    if init(place) is not None and _image_of(place) == spec.image:
        return
    stop(place)
    upper = place.home / "upper"
    upper.mkdir(parents=True, exist_ok=True)
    _prepare(upper, place, spec)
    place.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "IMAGE": str(spec.image),
        "UPPER": str(upper),
        "WORK": str(place.home / "work"),
        "ROOT": str(place.home / "root"),
        "CGROUP": place.namespace,
        "NETNS": place.namespace,
        "NODE": spec.name,
        "DROPPED": ",".join(_DROPPED),
        "DISKS": disks.words(spec.disks),
        "IMAGES": str(place.home / "disks"),
    }
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _START],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    _record(place, spec, process)


def _record(place: NodePlace, spec: NodeSpec, process: "subprocess.Popen[bytes]") -> None:
    """Wait for the container's PID 1 and write down who is who."""
    end = time.monotonic() + BOOT_TIMEOUT_S
    while True:
        if process.poll() is not None:
            tail = "\n".join(place.log.read_text(errors="replace").splitlines()[-5:])
            msg = f"node {place.name} did not start (status {process.returncode}); its log is {place.log}\n{tail}"
            raise LabError(msg)
        found = [pid for pid in children(process.pid) if _command(pid) in ("systemd", "init")]
        if found:
            break
        if time.monotonic() > end:
            kill(place)
            msg = f"node {place.name} had no init after {BOOT_TIMEOUT_S} s; its log is {place.log}"
            raise LabError(msg)
        time.sleep(0.05)
    outer, inner = Process.of(process.pid), Process.of(found[0])
    record = {
        "image": str(spec.image),
        "nspawn": [outer.pid, outer.start] if outer else None,
        "init": [inner.pid, inner.start] if inner else None,
    }
    place.record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = place.record.with_suffix(".tmp")
    draft.write_text(json.dumps(record))
    draft.replace(place.record)
    place.record.with_suffix(".image").write_text(f"{spec.image}\n")


def stop(place: NodePlace) -> None:
    """Shut a node down as a power button does; what does not end in time is killed."""
    running = init(place)
    if running:
        running.send(POWER_OFF)
        running.wait(STOP_TIMEOUT_S)
    kill(place)


def kill(place: NodePlace) -> None:
    """End a node at once, as a loss of power does, and everything that is left of it."""
    for process in _recorded(place).values():
        process.send(signal.SIGKILL)
        process.wait(STOP_TIMEOUT_S)
    _empty_cgroup(place)
    place.record.unlink(missing_ok=True)
    place.record.with_suffix(".image").unlink(missing_ok=True)


def is_running(place: NodePlace) -> bool:
    """Whether the node's PID 1 runs."""
    return init(place) is not None


def left_over(lab_id: str) -> list[str]:
    """Return the names of nodes of this lab that have a record or a cgroup, running or not."""
    records = (p.stem for p in (RUN_DIR / lab_id / "nodes").glob("*.json"))
    groups = (p.name.removeprefix(naming.prefix(lab_id)) for p in _hierarchy().glob(f"{naming.prefix(lab_id)}*"))
    return sorted({*records, *groups})


def _recorded(place: NodePlace) -> dict[str, Process]:
    if not place.record.is_file():
        return {}
    record = json.loads(place.record.read_text())
    return {key: Process(*record[key]) for key in ("init", "nspawn") if record.get(key)}


def _image_of(place: NodePlace) -> Path | None:
    return Path(json.loads(place.record.read_text())["image"]) if place.record.is_file() else None


def _command(pid: int) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _hierarchy() -> Path:
    """Return the machine's cgroup2 hierarchy, mounted for the lab where the machine itself does not have it."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return Path("/sys/fs/cgroup")
    own = RUN_DIR / "cgroup"
    if not (own / "cgroup.controllers").exists():
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        run(["mount", "-t", "cgroup2", "none", str(own)])
    return own


def release_hierarchy() -> None:
    """Unmount the hierarchy that the lab mounted for itself, once no lab of any checkout has a node in it."""
    own = RUN_DIR / "cgroup"
    if own.is_mount() and not any(own.glob("odm-*")) and succeeds(["umount", str(own)]):
        own.rmdir()


def _empty_cgroup(place: NodePlace) -> None:
    """Kill whatever is in the node's cgroup, by the group's own name, and remove the group."""
    group = _hierarchy() / place.namespace
    if not group.is_dir():
        return
    with suppress(OSError):
        (group / "cgroup.kill").write_text("1")
    end = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < end:
        try:
            for folder in sorted(group.rglob("*"), key=lambda p: len(p.parts), reverse=True):
                if folder.is_dir():
                    folder.rmdir()
            group.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            return
    msg = f"processes of node {place.name} did not end within {STOP_TIMEOUT_S} s; see {group}/cgroup.procs"
    raise LabError(msg)


def _prepare(upper: Path, place: NodePlace, spec: NodeSpec) -> None:
    """Give the node what must differ from server to server, once."""
    (upper / "etc" / "ssh").mkdir(parents=True, exist_ok=True)
    _once(upper / "etc" / "hostname", f"{spec.name}\n")
    _once(upper / "etc" / "hosts", f"127.0.0.1 localhost\n127.0.1.1 {spec.name}\n")
    _once(upper / "etc" / "resolv.conf", "# Written by the role resolver.\n")
    _once(upper / "etc" / "machine-id", f"{uuid.uuid4().hex}\n")
    if not (upper / "etc" / "ssh" / "ssh_host_ed25519_key").exists():
        run(["ssh-keygen", "-q", "-A", "-f", str(upper)])
    keys = upper / "root" / ".ssh"
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    (upper / "root").chmod(0o700)
    public = paths.state_dir(place.stack) / "lab" / "ssh" / "id_ed25519.pub"
    _once(keys / "authorized_keys", public.read_text(), mode=0o600)


def _once(path: Path, text: str, mode: int = 0o644) -> None:
    if not path.exists():
        path.write_text(text)
        path.chmod(mode)


def wait_for_ssh(places: Sequence[NodePlace], ssh_config: Path) -> None:
    """Wait until every node lets the operator in.

    Raises:
        LabError: one did not within the time; the message names its log.
    """
    waiting = {place.name: place for place in places}
    end = time.monotonic() + BOOT_TIMEOUT_S
    while waiting:
        tries = {
            name: subprocess.Popen(
                ["ssh", "-F", str(ssh_config), "-o", "ConnectTimeout=2", "-o", "ControlMaster=no", name, "true"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for name in waiting
        }
        for name, attempt in tries.items():
            if attempt.wait(timeout=BOOT_TIMEOUT_S) == 0:
                del waiting[name]
        for place in waiting.values():
            if not is_running(place):
                msg = f"node {place.name} ended while it booted; its log is {place.log}"
                raise LabError(msg)
        if waiting and time.monotonic() > end:
            logs = ", ".join(str(p.log) for p in waiting.values())
            msg = f"no SSH to {', '.join(waiting)} after {BOOT_TIMEOUT_S} s; see {logs}"
            raise LabError(msg)
        time.sleep(0.2 if waiting else 0)
