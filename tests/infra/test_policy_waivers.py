"""A waiver accepts one violation, by a named person, for a stated time; everything else about it is refused."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from infra.policy.judge import WAIVERS_POLICY, Judge
from infra.policy.model import Level, ResourceRule
from infra.policy.rules import ALL_RULES
from infra.policy.rules.compute import termination_protected
from infra.policy.rules.keys import key_deletion_waits
from infra.policy.runner import Result, Status, evaluate, stopping
from infra.policy.sources import resource
from infra.policy.values import UNKNOWN
from infra.policy.waivers import (
    Waiver,
    WaiverError,
    apply,
    load_waivers,
    standing_defects,
    unused_defects,
)

from .policy_examples.example import PLAN

TODAY = date(2026, 6, 1)
SERVER = "aws:ec2/instance:Instance"
ENTRY = {
    "rule": "termination-protected",
    "resource": "a*",
    "stack": "example",
    "approver": "R. Keller, head of operations",
    "reason": "The pilot's servers are replaced every night.",
    "expires": date(2026, 6, 30),
}


def waiver(**changes: object) -> Waiver:
    """Return a waiver in force."""
    return Waiver.model_validate({**ENTRY, **changes})


def violated(name: str = "a1", rule: ResourceRule = termination_protected, **values: object) -> tuple[Result, ...]:
    """Return the result of a rule at an instance that is not protected."""
    return evaluate([rule], [resource(SERVER, name, values, PLAN)], PLAN)


def written(tmp_path: Path, text: str) -> Path:
    """Return a waivers file with this text."""
    path = tmp_path / "waivers.yaml"
    path.write_text(text)
    return path


def test_a_waiver_in_force_lets_the_violation_pass_and_names_who_approved_it() -> None:
    (result,) = apply(violated(), [waiver()], TODAY)
    assert (result.status, result.approver) == (Status.WAIVED, ENTRY["approver"])
    assert not stopping([result])


def test_a_waiver_holds_through_its_last_day() -> None:
    last = waiver(expires=TODAY)
    assert apply(violated(), [last], TODAY)[0].status is Status.WAIVED
    assert standing_defects([last], [last.rule], TODAY) == ()


def test_an_expired_waiver_waives_nothing_and_is_a_defect_itself() -> None:
    old = waiver(expires=date(2026, 5, 31))
    results = apply(violated(), [old], TODAY)
    assert stopping(results)
    assert "expired on 2026-05-31" in standing_defects([old], [old.rule], TODAY)[0].message


@pytest.mark.parametrize(
    "other", [{"rule": "server-has-role"}, {"resource": "b*"}, {"stack": "lab"}], ids=["rule", "resource", "stack"]
)
def test_a_waiver_for_something_else_waives_nothing(other: dict[str, str]) -> None:
    assert stopping(apply(violated(), [waiver(**other)], TODAY))


def test_a_waiver_for_no_rule_is_a_defect() -> None:
    assert (
        "no such rule" in standing_defects([waiver(rule="no-rule-at-all")], ["termination-protected"], TODAY)[0].message
    )


def test_a_waiver_lasts_a_year_at_most() -> None:
    assert (
        "a year at most" in standing_defects([waiver(expires=date(2028, 1, 1))], [str(ENTRY["rule"])], TODAY)[0].message
    )


def test_a_waiver_that_nothing_needs_is_a_defect() -> None:
    repaired = violated(disableApiTermination=True)
    assert "nothing needs it" in unused_defects([waiver()], repaired, "example")[0].message
    assert unused_defects([waiver()], violated(), "example") == ()


def test_a_waiver_for_another_stack_is_not_called_unused_here() -> None:
    assert unused_defects([waiver(stack="lab")], violated(disableApiTermination=True), "example") == ()


def test_what_is_not_known_yet_may_still_need_its_waiver() -> None:
    unknown = violated(disableApiTermination=UNKNOWN)
    assert unknown[0].status is Status.NOT_ESTABLISHED
    assert unused_defects([waiver()], unknown, "example") == ()


def test_a_waiver_makes_nothing_established_that_is_not() -> None:
    assert apply(violated(disableApiTermination=UNKNOWN), [waiver()], TODAY)[0].status is Status.NOT_ESTABLISHED


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("approver", ""),
        ("reason", "because"),
        ("expires", "some day"),
        ("rule", "*"),
        ("resource", ""),
        ("ticket", "OPS-1"),
    ],
)
def test_an_entry_that_lacks_something_is_refused_with_its_place(tmp_path: Path, field: str, value: str) -> None:
    lines = [f"{k}: {v}" for k, v in {**ENTRY, "resource": "'a*'", field: repr(value)}.items()]
    path = written(tmp_path, "waivers:\n  - " + "\n    ".join(lines) + "\n")
    with pytest.raises(WaiverError, match=rf"waivers.yaml: waiver 1: {field}"):
        load_waivers(path)


@pytest.mark.parametrize("text", ["[]", "waivers: yes", "waivers: []\nmore: []", "waivers: [", ""])
def test_a_file_that_is_no_list_of_waivers_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(WaiverError, match=r"waivers\.yaml"):
        load_waivers(written(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WaiverError, match="not readable"):
        load_waivers(tmp_path / "waivers.yaml")


def test_the_waivers_of_this_repository_are_in_order() -> None:
    assert standing_defects(load_waivers(), [rule.id for rule in ALL_RULES], datetime.now(UTC).date()) == ()


def test_a_waiver_covers_one_rule_of_a_resource_only() -> None:
    key = resource("aws:kms/key:Key", "a1", {"deletionWindowInDays": 7}, PLAN)
    assert stopping(apply(evaluate([key_deletion_waits], [key], PLAN), [waiver()], TODAY))


def test_a_run_fails_for_an_expired_waiver_and_for_what_it_waived() -> None:
    judge = Judge([waiver(expires=date(2026, 5, 31))])
    server = resource(SERVER, "a1", {"region": "eu-central-1"}, PLAN)
    made = [f for f in judge.resource(server, TODAY) if f.policy == "termination-protected"]
    whole = [f for f in judge.stack(PLAN, [server], TODAY) if f.policy == WAIVERS_POLICY]
    assert [f.level for f in (*made, *whole)] == [Level.MANDATORY, Level.MANDATORY]
    assert "expired" in whole[0].message


def test_a_run_tells_a_waived_violation_as_advice_and_remembers_that_it_was_needed() -> None:
    judge = Judge([waiver()])
    server = resource(SERVER, "a1", {"region": "eu-central-1"}, PLAN)
    (told,) = [f for f in judge.resource(server, TODAY) if f.policy == "termination-protected"]
    assert (told.level, told.message.startswith("waived by R. Keller")) == (Level.ADVISORY, True)
    as_aws_reports_it = resource(SERVER, "a1", {"region": "eu-central-1", "disableApiTermination": True}, PLAN)
    assert [f for f in judge.stack(PLAN, [as_aws_reports_it], TODAY) if f.policy == WAIVERS_POLICY] == []
