"""Reading a pickle as symbols once it was scanned: nothing is judged, nothing is imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Never

from modelsec.errors import UnsupportedFormatError
from modelsec.scanning.formats.torch_storages import Storage, Storages
from modelsec.scanning.limits import Budget
from modelsec.scanning.pickle.lexer import Lexer
from modelsec.scanning.pickle.machine import Machine, Reading
from modelsec.scanning.pickle.values import Call, Container, Global, PersistentId, Value
from modelsec.scanning.source import Source


@dataclass(frozen=True, slots=True)
class Unpickled:
    """One pickle, as symbols.

    Attributes:
        value: what it stands for.
        stop: offset after its STOP.
        storages: torch's storages that it declares, by key.
    """

    value: Value
    stop: int
    storages: Mapping[str, Storage]


def unpickled(source: Source, start: int, budget: Budget) -> Unpickled:
    """Read one pickle.

    Args:
        source: holds the pickle.
        start: offset of its first opcode.
        budget: what may be spent.

    Raises:
        MalformedArtifactError: no unpickler would read it.
        UnsupportedFormatError: it needs something that is not in the file.
        ResourceLimitError: the budget is used up.
    """
    lexer = Lexer(source, start, budget)
    silent = _Silent()
    machine = Machine(lexer, silent, budget, Reading(tolerant=False))
    machine.run()
    return Unpickled(machine.result, lexer.position, silent.storages.declared)


class _Silent:
    """Lets everything stand for itself; the scan of the same bytes has judged it."""

    def __init__(self) -> None:
        self.storages = Storages()

    def imported(self, offset: int, target: Global, *, walks: bool) -> None:
        """Import nothing."""

    def called(self, offset: int, call: Call) -> Value:  # noqa: ARG002 - the protocol's
        """Call nothing: the call stands for its result."""
        return call

    def built(self, offset: int, target: Value, state: Value) -> None:
        """Set nothing: the machine keeps the state with the call."""

    def filled(self, offset: int, target: Value, items: list[Value], code: int) -> None:
        """Fill nothing: the machine keeps the items with the call."""

    def persistent(self, offset: int, identity: PersistentId) -> Value:
        """Look nothing up: the id stands for the storage, which is noted, or for a class."""
        match identity.id:
            case Container(kind="tuple", items=["module", Global() as module, *_]):
                return module
        for finding in self.storages.persistent(offset, identity):
            _refuse(offset, getattr(finding, "message", "an unknown persistent id"))
        return identity

    def odd(self, offset: int, message: str, evidence: bytes = b"") -> None:
        """Refuse: what the scan called odd does not get here."""
        del evidence
        _refuse(offset, message)

    def extension(self, offset: int, code: object) -> None:
        """Refuse: the registry is not in the file."""
        _refuse(offset, f"a copyreg extension ({code})")

    def out_of_band(self, offset: int) -> None:
        """Refuse: the buffer is not in the file."""
        _refuse(offset, "a buffer that is not in the file")

    def memo_bomb(self, offset: int, index: int) -> None:
        """Refuse: no honest writer numbers so."""
        _refuse(offset, f"memo index {index}")

    def memo_carried(self, offset: int, index: int) -> None:
        """Refuse: pickles are read one by one."""
        _refuse(offset, f"memo index {index} of an earlier pickle")


def _refuse(offset: int, what: str) -> Never:
    raise UnsupportedFormatError(f"{what}, at {offset} of the pickle")
