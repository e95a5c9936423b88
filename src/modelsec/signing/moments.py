"""Times: always aware, always UTC, written and read in one form (RFC 3339, to the second)."""

import re
from datetime import UTC, datetime

from modelsec.errors import ConfigurationError, shown

_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def utc(value: object, what: str) -> datetime:
    """Return a time in UTC.

    Args:
        value: an aware datetime.
        what: what to call it in the refusal, e.g. ``the time of the verification``.

    Raises:
        ConfigurationError: it is not a time, has no time zone, or lies outside of the calendar
            (years 1 to 9999) when it is told in UTC.
    """
    try:
        if isinstance(value, datetime) and value.utcoffset() is not None:
            return value.astimezone(UTC)
    except (OverflowError, ValueError, NotImplementedError):
        pass  # At either end of the calendar, or a tzinfo that is none: the same refusal.
    raise ConfigurationError(
        f"{what} must be an aware datetime, one with a time zone and in the years 1 to 9999 of "
        f"UTC, such as datetime.now(UTC), not {shown(value)}"
    )


def rfc3339(moment: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC, to the second.

    Raises:
        ConfigurationError: as ``utc``.
    """
    # Not strftime, which does not pad years below 1000 everywhere.
    whole = utc(moment, "the time").replace(microsecond=0, tzinfo=None)
    return f"{whole.isoformat()}Z"


def parse_rfc3339(text: str) -> datetime | None:
    """Return the time of a text that ``rfc3339`` could have written, or None."""
    if not isinstance(text, str) or not _FORM.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
