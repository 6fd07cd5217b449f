"""What the real Terraform AWS provider says to the states of the stacks: none is rejected, none goes unjudged.

Needs the validator (cloud/acceptance.py says where it is looked for); without it the tests skip, and the evidence is
not established. With ONEDALLMAIL_FULL=1 every stack and every variant is applied, which takes two
hours; otherwise one variant, and the apply of the lab and of the smaller stacks.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from onedallmail.cloud import acceptance
from onedallmail.cloud.acceptance import Acceptance
from onedallmail.evidence.attachments import Evidence
from onedallmail.paths import ROOT

from .offline_states import PLATFORM, OfflineStates, Variant, stacks, variants

FULL = os.environ.get("ONEDALLMAIL_FULL") == "1"
RESULTS = ROOT / ".onedallmail" / "acceptance"
"""Where the results lie that evidence is made of."""

APPLIED = ("lab", "example-keys", "example-management")
"""Stacks that are applied in every run; the larger ones are planned, and applied in a full one."""

ALWAYS = ("nothing",)
"""Variants of every run."""

pytestmark = [
    pytest.mark.timeout(acceptance.RUN_TIMEOUT_S + 600),
    pytest.mark.skipif(
        acceptance.validator() is None,
        reason=f"no validator of the real AWS provider (name its program in {acceptance.VALIDATOR_VARIABLE})",
    ),
]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> OfflineStates:
    """Return a place for states that lasts as long as the module, so that stacks find those they refer to."""
    return OfflineStates(tmp_path_factory.mktemp("states"))


def keep(evidence: Evidence, result: Acceptance) -> None:
    """Keep what was said, with the hash of the state that it speaks of: a changed state needs a new run."""
    how = "planned and applied on an emulator" if result.applied else "planned"
    evidence.describe(
        population=f"{sum(result.counts.values())} resources",
        query=f"state {result.state_sha256}",
        sample=f"all, {how}",
    )
    evidence.tool("Terraform AWS provider", result.provider.rsplit(" ", 1)[-1])
    evidence.attach(RESULTS / f"acceptance-{result.stack}.json")


def assert_accepted(result: Acceptance) -> None:
    lines = [f"{f.type} {f.name} ({f.region}, {f.stage}): {'; '.join(f.errors)}" for f in result.rejected]
    assert not lines, "\n".join(lines)
    assert result.unmapped == ()
    assert result.holds


def assert_no_rule_twice(resources: list[dict[str, Any]]) -> None:
    """AWS refuses the second of two equal rules; of the emulator's refusal nobody knows whether it means that."""
    told = ("securityGroupId", "ipProtocol", "fromPort", "toPort", "cidrIpv4", "cidrIpv6")
    kinds = tuple(f"aws:vpc/securityGroup{way}Rule:" for way in ("Ingress", "Egress"))
    rules = [(r["type"], *(r["inputs"].get(n) for n in told)) for r in resources if r["type"].startswith(kinds)]
    assert rules
    assert len(set(rules)) == len(rules)


@pytest.mark.control("iso27001:A.8.9", "iso27001:A.8.32", "soc2:CC8.1", kind="scan", basis="recorded")
@pytest.mark.parametrize("stack", stacks())
def test_the_real_provider_takes_every_resource_of_each_stack(
    states: OfflineStates, stack: str, evidence: Evidence
) -> None:
    """A plan that AWS's own provider refuses is found before there is an account to break."""
    made, file = states.make(stack)
    assert made.errors == ()
    result = acceptance.check_state(file, stack, apply=FULL or stack in APPLIED, folder=RESULTS)
    keep(evidence, result)
    assert_accepted(result)
    assert result.valid_for(file)


@pytest.mark.parametrize("variant", [v for v in variants() if FULL or v.name in ALWAYS], ids=lambda v: v.name)
def test_the_real_provider_takes_every_variant_of_a_platform(tmp_path: Path, variant: Variant) -> None:
    made, file, waived = OfflineStates(tmp_path).make_variant(variant)
    assert made.errors == ()
    assert not waived or False in variant.options.values(), "a platform that leaves nothing out needs no waiver"
    assert_no_rule_twice(json.loads(file.read_text())["deployment"]["resources"])
    assert_accepted(acceptance.check_state(file, f"{PLATFORM}-{variant.name}", apply=FULL, folder=RESULTS))


def test_what_the_real_provider_would_refuse_is_found(tmp_path: Path) -> None:
    urn = "urn:pulumi:wrong::sample::aws:ec2/vpc:Vpc::wrong"
    wrong = {"urn": urn, "type": "aws:ec2/vpc:Vpc", "custom": True, "id": "vpc-1"}
    file = tmp_path / "wrong.json"
    for inputs in ({"cidrBlock": "10.0.0.0/8"}, {"cidrBlock": "10.0.0.0/16", "instanceTenancy": "shared"}):
        file.write_text(json.dumps({"version": 3, "deployment": {"resources": [{**wrong, "inputs": inputs}]}}))
        result = acceptance.check_state(file, "wrong")
        assert [f.name for f in result.rejected] == ["wrong"]
        assert not result.holds
