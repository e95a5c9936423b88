"""Where typed events go."""

from typing import Protocol


class Event(Protocol):
    """Something that happened and that an operator may want to know.

    Events never carry prompt text, keys, or the messages of exceptions that a plug-in raised
    (those may quote the prompt).
    """

    def to_dict(self) -> dict[str, object]:
        """Return the event as JSON-compatible data, its ``event`` name included."""
        ...


class EventSink(Protocol):
    """Receives every event; called on the request path, so it must return quickly."""

    def emit(self, event: Event) -> None:
        """Take one event. An exception raised here is logged and never loses the request."""
        ...
