"""Fixtures of the host tests: the running lab, and each server's facts; the second playbook run comes last."""

import pytest

from onedallmail.evidence.attachments import Evidence
from onedallmail.lab.lab import Lab
from tests.hosts.facts import Facts, all_facts
from tests.lab import ALL, require_lab

LAST = "test_idempotence.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the second playbook run after everything else: it takes long, and a change it made would blur the others."""
    items.sort(key=lambda item: item.path.name == LAST)


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The running lab."""
    return require_lab()


@pytest.fixture(params=ALL)
def facts(request: pytest.FixtureRequest, lab: Lab, evidence: Evidence) -> Facts:  # noqa: ARG001 - asked of the lab
    """The facts of one server; the test runs once for each."""
    found = all_facts()[request.param]
    evidence.describe(
        population=f"{len(ALL)} servers", sample=request.param, query="one SSH call, tests/hosts/facts.py"
    )
    return found
