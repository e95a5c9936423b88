"""Hostile account names and times: one account a name, and errors that say what to do."""

import json
import logging
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec import ConfigurationError, MemoryStore, ModelTheftDetector
from modelsec.protocols import Remember
from modelsec.stores.validate import checked_shape
from modelsec.testing import FakeClock
from tests.extraction.support import SECRET, START, chat, detector

NAMES = (
    *(
        "alice",
        "Alice",
        "alice ",
        "alice\n",
        "alice\x00",
        "{alice}",
        "{",
        "}",
        "{}",
        "a:b",
        "a:{b}",
    ),
    *(
        "*",
        "?",
        "[a]",
        "#",
        "#" + "0" * 32,
        "../../etc",
        "a' OR '1'='1",
        '"',
        "\\",
        "$(id)",
        "`id`",
    ),
    *(
        "\r\nSET x 1\r\n",
        "*3\r\n$3\r\n",
        "%s%n",
        "\ud800",
        "\udfff",
        "é",
        "e\u0301",
        "用户",
        "\u202e",
    ),
    *("x" * 64, "x" * 65, "x" * 1_000_000, "é" * 1_000_000, "None", "0", " "),
)


def deep_list() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def test_names_are_accounts() -> None:
    """However strange, every name is an account of its own."""
    watching = detector()
    for visit in (1, 2):
        for name in NAMES:
            assert watching.analyze_request(name, chat(), START).requests_seen == visit


@given(st.text(min_size=1))
def test_any_name_is_a_key(name: str) -> None:
    """A plain name is its own key, of any other a fingerprint is: no name hurts a store."""
    judge = detector()._judge
    key = judge.record_key(name)
    assert re.fullmatch(r"[A-Za-z0-9_.:@-]{1,64}|#[0-9a-f]{32}", key)
    assert (key == name) == bool(re.fullmatch(r"[A-Za-z0-9_.:@-]{1,64}", name))
    assert checked_shape([Remember(key, 0, 60, 100, ())]) is Remember


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_names_share_a_key(one: str, other: str) -> None:
    """Two names have the same key only if they are the same name."""
    judge = detector()._judge
    assert (judge.record_key(one) == judge.record_key(other)) == (one == other)
    assert judge.record_key(judge.record_key(one) + "!") != judge.record_key(one)


def test_fingerprints_of_names_are_keyed() -> None:
    """Who does not know the secret cannot tell which account a fingerprint stands for."""
    one = detector(secret=SECRET)._judge.record_key("a person's name")
    assert one != detector(secret=SECRET[::-1])._judge.record_key("a person's name")


@pytest.mark.parametrize(
    "name",
    ["", None, 0, 7, True, b"alice", ["alice"], {"id": 1}, 10**5_000, deep_list(), object()],
    ids=[
        *(
            "empty",
            "none",
            "zero",
            "seven",
            "bool",
            "bytes",
            "list",
            "dict",
            "huge",
            "deep",
            "object",
        )
    ],
)
async def test_what_is_no_name(name: Any) -> None:
    """An empty name and anything but a string is a ConfigurationError, and counts nowhere."""
    store = MemoryStore()
    with pytest.raises(ConfigurationError, match="user_id must be a non-empty string"):
        detector(store=store).analyze_request(name, chat(), START)
    with pytest.raises(ConfigurationError, match="user_id must be a non-empty string"):
        await ModelTheftDetector(store).analyze_request(name, chat(), START)
    assert len(store) == 0


def test_names_cannot_forge_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A name with line breaks or half characters is logged as one line of JSON."""
    caplog.set_level(logging.DEBUG, "modelsec")
    watching = detector(sink=None)
    for name in ('x\n{"event": "decision_taken"}', "\r\n", "\u2028", "\ud800"):
        watching.analyze_request(name, chat(), START)
        line = caplog.records[-1].getMessage()
        assert len(line.splitlines()) == 1
        assert json.loads(line)["user_id"] == name
        line.encode("ascii")


@pytest.mark.parametrize(
    "now",
    [
        math.nan,
        math.inf,
        -math.inf,
        -1,
        -0.001,
        2**48,
        1e300,
        10**400,
        10**5_000,
        True,
        "1700000000",
        b"1",
        [],
        deep_list(),
        1j,
    ],
    ids=[
        *("nan", "inf", "-inf", "-1", "-0.001", "2**48", "1e300", "10**400", "10**5000", "bool"),
        *("str", "bytes", "list", "deep", "complex"),
    ],
)
def test_what_is_no_time(now: Any) -> None:
    """A time that cannot be is a ConfigurationError, and counts nowhere."""
    store = MemoryStore()
    with pytest.raises(ConfigurationError, match="now must be seconds since the Unix epoch"):
        detector(store=store).analyze_request("alice", chat(), now)
    assert len(store) == 0


@pytest.mark.parametrize("now", [0, 0.0, 1, START, 2**48 / 1000 - 1])
def test_possible_times(now: float) -> None:
    """From 1970 to the year 10889 any time will do, whole or not."""
    assert detector().analyze_request("alice", chat(), now).requests_seen == 1


def test_backwards() -> None:
    """Requests that arrive out of order are all counted, within the minute of the latest."""
    watching = detector()
    times = [START + second for second in (5, 3, 4, 1, 0, 5, 2)]
    seen = [watching.analyze_request("alice", chat(), now) for now in times]
    assert [assessment.requests_seen for assessment in seen] == [1, 2, 3, 4, 5, 6, 7]
    assert seen[-1].scores["velocity"] == 0.07


def test_far_future_then_back() -> None:
    """A wrong clock once does not keep an account from being judged ever after."""
    watching = detector()
    for number in range(20):
        watching.analyze_request("alice", chat(), START + number)
    watching.analyze_request("alice", chat(), START + 10**9)
    back = [watching.analyze_request("alice", chat(), START + 30 + n) for n in range(70)]
    assert back[-1].scores["velocity"] == pytest.approx(0.6, abs=0.02)
    assert back[-1].scores["low_diversity"] > 0.95


@given(st.lists(st.floats(0, 2**48 / 1000 - 1), min_size=1, max_size=15))
def test_any_times_are_judged(times: list[float]) -> None:
    """Times may jump as they like: every request gets a score from 0 to 1."""
    watching = detector()
    for now in times:
        assessment = watching.analyze_request("alice", chat(logprobs=True), now)
        assert 0.2 <= assessment.extraction_score <= 1.0
        assert assessment.incomplete == ()


def test_the_clock_of_the_detector() -> None:
    """Without now the detector's clock tells the time, and with now it is not asked."""
    clock = FakeClock()
    watching = detector(clock=clock)
    watching.analyze_request("alice", chat())
    clock.advance(59.999)
    assert watching.analyze_request("alice", chat()).scores["velocity"] == 0.02
    clock.advance(0.001)
    assert watching.analyze_request("alice", chat()).scores["velocity"] == 0.02
    clock.advance(1e6)
    assert watching.analyze_request("bob", chat(), START).requests_seen == 1


def test_the_clock_of_the_store() -> None:
    """Without a clock of the detector the store's tells the time."""
    clock = FakeClock(START)
    watching = detector(store=MemoryStore(clock=clock))
    for _ in range(3):
        clock.advance(25)
        found = watching.analyze_request("alice", chat())
    assert found.scores["velocity"] == 0.03
    clock.advance(60)
    assert watching.analyze_request("alice", chat()).scores["velocity"] == 0.01


@pytest.mark.parametrize("time", [math.nan, -5.0, "now"])
def test_a_broken_clock(time: Any) -> None:
    """A clock that tells no time is a ConfigurationError, like any other impossible time."""
    watching = detector(clock=lambda: time)
    with pytest.raises(ConfigurationError, match="now must be"):
        watching.analyze_request("alice", chat())
