"""What the server image is made of: packages, their sources, and the key of the result (pure but for reading roles/).

The union of the roles' own package lists goes in, so that a role which installs packages finds them there.
"""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from .errors import LabError

SUITE = "trixie"
RECIPE_VERSION = 4
"""Raise it when the way the image is built changes its content."""

BASE_PACKAGES = (
    "apt-utils",
    "ca-certificates",
    "dbus",
    "iproute2",
    "libpam-systemd",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd-sysv",
)
"""What a server needs to boot and to be reached by Ansible."""

TEST_PACKAGES = ("libfaketime",)
"""What only tests use: a service whose clock is wrong."""

ENABLED_UNITS = ("ssh.service", "dbus.service", "remote-fs.target", "systemd-tmpfiles-clean.timer")
"""Units that start at the first boot; every other one waits for its role."""

_PACKAGES_KEY = re.compile(r"^__[a-z0-9_]+_packages$")
_PACKAGE_NAME = re.compile(r"^[a-z0-9][a-z0-9.+-]+$")


def role_packages(roles: Path) -> tuple[str, ...]:
    """Return the sorted union of `__<role>_packages` in roles/*/vars/Debian.yml.

    Raises LabError for a list that is none, or a name that no Debian package can have.
    """
    names: set[str] = set()
    for path in sorted(roles.glob("*/vars/Debian.yml")):
        variables = yaml.safe_load(path.read_text()) or {}
        for key, value in variables.items():
            if _PACKAGES_KEY.match(str(key)):
                names.update(_checked(value, f"{path}: {key}"))
    return tuple(sorted(names))


def _checked(value: object, where: str) -> list[str]:
    if not isinstance(value, list):
        message = f"{where} is not a list. Write the packages one a line, as '  - name'."
        raise LabError(message)
    for name in value:
        if not isinstance(name, str) or not _PACKAGE_NAME.match(name):
            message = f"{where} holds {name!r}, which is not the name of a Debian package. Correct it there."
            raise LabError(message)
    return value


def packages_key(packages: Iterable[str], suite: str = SUITE) -> str:
    """Return the part of an image's name that stands for its content: suite, recipe and packages."""
    parts = [suite, RECIPE_VERSION, sorted(set(packages)), ENABLED_UNITS]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def image_key(packages: Iterable[str], today: dt.date, suite: str = SUITE) -> str:
    """Return an image's name: its content, and the ISO week, so that security updates come in."""
    year, week, _ = today.isocalendar()
    return f"{packages_key(packages, suite)}-{year}w{week:02d}"


def preset() -> str:
    """Return the systemd preset file that leaves every service to its role."""
    lines = ["# Services wait for the role that configures them.", *(f"enable {unit}" for unit in ENABLED_UNITS)]
    return "\n".join([*lines, "disable *", ""])
