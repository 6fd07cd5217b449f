"""What the mailboxes service tells of its lag: of all it remembers, and of the last minute, which health looks at."""

import time

import pytest

from onedallmail.health import probes
from onedallmail.mailboxes.measures import RECENT_S, Counters, quantiles, status


def test_what_was_long_ago_is_not_recent() -> None:
    counters = Counters()
    for number in range(100):
        counters.synchronised(first=1000.0 + number, now=1000.0 + number + 0.01 * number)
    assert len(counters.lags) == 100
    assert [round(lag, 2) for _, lag in counters.recent][-1] == 0.99
    assert all(at >= 1099.99 - RECENT_S for at, _ in counters.recent)
    found = status(counters, {})
    assert found["lag_s"] == {"worst": 0.99, "median": 0.5, "p95": 0.95}
    assert found["lag_recent_s"] == {"worst": 0.0, "median": 0.0, "p95": 0.0, "syncs": 0, "seconds": RECENT_S}


def test_quantiles_of_nothing_are_zero() -> None:
    assert quantiles([]) == {"worst": 0.0, "median": 0.0, "p95": 0.0}


@pytest.mark.parametrize(("recent", "waiting", "told"), [(3.0, 0.0, 3.0), (0.2, 400.0, 400.0)])
def test_health_sees_what_waits_and_not_only_what_came_through(recent: float, waiting: float, told: float) -> None:
    """A standby that takes nothing makes no synchronisation late: there is none."""
    counters = Counters()
    counters.lags.append(9000.0)
    now = time.time()
    counters.synchronised(now - recent, now)
    assert probes.lag_s(status(counters, {"oldest_dirty_s": waiting})) == pytest.approx(told, abs=0.01)
