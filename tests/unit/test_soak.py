"""scripts/soak refuses what it does not understand before it does anything."""

import subprocess

import pytest

from onedallmail.paths import ROOT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--faults"], "--faults must be a whole number"),
        (["--faults", "many"], "--faults must be a whole number"),
        (["--faults", "0"], "--faults must be a whole number"),
        (["--faults", "3", "--seed", "x"], "--seed must be a whole number"),
        (["--seed", "3"], "--seed goes with --faults"),
    ],
)
def test_a_wrong_argument_is_refused_with_what_is_wanted(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [str(ROOT / "scripts" / "soak"), *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert not done.stdout
