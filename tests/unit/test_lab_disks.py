"""The lab's small file systems: what is watched can be full, and the script that mounts them is one."""

import subprocess

import yaml

from onedallmail.lab import disks, nodes
from onedallmail.lab.disks import Disk
from onedallmail.paths import ROOT


def test_mail_servers_have_what_their_health_check_watches() -> None:
    watched = yaml.safe_load((ROOT / "roles" / "health" / "defaults" / "main.yml").read_text())["health_file_systems"]
    assert all(f"'{disk.folder}'" in watched for disk in disks.OF_ROLE["mail"])
    assert set(disks.OF_ROLE) == {"mail"}


def test_disks_are_named_as_the_script_takes_them() -> None:
    assert disks.words((Disk("/a", 5), Disk("/b/c", 7))) == "/a:5 /b/c:7"
    assert disks.words(()) == ""
    assert disks.MOUNT in nodes._START
    subprocess.run(["sh", "-n"], input=nodes._START, text=True, check=True)
