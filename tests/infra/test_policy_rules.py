"""Each rule of the policy pack passes what is right and reports what is not."""

import re
from collections import Counter
from dataclasses import replace

import pytest
from infra.policy.cis import PREFIX, RECOMMENDATIONS
from infra.policy.listing import markdown
from infra.policy.model import ResourceRule
from infra.policy.rules import ALL_RULES
from infra.policy.runner import Result, Status, evaluate
from infra.policy.values import UNKNOWN, Props

from onedallmail.cloud import schema
from onedallmail.evidence.controls import load_catalogue
from onedallmail.paths import ROOT

from .policy_examples.example import Example, Stack
from .policy_examples.table import EXAMPLES

FEWEST_RULES = 60
BY_ID = {rule.id: rule for rule in ALL_RULES}
GOOD = [(e, stack) for e in EXAMPLES for stack in e.good]
BAD = [(e, stack) for e in EXAMPLES for stack in e.bad]


def names(cases: list[tuple[Example, Stack]]) -> list[str]:
    """Return a name for each case: the rule's, numbered."""
    seen: Counter[str] = Counter()
    result = []
    for example, _ in cases:
        seen[example.rule] += 1
        result.append(f"{example.rule}-{seen[example.rule]}")
    return result


def judged(example: Example, stack: Stack) -> Result:
    """Return what the example's rule says of its subject."""
    results = evaluate([BY_ID[example.rule]], stack, stack[0].plan)
    return next(r for r in results if r.resource is stack[0])


@pytest.mark.parametrize(("example", "stack"), GOOD, ids=names(GOOD))
def test_what_is_right_passes(example: Example, stack: Stack) -> None:
    result = judged(example, stack)
    assert (result.status, result.messages) == (Status.PASS, ())


@pytest.mark.parametrize(("example", "stack"), BAD, ids=names(BAD))
def test_what_is_wrong_is_a_violation_with_words(example: Example, stack: Stack) -> None:
    result = judged(example, stack)
    assert result.status is Status.VIOLATION
    assert all(len(message.split()) > 1 for message in result.messages)


@pytest.mark.parametrize(("example", "stack"), GOOD + BAD, ids=names(GOOD) + names(BAD))
def test_examples_are_resources_that_the_aws_provider_knows(example: Example, stack: Stack) -> None:
    del example
    for resource in stack:
        known = schema.inputs_of(resource.type)
        given = [k for k in resource.props.names() if k not in known and k != "region"]
        assert not set(given) - set(schema.outputs_of(resource.type)), resource.type


def test_every_rule_has_examples_of_both_kinds() -> None:
    shown = {e.rule for e in EXAMPLES if e.good and e.bad}
    assert shown == set(BY_ID)


def test_the_list_for_auditors_is_up_to_date() -> None:
    page = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    assert page == markdown(), "renew it: python -m infra.policy.listing > docs/policies.md"


def test_rules_are_many_and_each_has_an_id_of_its_own() -> None:
    assert len(ALL_RULES) >= FEWEST_RULES
    assert [i for i, n in Counter(rule.id for rule in ALL_RULES).items() if n > 1] == []


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.id)
def test_a_rule_says_what_to_do_and_for_which_controls(rule: ResourceRule) -> None:
    catalogue = load_catalogue()
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.id)
    assert len(rule.remediation.split()) > 1
    assert not rule.remediation.endswith(".")
    ours = [c for c in rule.controls if not c.startswith("cis-aws:")]
    assert [c for c in ours if c not in catalogue] == []
    assert {c.partition(":")[0] for c in ours} >= {"iso27001", "soc2"}
    benchmark = [c for c in rule.controls if c not in ours]
    assert [c for c in benchmark if not c.startswith(PREFIX) or c.removeprefix(PREFIX) not in RECOMMENDATIONS] == []


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.id)
def test_a_rule_looks_at_types_that_exist(rule: ResourceRule) -> None:
    named = [t for t in rule.applies_to if not t.endswith("*")]
    assert [t for t in named if not schema.known(t)] == []


@pytest.mark.parametrize(("example", "stack"), BAD, ids=names(BAD))
def test_what_is_wrong_never_passes_for_not_being_known_yet(example: Example, stack: Stack) -> None:
    veiled = [replace(r, props=Props(dict.fromkeys(r.props.names(), UNKNOWN)), id="") for r in stack]
    assert judged(example, veiled).status in (Status.VIOLATION, Status.NOT_ESTABLISHED)
