"""Fixtures of the tests of roles: the inventory without a lab, and every file that Ansible would write."""

from pathlib import Path

import pytest

from .rendering import Outcome, render_all
from .site import write_site


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with inventory.sh, group variables and the state of a provisioned stack."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        write_site(folder, patch)
    return folder


@pytest.fixture(scope="session")
def outcome(site_folder: Path) -> Outcome:
    """Return what rendering every template gave (once a run: it takes some seconds)."""
    return render_all(site_folder, site_folder / "inventory.sh")


@pytest.fixture(scope="session")
def aws_outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Return every template rendered for the production example, whose servers stand behind load balancers."""
    folder = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch:
        return render_all(folder, write_site(folder, patch, "example"), "a1,b1,c1")
