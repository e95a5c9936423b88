"""What passes between the engine and the readers of formats.

A reader is a pure generator: it is given a ``Part`` and yields what it observes. It never decides
about the file: the engine adds paths, scans what is nested, and works out what nobody claimed.

    def read(part: Part) -> Iterator[Observation]:
        header = part.source.read(0, 16)
        if ...: raise NotThisFormat              # a recogniser was wrong: no reading at all
        yield Span(0, 16)                        # bytes that were understood
        yield SOME_RULE.at(8, "what was found")  # a finding
        yield part.child(Slice(part.source, 16, 100), "inner")  # scanned by content
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from modelsec.scanning.finding import Finding
from modelsec.scanning.limits import Budget
from modelsec.scanning.policy import Policy
from modelsec.scanning.source import Source


class NotThisFormat(Exception):  # noqa: N818 - a signal from reader to engine, not an error
    """The bytes are not of the reader's format; the reading is dropped."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes that were understood, or are raw numbers of known extent: [start, stop)."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Permitted:
    """A policy permitted an operation on something: the verdict is at best ``allow_listed``."""

    policy: str
    operation: str
    subject: str


@dataclass(frozen=True, slots=True)
class Identified:
    """The format is more special than the recogniser said (``zip`` is a ``torch zip``)."""

    format: str


class Siblings(Protocol):
    """The files that lie beside the file that is scanned, as far as a loader would open them."""

    def open(self, name: str) -> Source | None:
        """Return the file of this plain relative name, or None if there is none to be had.

        Raises:
            UnsafeArtifactError: the name leaves the folder, or is or passes a link.
        """
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A range of bytes to be understood, and what the readers may ask about.

    Attributes:
        source: the bytes.
        name: of the file or member, for messages and comparison; never decides a format.
        policy: what is permitted.
        budget: what may be spent; shared by the whole file.
        path: members from the outermost container inwards.
        reader: how to read it, if the container knows; None to go by content.
        siblings: files beside it, or None if it has none (bytes, a stream).
    """

    source: Source
    name: str
    policy: Policy
    budget: Budget
    path: tuple[str, ...] = ()
    reader: "Reader | None" = None
    siblings: Siblings | None = None

    def child(self, source: Source, name: str, reader: "Reader | None" = None) -> "Part":
        """Return a part within this one."""
        return replace(self, source=source, name=name, path=(*self.path, name), reader=reader)


Observation: TypeAlias = Span | Finding | Permitted | Identified | Part
Reader: TypeAlias = Callable[[Part], Iterator[Observation]]
