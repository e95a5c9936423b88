"""The fake clock stands still until it is advanced."""

import math
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec import ConfigurationError, MemoryStore, SyncModelTheftDetector
from modelsec.testing import FakeClock


def test_it_stands_still() -> None:
    """Time passes by advance() only, from 1,000,000 s unless told otherwise."""
    clock = FakeClock()
    assert [clock(), clock()] == [1_000_000.0] * 2
    assert FakeClock(5)() == FakeClock(start=5.0)() == 5.0


def test_it_advances_and_goes_back() -> None:
    """Steps add up, and a negative one sets the clock back."""
    clock = FakeClock(10.0)
    clock.advance(1.5)
    clock.advance(0)
    assert clock() == 11.5
    clock.advance(-2)
    assert clock() == 9.5
    assert repr(clock) == "FakeClock(9.5)"


@given(st.integers(1, 10_000), st.integers(1, 1_000))
def test_steps_do_not_drift(steps: int, milliseconds: int) -> None:
    """Many small steps are exactly one large one."""
    small, large = FakeClock(), FakeClock()
    for _ in range(steps % 200):
        small.advance(milliseconds / 1000)
    large.advance(milliseconds * (steps % 200) / 1000)
    assert small() == large()


def test_threads_may_share_it() -> None:
    """No step is lost when several threads advance it."""
    clock = FakeClock(0.0)

    def steps() -> None:
        for _ in range(2_000):
            clock.advance(0.001)

    threads = [Thread(target=steps) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock() == 8.0


@pytest.mark.parametrize("value", [math.nan, math.inf, "1", None, True, [1]], ids=str)
def test_impossible_times(value: Any) -> None:
    """What is no finite number of seconds is refused, and the clock stays as it was."""
    with pytest.raises(ConfigurationError, match="clock"):
        FakeClock(value)
    clock = FakeClock()
    with pytest.raises(ConfigurationError, match="clock"):
        clock.advance(value)
    assert clock() == 1_000_000.0


def test_stores_take_it() -> None:
    """It is what a store and a detector want for a clock."""
    clock = FakeClock()
    watching = SyncModelTheftDetector(MemoryStore(clock=clock), clock=clock)
    watching.analyze_request("alice", {"prompt": "Hi"})
    clock.advance(86_401)
    assert watching.analyze_request("alice", {"prompt": "Hi"}).requests_seen == 1
