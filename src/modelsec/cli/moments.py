"""Times on the command line."""

from argparse import ArgumentTypeError
from datetime import UTC, datetime


def moment(text: str) -> datetime:
    """Return a time in UTC from RFC 3339 text, e.g. ``2026-01-31T12:00:00Z``."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            # Overflows for times that are aware, but not within the calendar in UTC.
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ArgumentTypeError(f"{text!r:.60} is not a time such as 2026-01-31T12:00:00Z")
