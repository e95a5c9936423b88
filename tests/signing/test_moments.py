"""Times: aware, in UTC, in one form."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ConfigurationError
from modelsec.signing.moments import parse_rfc3339, rfc3339, utc


class Nowhere(tzinfo):
    """A time zone that says nothing: every method raises NotImplementedError."""


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again(moment: datetime) -> None:
    """Of every moment of the calendar, to the second, and always in 20 characters."""
    text = rfc3339(moment)
    assert len(text) == 20
    assert parse_rfc3339(text) == moment.replace(microsecond=0)


def test_a_time_is_told_in_utc() -> None:
    """Whatever the zone; years below 1000 have four digits."""
    east = timezone(timedelta(hours=5, minutes=30))
    assert rfc3339(datetime(2026, 1, 1, 5, 30, tzinfo=east)) == "2026-01-01T00:00:00Z"
    assert rfc3339(datetime(7, 1, 1, tzinfo=UTC)) == "0007-01-01T00:00:00Z"
    assert utc(datetime(2026, 1, 1, 5, 30, tzinfo=east), "now").tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        *(None, 5, "2026-01-01T00:00:00Z", datetime(2026, 1, 1)),  # noqa: DTZ001 - the point
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=12))),
        datetime(2026, 1, 1, tzinfo=Nowhere()),
    ],
)
def test_what_is_no_time_in_utc_is_refused(value: Any) -> None:
    """Wrong types, no zone, a broken zone, and both ends of the calendar."""
    with pytest.raises(ConfigurationError, match="the end must be an aware datetime"):
        utc(value, "the end")


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00+00:00"),
        *("2026-13-01T00:00:00Z", "2026-01-01T24:00:01Z", "2026-01-01T00:00:60Z"),
        *("0000-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", " 2026-01-01T00:00:00Z"),
        *("2026-01-01T00:00:00Z\n", "٢٠٢٦-01-01T00:00:00Z", 5, None, b"2026-01-01T00:00:00Z"),
    ],
)
def test_another_form_is_no_time(text: Any) -> None:
    """One form only: what is signed has no second spelling."""
    assert parse_rfc3339(text) is None
