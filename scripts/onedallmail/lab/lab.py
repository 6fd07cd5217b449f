"""The lab as a whole: made from a deployment, looked at, and taken away."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import paths
from . import disks, firewall, host, links, naming, nodes
from .aws import control as aws
from .aws.estate import read_cloud
from .command import run, succeeds
from .deployment import read_estate
from .errors import LabError
from .estate import Estate
from .image import ensure_image
from .nodes import NodePlace, NodeSpec
from .outside import OUTSIDE
from .topology import allocate_management, booting_nodes, build_topology

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Node:
    """One server of the lab; `kind` is platform or outside, `address` its management address."""

    name: str
    kind: str
    address: str
    region: str
    role: str
    place: NodePlace

    @property
    def running(self) -> bool:
        """Whether its PID 1 runs."""
        return nodes.is_running(self.place)


@dataclass(frozen=True)
class Lab:
    """The lab of one stack of this checkout."""

    stack: str
    nodes: tuple[Node, ...]

    @property
    def ssh_config_path(self) -> Path:
        """An ssh_config that reaches every node by its name."""
        return _home(self.stack) / "ssh_config"

    def node(self, name: str) -> Node:
        """Return a node by its name.

        Raises:
            LabError: there is none of that name.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        msg = f"the lab has no node {name}; nodes: {', '.join(n.name for n in self.nodes)}"
        raise LabError(msg)

    def kill(self, name: str) -> None:
        """End a node at once, as a loss of power does."""
        nodes.kill(self.node(name).place)

    def start(self, name: str) -> None:
        """Boot a node that was stopped or killed, on the image it had, and wait until it lets the operator in."""
        node = self.node(name)
        nodes.start(node.place, _spec(name, node.role, Path(_facts(self.stack)["image"])))
        nodes.wait_for_ssh([node.place], self.ssh_config_path)


def realise(stack: str, deployment: dict[str, Any], progress: Progress) -> Lab:
    """Bring this machine's lab to the deployment: keep what is right, make what is missing, remake what is wrong.

    Raises:
        LabError: the deployment can't be realised, or a node does not start.
    """
    estate, lab_id, home = read_estate(deployment), paths.lab_id(), _home(stack)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    former = _facts(stack) if _is_made(stack) else {}
    names = booting_nodes(estate)
    management = allocate_management(names, former.get("management", {}))
    image = ensure_image(progress, image_in_use(stack))
    for name in set(nodes.left_over(lab_id)) - set(names):
        progress(f"removing {name}")
        _remove(NodePlace(stack, lab_id, name))
    progress("namespaces, links and routes")
    links.apply(build_topology(estate, lab_id, management), lab_id)
    for region in estate.regions:
        links.load_firewall(naming.namespace(lab_id, naming.router(region.name)), firewall.render(estate, region.name))
    progress("AWS endpoints")
    aws.ensure(stack, read_cloud(deployment))
    host.raise_limits()
    _ensure_key(home)
    described = _describe(estate)
    (home / "lab.json").write_text(
        json.dumps({"image": str(image), "management": management, "nodes": described}, indent=1)
    )
    for name, about in described.items():
        progress(f"booting {name}")
        nodes.start(NodePlace(stack, lab_id, name), _spec(name, about["role"], image))
    _write_ssh(stack, management)
    progress("waiting for SSH")
    nodes.wait_for_ssh([NodePlace(stack, lab_id, name) for name in names], home / "ssh_config")
    return load(stack)


def image_in_use(stack: str) -> Path | None:
    """Return the image that the lab's servers were made from, or None while there is no lab."""
    return Path(_facts(stack)["image"]) if _is_made(stack) else None


def load(stack: str) -> Lab:
    """Return the lab as it was last realised.

    Raises:
        LabError: it never was.
    """
    facts = _facts(stack)
    found = tuple(
        Node(
            name=name,
            kind=about["kind"],
            address=facts["management"][name],
            region=about["region"],
            role=about["role"],
            place=NodePlace(stack, paths.lab_id(), name),
        )
        for name, about in facts["nodes"].items()
    )
    return Lab(stack, found)


def down(stack: str) -> None:
    """Remove the nodes, namespaces and files of this checkout's lab; the cached image stays."""
    lab_id = paths.lab_id()
    _close_connections(stack)
    aws.stop(stack)
    for name in nodes.left_over(lab_id):
        nodes.kill(NodePlace(stack, lab_id, name))
    for name in links.existing(lab_id):
        links.remove_namespace(name)
    nodes.release_hierarchy()
    shutil.rmtree(nodes.RUN_DIR / lab_id, ignore_errors=True)
    shutil.rmtree(_home(stack), ignore_errors=True)


def _close_connections(stack: str) -> None:
    """End the SSH connections that were kept for the next command (ControlPersist), each by its socket."""
    for socket in (nodes.RUN_DIR / paths.lab_id() / "ssh").glob("*"):
        succeeds(["ssh", "-F", str(_home(stack) / "ssh_config"), "-o", f"ControlPath={socket}", "-O", "exit", "node"])


def _remove(place: NodePlace) -> None:
    nodes.stop(place)
    shutil.rmtree(place.home, ignore_errors=True)


def _home(stack: str) -> Path:
    return paths.state_dir(stack) / "lab"


def _is_made(stack: str) -> bool:
    return (_home(stack) / "lab.json").is_file()


def _facts(stack: str) -> dict[str, Any]:
    path = _home(stack) / "lab.json"
    if not _is_made(stack):
        msg = f"stack {stack} has no lab yet: run ./scripts/up"
        raise LabError(msg)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _spec(name: str, role: str, image: Path) -> NodeSpec:
    return NodeSpec(name, image, disks.OF_ROLE.get(role, ()))


def _describe(estate: Estate) -> dict[str, dict[str, str]]:
    inside = {i.name: {"kind": "platform", "region": i.region, "role": i.role} for i in estate.instances}
    outside = {o.name: {"kind": "outside", "region": "", "role": o.role} for o in OUTSIDE if o.boots}
    return {**inside, **outside}


def _ensure_key(home: Path) -> None:
    folder = home / "ssh"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "id_ed25519").exists():
        run(
            [
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "1dallmail lab operator",
                "-f",
                str(folder / "id_ed25519"),
            ]
        )


def _write_ssh(stack: str, management: dict[str, str]) -> None:
    """Write the ssh_config and the known hosts: keys are checked, and no host is reached but through the ops link."""
    home, lab_id = _home(stack), paths.lab_id()
    known = []
    for name, address in management.items():
        key = (home / "nodes" / name / "upper" / "etc" / "ssh" / "ssh_host_ed25519_key.pub").read_text().split()
        known.append(f"{name},{address} {key[0]} {key[1]}")
    (home / "known_hosts").write_text("\n".join(known) + "\n")
    ops = naming.namespace(lab_id, naming.OPS)
    sockets = nodes.RUN_DIR / lab_id / "ssh"
    sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    common = (
        "Host *\n"
        "  User root\n"
        f"  IdentityFile {home}/ssh/id_ed25519\n"
        "  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {home}/known_hosts\n"
        "  GlobalKnownHostsFile /dev/null\n"
        "  StrictHostKeyChecking yes\n"
        "  HostKeyAlgorithms ssh-ed25519\n"
        f"  ProxyCommand ip netns exec {ops} nc %h %p\n"
        "  ControlMaster auto\n"
        "  ControlPersist 120\n"
        "  ServerAliveInterval 10\n"
        "  ServerAliveCountMax 3\n"
        f"  ControlPath {sockets}/%C\n"
        "  LogLevel ERROR\n"
    )
    hosts = "".join(f"Host {name}\n  HostName {address}\n" for name, address in management.items())
    (home / "ssh_config").write_text(hosts + common)
