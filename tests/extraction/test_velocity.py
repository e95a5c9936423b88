"""The window of the last 60 seconds slides, to the millisecond."""

from collections import deque

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelsec import ConfigurationError, Weighted
from modelsec.extraction import parse_request
from modelsec.extraction.signals import Velocity
from modelsec.protocols import Window
from modelsec.text import KeyedFingerprints
from tests.extraction.support import chat, detector

MINUTE_MS = 60_000
GAPS_MS = st.one_of(
    st.integers(0, 40),
    st.integers(0, 3_000),
    st.sampled_from([0, 1, 29_999, 30_000, 59_999, 60_000, 60_001, 65_534, 65_535, 65_536]),
    st.integers(0, 10**8),
)


def velocities(times_ms: list[int]) -> list[float]:
    """Return the score of each of the requests at these times."""
    watching = detector(weights={"velocity": 1.0})
    return [
        watching.analyze_request("a", chat(), time / 1000).scores["velocity"] for time in times_ms
    ]


def reference(times_ms: list[int]) -> list[float]:
    """Say the same by keeping every time of the last minute."""
    recent: deque[int] = deque()
    scores = []
    for time in times_ms:
        recent.append(time)
        while recent[0] <= time - MINUTE_MS:
            recent.popleft()
        scores.append(min(len(recent) / 100, 1.0))
    return scores


@given(
    st.integers(0, 2**47),
    st.lists(st.tuples(GAPS_MS, st.integers(1, 40)), min_size=1, max_size=12),
)
@example(1_699_999_999_001, [(0, 30), (1, 40), (59_999, 1), (1, 1)])
@example(1_700_000_000_001, [(0, 40), (0, 40), (0, 40), (60_000, 1)])
def test_it_agrees_with_a_list_of_all_times(start_ms: int, runs: list[tuple[int, int]]) -> None:
    """For any times, the score is the number of requests younger than 60.000 s over 100."""
    times, now = [], start_ms
    for gap, repeats in runs:
        for _ in range(repeats):
            times.append(now)
            now += gap
    assert velocities(times) == reference(times)


@pytest.mark.parametrize("fraction", [0, 1, 499, 500, 999])
def test_a_request_leaves_the_window_after_exactly_a_minute(fraction: int) -> None:
    """A request 59.999 s ago counts and one 60.000 s ago does not, at any fraction of a second."""
    first = 1_700_000_000_000 + fraction
    for later in range(first + 59_990, first + 60_010):
        assert velocities([first, later])[1] == (0.02 if later - first < MINUTE_MS else 0.01)


def test_a_burst_across_two_minutes_counts_in_full() -> None:
    """Fifty requests before a full minute and fifty after it are a hundred in 60 s."""
    boundary = 28_333_333 * MINUTE_MS
    times = [boundary - 100 + 2 * n for n in range(100)]
    assert velocities(times)[-1] == 1.0


def test_a_clock_that_runs_back_a_little_hides_nothing() -> None:
    """Requests with earlier times than their predecessors count like simultaneous ones."""
    times = [1_700_000_000_000 - 100 * n for n in range(50)]
    assert velocities(times)[-1] == 0.5


def test_the_explanation_counts() -> None:
    """The explanation says the number of requests, or that there were at least so many."""
    watching = detector()
    for number in range(1, 121):
        said = watching.analyze_request("a", chat(), 1_000.0).explanations["velocity"]
        assert said == (f"{number}" if number < 100 else "at least 100") + " requests in 60 s"


def test_it_is_testable_without_a_store() -> None:
    """A window made by hand is enough to score."""
    scorer = Velocity(per_minute=10)
    request = parse_request({}, KeyedFingerprints(bytes(32)))
    window = Window(request, 3, 0.0, {"gaps": [65_535, 50_000, 10_000, 5]})
    assert scorer.score(window).score == 0.3


@pytest.mark.parametrize("rate", [0, -1, 1.5, "100", None])
def test_an_impossible_rate(rate: object) -> None:
    """per_minute must be a positive whole number."""
    with pytest.raises(ConfigurationError, match="per_minute"):
        Velocity(per_minute=rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [1, 2, 1_000])
def test_another_rate(rate: int) -> None:
    """The score reaches 1 at exactly per_minute requests."""
    watching = detector(Weighted(Velocity(rate, name="fast"), 1.0), weights={"logprobs": 1.0})
    scores = [
        watching.analyze_request("a", chat(), 1_000.0).scores["fast"] for _ in range(rate + 1)
    ]
    assert scores[rate - 1 :] == [1.0, 1.0]
    assert all(score < 1.0 for score in scores[: rate - 1])
