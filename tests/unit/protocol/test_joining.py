"""Another standby loses nothing, whatever dies between two steps; and the checker finds wrong rules."""

from dataclasses import replace

import pytest

from tests.unit.protocol.joining import Budget, Rules, State, run

RIGHT = Rules()
ALWAYS = {
    "the old standby lives": State(Budget()),
    "the old standby is dead": State(Budget(), s_up=False),
    "J remembers an earlier joining": State(Budget(), j_remembers=True),
    "the home's service dies, asked again": State(Budget(die=1, again=1), j_remembers=True),
    "it dies twice": State(Budget(new=1, die=2, again=1)),
    "J loses its disk": State(Budget(lose=1)),
    "J loses its disk, the home's service dies": State(Budget(new=1, lose=1, die=1, again=1)),
    "the old standby is dead, the home's service dies": State(Budget(die=1, again=1), s_up=False),
}
WRONG = {
    "the switch before READY": (
        replace(RIGHT, may_join=lambda _, behind, __, running: RIGHT.may_join(True, behind, True, running)),
        State(Budget()),
    ),
    "the old standby is not frozen": (replace(RIGHT, may_tell=lambda *_: True), State(Budget())),
    "what the old standby was told meanwhile is not brought": (
        replace(RIGHT, may_join=lambda ready, _, frozen, running: RIGHT.may_join(ready, frozenset(), frozen, running)),
        State(Budget()),
    ),
    "nobody notes what the old standby is told": (replace(RIGHT, marks=False), State(Budget())),
    "what J remembers of an earlier joining counts": (
        replace(RIGHT, own_memory=False),
        State(Budget(), j_remembers=True),
    ),
    "what is frozen is forgotten when the service dies": (
        replace(RIGHT, frozen_on_disk=False),
        State(Budget(die=1, again=1)),
    ),
    "the switch does not look at J's lease": (replace(RIGHT, leases_of_asking=False), State(Budget(lose=1))),
    "J is not asked whether it is still ready": (replace(RIGHT, looks_again=False), State(Budget(lose=1))),
}


@pytest.mark.parametrize("name", ALWAYS)
def test_another_standby_loses_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(ALWAYS[name], RIGHT)
    with capsys.disabled():
        print(f"\n{name}: {found.states} states, {found.transitions} transitions, {found.quiet} at rest")  # noqa: T201 - what was visited belongs to the result
    assert found.broken is None, str(found.broken)
    assert found.quiet


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_of_a_joining_loses_mail(name: str) -> None:
    rules, first = WRONG[name]
    broken = run(first, rules).broken
    assert broken is not None, f"nobody would notice: {name}"
    assert "message" in broken.promise, str(broken)
    print(f"\n{name}\n{broken}")  # noqa: T201 - what was visited belongs to the result
