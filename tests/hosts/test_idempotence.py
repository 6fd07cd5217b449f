"""The second run of the playbook changes nothing: what runs is what the code says, and nothing has drifted."""

from pathlib import Path

import pytest

from onedallmail.bringup.ansible import play
from onedallmail.evidence.attachments import Evidence
from tests.lab import ALL, PEER, STACK

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab"), pytest.mark.timeout(600)]


@pytest.mark.control("iso27001:A.8.9", "iso27001:A.8.32", "soc2:CC8.1", "soc2:CC7.1")
def test_a_second_playbook_run_changes_nothing(evidence: Evidence, tmp_path: Path) -> None:
    """A task that changes something each time hides drift, and restarts services without reason."""
    tasks: list[str] = []
    log = tmp_path / "second-run.log"
    recap = play(STACK, "site.yml", tasks.append, log)
    evidence.attach(log)
    hosts = {host.host: host for host in recap}
    assert set(hosts) >= {*ALL, PEER, "dns"}, f"the playbook left out {({*ALL, PEER, 'dns'}) - set(hosts)}"
    assert {name: host.changed for name, host in hosts.items() if host.changed} == {}, f"see {log}"
    assert all(host.failed == 0 and host.unreachable == 0 for host in recap)
