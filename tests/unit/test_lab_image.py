"""The server image's recipe: packages from the roles, a name by content, sources and transport of the host."""

import datetime as dt
from pathlib import Path

import pytest

from onedallmail.lab import aptsources, image, recipe
from onedallmail.lab.errors import LabError
from onedallmail.paths import ROOT

DAY = dt.date(2026, 11, 22)
DEB822 = """Types: deb
# a comment inside
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb deb-src
URIs: http://mirror.invalid/security
Suites:
 bookworm-security
Components: main contrib

Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: bookworm
Components: main
"""


def role(folder: Path, name: str, text: str) -> None:
    path = folder / name / "vars" / "Debian.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def test_the_image_holds_the_packages_of_every_role() -> None:
    lists = list((ROOT / "roles").glob("*/vars/Debian.yml"))
    assert len(lists) > 10
    wanted = set(image.wanted_packages())
    assert {"postfix", "dovecot-core", "etcd-server", "rspamd", *recipe.BASE_PACKAGES} <= wanted


def test_lists_are_joined_and_other_variables_left_alone(tmp_path: Path) -> None:
    role(tmp_path, "one", "__one_packages: [b-pkg, a-pkg]\n__one_files: [x]\n")
    role(tmp_path, "two", "__two_packages:\n  - a-pkg\n")
    assert recipe.role_packages(tmp_path) == ("a-pkg", "b-pkg")


@pytest.mark.parametrize("text", ["__one_packages: postfix\n", "__one_packages: ['--evil']\n", "__one_packages: [7]\n"])
def test_a_list_that_is_none_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    role(tmp_path, "one", text)
    with pytest.raises(LabError, match=r"one/vars/Debian\.yml"):
        recipe.role_packages(tmp_path)


def test_the_name_changes_with_the_packages_and_the_week_only() -> None:
    key = recipe.image_key(["a1", "b1"], DAY)
    assert key == recipe.image_key(["b1", "a1", "a1"], DAY - dt.timedelta(days=1))
    assert key != recipe.image_key(["a1", "b1"], DAY + dt.timedelta(days=1))
    assert key != recipe.image_key(["a1"], DAY)
    assert key.startswith(recipe.packages_key(["a1", "b1"]))


def test_an_image_in_use_stays_when_only_the_week_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDALLMAIL_CACHE", str(tmp_path))
    used = tmp_path / "image" / recipe.image_key(image.wanted_packages(), DAY - dt.timedelta(weeks=30))
    used.mkdir(parents=True)
    assert image.ensure_image(lambda _: None, used) == used


def test_the_preset_starts_nothing_but_the_base() -> None:
    lines = recipe.preset().splitlines()
    assert lines[-1] == "disable *"
    assert not [line for line in lines if "postfix" in line or "postgresql" in line]


def test_the_hosts_own_mirror_serves_the_image() -> None:
    text = aptsources.image_sources(aptsources.parse_deb822(DEB822), "bookworm", "trixie")
    assert text.splitlines() == [
        "deb http://mirror.invalid/debian trixie main",
        "deb http://mirror.invalid/debian trixie-updates main",
        "deb http://mirror.invalid/security trixie-security main",
    ]


def test_one_line_style_is_read_with_its_options() -> None:
    line = (
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.invalid/debian bookworm main # comment\ndeb-src http://x y z\n"
    )
    found = aptsources.parse_one_line_style(line)
    assert found == [aptsources.Source(uri="http://mirror.invalid/debian", suites=("bookworm",), components=("main",))]


def test_without_a_security_archive_the_choice_is_left_to_mmdebstrap() -> None:
    only = [aptsources.Source(uri="http://mirror.invalid/debian", suites=("bookworm",), components=("main",))]
    assert aptsources.image_sources(only, "bookworm", "trixie") == ""


def test_proxy_settings_are_taken_over_and_nothing_else() -> None:
    dump = (
        'Acquire::http::Proxy "http://proxy.invalid:3128";\nAcquire::https::CaInfo "/etc/ca.pem";\n'
        'Acquire::https::Proxy "";\nAcquire::IndexTargets::deb::DEP-11 "x";\nAPT::Install-Recommends "1";\n'
    )
    assert aptsources.transport_options(dump) == [
        'Acquire::http::Proxy "http://proxy.invalid:3128";',
        'Acquire::https::CaInfo "/etc/ca.pem";',
    ]
