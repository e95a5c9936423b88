"""Events are typed, JSON, and logged one a line at a level that says how grave they are."""

import json
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelsec.events import DecisionTaken, LoggingSink, ScorerFailed, StoreFailed
from modelsec.protocols import Event, EventSink, Signal


def decision(action: str, user: str = "alice", score: float = 0.123456) -> DecisionTaken:
    return DecisionTaken(user, action, score, {"velocity": Signal(score, "why")}, 7, ("custom",))


EVENTS: dict[str, Event] = {
    "decision_taken": decision("degrade"),
    "scorer_failed": ScorerFailed("alice", "custom", "score", "ValueError at x.py:3", 1.0),
    "store_failed": StoreFailed("alice", "timed out", "block"),
}


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_json_and_name_themselves(name: str) -> None:
    """to_dict() is JSON with the event's name and the account."""
    plain = json.loads(json.dumps(EVENTS[name].to_dict(), allow_nan=False))
    assert plain == EVENTS[name].to_dict()
    assert (plain["event"], plain["user_id"]) == (name, "alice")


def test_a_decision_carries_what_an_alert_needs() -> None:
    """Principal, volume and statistics of the inputs (OWASP AISVS C11.5.2), rounded."""
    assert decision("block").to_dict() == {
        "event": "decision_taken",
        "user_id": "alice",
        "action": "block",
        "extraction_score": 0.123,
        "scores": {"velocity": 0.123},
        "requests_seen": 7,
        "incomplete": ["custom"],
    }


def test_failures_carry_their_fields() -> None:
    """Failures say whose request, what failed, why, and what was done instead."""
    assert EVENTS["scorer_failed"].to_dict() == {
        "event": "scorer_failed",
        "user_id": "alice",
        "signal": "custom",
        "stage": "score",
        "error": "ValueError at x.py:3",
        "fallback": 1.0,
    }
    assert EVENTS["store_failed"].to_dict() == {
        "event": "store_failed",
        "user_id": "alice",
        "error": "timed out",
        "action": "block",
    }


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_immutable(name: str) -> None:
    """What has happened is not changed: no field can be set."""
    with pytest.raises(AttributeError):
        EVENTS[name].user_id = "bob"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (decision("allow"), logging.DEBUG),
        (decision("degrade"), logging.INFO),
        (decision("block"), logging.WARNING),
        (EVENTS["scorer_failed"], logging.ERROR),
        (EVENTS["store_failed"], logging.ERROR),
    ],
    ids=["allow", "degrade", "block", "scorer", "store"],
)
def test_levels(event: Event, level: int, caplog: pytest.LogCaptureFixture) -> None:
    """Allowed is DEBUG, degraded INFO, blocked WARNING, a failure ERROR; below that, nothing."""
    caplog.set_level(level, "modelsec")
    LoggingSink().emit(event)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("modelsec", level)
    assert json.loads(record.getMessage()) == event.to_dict()
    caplog.clear()
    caplog.set_level(level + 1, "modelsec")
    LoggingSink().emit(event)
    assert caplog.records == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_one_line_an_event(caplog: pytest.LogCaptureFixture, user: str) -> None:
    """Whatever the account is called, an event is one line of ASCII."""
    caplog.clear()
    LoggingSink().emit(decision("block", user))
    line = caplog.records[-1].getMessage()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["user_id"] == user


def test_events_of_others_are_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    """An event without a level is INFO, and what JSON does not know is shown as text."""

    class Custom:
        def to_dict(self) -> dict[str, Any]:
            return {"event": "custom", "value": 1j}

    caplog.set_level(logging.DEBUG, "modelsec")
    sink: EventSink = LoggingSink()
    sink.emit(Custom())
    (record,) = caplog.records
    assert (record.levelno, json.loads(record.getMessage())["value"]) == (logging.INFO, "1j")


def test_the_library_is_silent_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Without logging set up nothing is printed, not even a hint of the logging module."""
    root, handlers = logging.getLogger(), logging.getLogger().handlers[:]
    root.handlers = []
    try:
        LoggingSink().emit(EVENTS["store_failed"])
    finally:
        root.handlers = handlers
    assert capsys.readouterr() == ("", "")
