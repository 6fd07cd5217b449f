"""Fixtures of the mail tests: the running lab and its accounts."""

import pytest

from onedallmail.lab.lab import Lab
from tests.lab import MAIL, account_on, require_lab


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The running lab."""
    return require_lab()


@pytest.fixture(scope="session")
def residents(lab: Lab) -> dict[str, str]:  # noqa: ARG001 - accounts are asked of the running lab
    """One user of each home server, by the server's name."""
    return {home: account_on(home) for home in MAIL}
