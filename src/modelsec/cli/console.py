"""What the commands print with."""

from rich.console import Console
from rich.text import Text

STYLES = {"allow": "green", "degrade": "yellow", "block": "red"}


def out() -> Console:
    """Return a console on standard output."""
    return Console(highlight=False)


def err() -> Console:
    """Return a console on standard error."""
    return Console(stderr=True, highlight=False)


def safe(value: object, style: str = "") -> Text:
    """Return text that cannot command the terminal: markup and control characters are inert."""
    return Text(
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value)), style
    )
