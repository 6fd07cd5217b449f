"""Names and time: answers are validated by DNSSEC on each server, and all clocks agree."""

import re
import time

import pytest

from onedallmail.evidence.attachments import Evidence
from tests.hosts.facts import Facts
from tests.lab import ALL, DOMAIN, on_all, run_on

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]

BOGUS = "www.bogus.example"
"""A name below a zone whose signatures do not lead to the root: a validating resolver must not answer."""
SIGNED = ((DOMAIN, "MX"), (f"_dmarc.{DOMAIN}", "TXT"), ("partner.example", "MX"), ("25.113.0.203.in-addr.arpa", "PTR"))


@pytest.mark.smoke
@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.20", "soc2:CC6.7")
def test_every_server_validates_names_to_the_root(evidence: Evidence) -> None:
    """Mail goes where MX records say; an answer without a proven chain could send it to anybody."""
    script = "; ".join(f"dig +dnssec +time=5 +tries=2 {name} {kind}" for name, kind in SIGNED)
    for name, output in on_all(ALL, lambda node: run_on(node, script)).items():
        evidence.attach_text(f"{name}-dig.txt", output.stdout)
        flags = re.findall(r"^;; flags: ([a-z ]+);", output.stdout, re.MULTILINE)
        assert len(flags) == len(SIGNED), f"{name}: not every question was answered"
        assert all("ad" in found.split() for found in flags), f"{name}: an answer is not validated: {flags}"


@pytest.mark.control("iso27001:A.8.21", "iso27001:A.8.20", "soc2:CC6.6")
def test_a_name_with_a_wrong_signature_is_not_answered() -> None:
    """The negative of the test above: with checking off the name exists, with checking on the resolver refuses."""
    script = f"dig +time=5 +tries=2 {BOGUS} A; dig +cd +short +time=5 +tries=2 {BOGUS} A"
    for name, output in on_all(ALL, lambda node: run_on(node, script)).items():
        assert "status: SERVFAIL" in output.stdout, f"{name} answered for {BOGUS}"
        assert output.lines[-1] == "203.0.113.99", f"{name}: {BOGUS} does not exist at all, so nothing was proven"


@pytest.mark.control("iso27001:A.8.21", "soc2:CC6.6")
def test_inside_names_stay_inside() -> None:
    """NAME.internal is answered by the server itself; the outside world learns no inside name, and has none to give."""
    found = run_on(
        "a1", "dig +short b1.internal A; dig +short no-such.internal A; dig no-such.internal A | grep status"
    )
    assert found.lines[0].startswith("10.")
    assert "NXDOMAIN" in found.lines[-1]
    assert len(found.lines) == 2


@pytest.mark.control("iso27001:A.8.17", "iso27001:A.8.15")
def test_all_clocks_agree() -> None:
    """A chain of events over several servers can be told only when their clocks agree."""
    before = time.time()
    seen = on_all(ALL, lambda node: float(run_on(node, "date +%s.%N").stdout))
    after = time.time()
    assert all(before - 1 <= at <= after + 1 for at in seen.values()), seen


@pytest.mark.control("iso27001:A.8.17")
def test_the_time_service_runs_and_serves_nobody(facts: Facts) -> None:
    """chronyd keeps the time by NTS and must not become a reflector for others."""
    assert any(line.split()[0] == "chrony.service" for line in facts["running"].lines)
    assert facts["tracking"].stdout.count(",") >= 12, "chronyc did not report its tracking"
    assert not re.search(r":(123|323)\b.*chronyd", facts["sockets"].stdout), "chronyd answers on the network"
