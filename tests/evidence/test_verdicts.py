"""Verdicts: what makes a control pass, and that nothing else ever does."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onedallmail.evidence.controls import Control, ControlKind, EvidenceKind
from onedallmail.evidence.exceptions import Statement, Waiver
from onedallmail.evidence.records import Basis, Outcome
from onedallmail.evidence.verdicts import Finding, Observation, Verdict, judge, latest_of_each_test
from tests.evidence.samples import NOW

ID = "iso27001:A.8.24"
DAY = timedelta(days=1)


def control(*expects: EvidenceKind, not_applicable: str | None = None) -> Control:
    return Control(
        id=ID,
        theme="Technological",
        title="Cryptography",
        objective="Encryption is used by rules.",
        kind=ControlKind.TECHNICAL,
        expects=frozenset(expects) if expects or not_applicable else frozenset({EvidenceKind.TEST}),
        freshness_days=30,
        not_applicable=not_applicable,
    )


def seen(  # noqa: PLR0917 - a row of a table
    outcome: Outcome = Outcome.PASSED,
    age: timedelta = timedelta(hours=1),
    kind: EvidenceKind = EvidenceKind.TEST,
    basis: Basis = Basis.OBSERVED,
    test: str = "t.py::test",
    controls: frozenset[str] = frozenset({ID}),
) -> Observation:
    return Observation(
        key=f"{test}@{age}", test=test, controls=controls, outcome=outcome, observed=NOW - age, kind=kind, basis=basis
    )


observations = st.lists(
    st.builds(
        seen,
        outcome=st.sampled_from(Outcome),
        age=st.timedeltas(min_value=-2 * DAY, max_value=60 * DAY),
        kind=st.sampled_from([EvidenceKind.TEST, EvidenceKind.SCAN, EvidenceKind.RECORD]),
        basis=st.sampled_from(Basis),
        test=st.sampled_from(["a.py::one", "a.py::two", "b.py::three"]),
        controls=st.sampled_from([frozenset({ID}), frozenset({"soc2:CC6.1"}), frozenset()]),
    ),
    max_size=6,
)
expected_kinds = st.frozensets(st.sampled_from(EvidenceKind), min_size=1)


@given(expects=expected_kinds, items=observations)
def test_a_pass_rests_on_current_real_evidence_of_every_expected_kind(
    expects: frozenset[EvidenceKind], items: list[Observation]
) -> None:
    finding = judge(control(*expects), items, now=NOW)
    if finding.verdict is not Verdict.PASS:
        return
    good = [
        item
        for item in items
        if ID in item.controls
        and item.outcome is Outcome.PASSED
        and item.basis is not Basis.RECORDED
        and item.observed is not None
        and -timedelta(minutes=5) <= NOW - item.observed <= 30 * DAY
    ]
    assert {item.kind for item in good} >= expects
    assert all(item.outcome is Outcome.PASSED for item in items if ID in item.controls)


@given(expects=expected_kinds, items=observations, bad=st.sampled_from([Outcome.FAILED, Outcome.ERROR]))
def test_any_failed_check_beats_all_passes(
    expects: frozenset[EvidenceKind], items: list[Observation], bad: Outcome
) -> None:
    assert judge(control(*expects), [*items, seen(bad, test="x.py::bad")], now=NOW).verdict is Verdict.FAIL


@given(items=observations, reason=st.sampled_from([Outcome.SKIPPED, Outcome.MISSING, Outcome.UNREADABLE]))
def test_a_check_without_result_never_leaves_a_pass(items: list[Observation], reason: Outcome) -> None:
    verdict = judge(control(), [*items, seen(reason, test="x.py::open")], now=NOW).verdict
    assert verdict in {Verdict.FAIL, Verdict.NOT_ESTABLISHED}


@given(items=observations)
def test_evidence_for_other_controls_changes_nothing(items: list[Observation]) -> None:
    mine = [item for item in items if ID in item.controls]
    assert judge(control(), items, now=NOW) == judge(control(), mine, now=NOW)


def test_one_current_pass_is_a_pass() -> None:
    assert judge(control(), [seen()], now=NOW).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (seen(age=30 * DAY + timedelta(seconds=1)), "stale"),
        (seen(age=-timedelta(hours=1)), "future"),
        (seen(basis=Basis.RECORDED), "only recorded"),
        (seen(kind=EvidenceKind.SCAN), "No current test"),
        (seen(controls=frozenset()), "No current test"),
        (seen(Outcome.SKIPPED), "skipped"),
        (seen(Outcome.UNREADABLE), "unreadable"),
    ],
)
def test_what_does_not_count_is_said(item: Observation, said: str) -> None:
    finding = judge(control(), [item], now=NOW)
    assert finding.verdict is Verdict.NOT_ESTABLISHED
    assert said in finding.reason


def test_the_last_day_of_freshness_still_counts() -> None:
    assert judge(control(), [seen(age=30 * DAY)], now=NOW).verdict is Verdict.PASS


def test_not_applicable_gives_its_reason_but_not_over_a_failure() -> None:
    excluded = control(not_applicable="Nobody of the platform works inside a protected area.")
    assert judge(excluded, [], now=NOW) == Finding(
        control=ID, verdict=Verdict.NOT_APPLICABLE, reason="Nobody of the platform works inside a protected area."
    )
    assert judge(excluded, [seen(Outcome.FAILED)], now=NOW).verdict is Verdict.FAIL


def _statement(until: date) -> Statement:
    return Statement(
        control=ID,
        person="M. Okafor",
        role="officer",
        statement="We looked at it.",
        stated=date(2026, 1, 2),
        valid_until=until,
    )


def test_a_manual_part_needs_a_person_whose_word_still_holds() -> None:
    both = control(EvidenceKind.TEST, EvidenceKind.MANUAL)
    assert judge(both, [seen()], now=NOW).verdict is Verdict.MANUAL
    assert judge(both, [seen()], now=NOW, statement=_statement(date(2027, 1, 2))).verdict is Verdict.PASS
    lapsed = judge(both, [seen()], now=NOW, statement=_statement(date(2026, 2, 1)))
    assert lapsed.verdict is Verdict.MANUAL
    assert "run out" in lapsed.reason
    assert judge(both, [], now=NOW, statement=_statement(date(2027, 1, 2))).verdict is Verdict.NOT_ESTABLISHED


def _waiver(expires: date) -> Waiver:
    return Waiver(
        control=ID,
        approver="R. Keller",
        reason="Comes with the next release.",
        approved=date(2026, 1, 1),
        expires=expires,
    )


@pytest.mark.parametrize(("items", "without"), [([], Verdict.NOT_ESTABLISHED), ([seen(Outcome.FAILED)], Verdict.FAIL)])
def test_a_waiver_holds_through_its_last_day_and_then_no_more(items: list[Observation], without: Verdict) -> None:
    holds = judge(control(), items, now=NOW, waiver=_waiver(NOW.date()))
    assert (holds.verdict, holds.without_waiver) == (Verdict.WAIVED, without)
    assert "R. Keller" in holds.reason
    expired = judge(control(), items, now=NOW, waiver=_waiver(NOW.date() - DAY))
    assert expired.verdict is without
    assert "does not hold" in expired.reason


def test_a_waiver_does_not_hide_a_pass() -> None:
    assert judge(control(), [seen()], now=NOW, waiver=_waiver(NOW.date())).verdict is Verdict.PASS


def _current(*items: Observation) -> list[Outcome]:
    return sorted(item.outcome for item in latest_of_each_test(items)[0])


def test_a_later_run_of_a_test_replaces_an_earlier_one_both_ways() -> None:
    old, new = timedelta(hours=2), timedelta(hours=1)
    assert _current(seen(Outcome.FAILED, old), seen(Outcome.PASSED, new)) == [Outcome.PASSED]
    assert _current(seen(Outcome.PASSED, old), seen(Outcome.FAILED, new)) == [Outcome.FAILED]


def test_a_skipped_run_neither_replaces_a_failure_nor_a_pass() -> None:
    old, new = timedelta(hours=2), timedelta(hours=1)
    assert _current(seen(Outcome.FAILED, old), seen(Outcome.SKIPPED, new)) == [Outcome.FAILED]
    assert _current(seen(Outcome.PASSED, old), seen(Outcome.SKIPPED, new)) == [Outcome.PASSED]


@pytest.mark.parametrize("outcome", [Outcome.MISSING, Outcome.UNREADABLE])
def test_a_destroyed_record_does_not_bring_an_older_pass_back(outcome: Outcome) -> None:
    """Whoever deletes or damages the record of a failure must not gain a pass by it."""
    old, new = timedelta(hours=2), timedelta(hours=1)
    assert _current(seen(Outcome.PASSED, old), seen(outcome, new)) == sorted([outcome, Outcome.PASSED])
    assert _current(seen(outcome, old), seen(Outcome.PASSED, new)) == [Outcome.PASSED]


def test_the_time_of_judgement_is_all_that_makes_evidence_stale() -> None:
    moments: list[datetime] = [NOW, NOW + 31 * DAY]
    assert [judge(control(), [seen()], now=moment).verdict for moment in moments] == [
        Verdict.PASS,
        Verdict.NOT_ESTABLISHED,
    ]
