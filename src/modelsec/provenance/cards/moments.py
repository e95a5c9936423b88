"""Times: injected, and aware."""

from datetime import UTC, datetime

from modelsec.errors import ConfigurationError, shown


def utc(now: object) -> datetime:
    """Return an aware time in UTC, to the second.

    Raises:
        ConfigurationError: it is no time, or nobody can say where on earth it is.
    """
    if not isinstance(now, datetime) or now.utcoffset() is None:
        raise ConfigurationError(
            f"a time must be an aware datetime, such as datetime.now(UTC), not {shown(now)}"
        )
    try:
        moment = now.astimezone(UTC)
    except OverflowError as error:
        raise ConfigurationError(f"{shown(now)} is outside the calendar in UTC") from error
    return moment.replace(microsecond=0)
