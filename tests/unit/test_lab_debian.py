"""Programs out of Debian packages: the host's suite decides on the version, the cache is not trusted to be there."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from onedallmail.lab import debian
from onedallmail.lab.errors import LabError

POLICY = "tool:\n  Installed: (none)\n  Candidate: {}\n  Version table:\n"


class Archive:
    """A package archive: real packages, and lists that may be out of date."""

    def __init__(self, folder: Path) -> None:
        """Begin with version 1 of one package, known to the lists."""
        self.folder = folder
        self.offered, self.listed = "1:1.0-1", "1:1.0-1"
        self.downloads, self.updates = 0, 0
        self.package = "tool"

    def run(self, argv: Sequence[str], **_: object) -> str:
        """Answer as apt does; dpkg is the real one."""
        if argv[0] == "dpkg":
            return subprocess.run(list(argv), capture_output=True, text=True, check=True).stdout
        if "policy" in argv:
            return POLICY.format(self.listed) if argv[-1] == self.package else ""
        if "update" in argv:
            self.updates, self.listed = self.updates + 1, self.offered
            return ""
        if argv[-1] != f"{self.package}={self.offered}":
            msg = "apt-get download failed: 404"
            raise LabError(msg)
        self.downloads += 1
        self.build(Path(argv[2]))
        return ""

    def build(self, where: Path) -> None:
        """Make the package."""
        root = self.folder / "root"
        (root / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (root / "usr/bin").mkdir(parents=True, exist_ok=True)
        fields = ("Package: tool", f"Version: {self.offered}", "Architecture: all", "Maintainer: a <a@example.net>")
        (root / "DEBIAN" / "control").write_text("\n".join((*fields, "Description: x", "")))
        (root / "usr/bin/tool").write_text(f"#!/bin/sh\necho {self.offered}\n")
        (root / "usr/bin/tool").chmod(0o755)
        subprocess.run(["dpkg-deb", "--build", str(root), str(where / "tool.deb")], capture_output=True, check=True)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    found = Archive(tmp_path)
    monkeypatch.setenv("ONEDALLMAIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(debian, "run", found.run)
    return found


def said(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()


def test_a_program_is_taken_out_once(archive: Archive) -> None:
    first, again = (debian.program("usr/bin/tool", "tool") for _ in range(2))
    assert (first, said(first), archive.downloads, archive.updates) == (again, "1:1.0-1", 1, 0)
    assert [path.name for path in first.parent.iterdir()] == ["tool"], "nothing else of the package stays"


def _another_version(archive: Archive) -> None:
    archive.offered = archive.listed = "1:2.0-1"


def _older_lists(archive: Archive) -> None:
    archive.offered = "1:2.0-1"


def _no_lists(archive: Archive) -> None:
    archive.offered, archive.listed = "1:2.0-1", "(none)"


@pytest.mark.parametrize("change", [_another_version, _older_lists, _no_lists])
def test_the_version_is_that_of_the_suite_now(archive: Archive, change: Callable[[Archive], None]) -> None:
    change(archive)
    assert said(debian.program("usr/bin/tool", "tool")) == "1:2.0-1"


def test_a_half_build_and_a_lost_cache_do_no_harm(archive: Archive) -> None:
    found = debian.program("usr/bin/tool", "tool")
    found.unlink()
    found.parent.with_name(found.parent.name + ".building").mkdir()
    assert said(debian.program("usr/bin/tool", "tool")) == "1:1.0-1"
    assert archive.downloads == 2


def test_the_first_package_that_the_suite_has_is_taken(archive: Archive) -> None:
    assert said(debian.program("usr/bin/tool", "tool-of-its-own", "tool")) == "1:1.0-1"
    assert archive.updates == 0


@pytest.mark.parametrize(
    ("path", "package", "reason"),
    [("usr/bin/tool", "absent", "No Debian package absent"), ("usr/bin/other", "tool", "has no usr/bin/other")],
)
def test_what_is_not_there_is_said(archive: Archive, path: str, package: str, reason: str) -> None:
    with pytest.raises(LabError, match=reason):
        debian.program(path, package)
    assert archive.updates == 1, "it was looked for again with fresh lists"
