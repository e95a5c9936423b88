"""Whom the pickle machine tells of every effect."""

from collections.abc import Callable, Iterator
from typing import Protocol

from modelsec.scanning.part import Observation
from modelsec.scanning.pickle.values import Call, Global, PersistentId, Value

PersistentRule = Callable[[int, PersistentId], Iterator[Observation]]
"""What a container says of a persistent id."""


class Judge(Protocol):
    """Who is told of every effect, when it happens."""

    def imported(self, offset: int, target: Global, *, walks: bool) -> None:
        """Decide about an import."""
        ...

    def called(self, offset: int, call: Call) -> Value:
        """Decide about a call, and return what stands for its result."""
        ...

    def built(self, offset: int, target: Value, state: Value) -> None:
        """Decide about BUILD."""
        ...

    def filled(self, offset: int, target: Value, items: list[Value], code: int) -> None:
        """Decide about SETITEM(S), APPEND(S) and ADDITEMS on something not a builtin container."""
        ...

    def persistent(self, offset: int, identity: PersistentId) -> Value:
        """Decide about a persistent id, and return what stands for its object."""
        ...

    def odd(self, offset: int, message: str, evidence: bytes = b"") -> None:
        """Note an encoding on which unpicklers disagree."""
        ...

    def extension(self, offset: int, code: object) -> None:
        """Decide about a copyreg extension code."""
        ...

    def out_of_band(self, offset: int) -> None:
        """Note a buffer that is not in the file."""
        ...

    def memo_bomb(self, offset: int, index: int) -> None:
        """Note a memo index that costs memory."""
        ...

    def memo_carried(self, offset: int, index: int) -> None:
        """Note a memo entry that only an earlier pickle has set."""
        ...
