"""Times on the command line."""

from argparse import ArgumentTypeError
from datetime import datetime


def moment(text: str) -> datetime:
    """Return an aware time from RFC 3339 text, e.g. ``2026-01-31T12:00:00Z``."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ArgumentTypeError(f"{text!r:.60} is not a time such as 2026-01-31T12:00:00Z")
    return time
