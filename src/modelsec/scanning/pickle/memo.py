"""The memo of the pickle machine, with entries that skipped runs have set.

What a run of constants does to the memo is looked into only when somebody asks: an entry known
before is not believed until then, and an object known before must not have been fetched by it.
"""

from modelsec.errors import ResourceLimitError
from modelsec.scanning.pickle import runs
from modelsec.scanning.pickle.values import (
    INERT,
    Blurred,
    Call,
    Container,
    Global,
    PersistentId,
    Unknown,
    Value,
)
from modelsec.scanning.source import Source

SPARSE = 1 << 20
"""Memo indices may exceed eight times the number of entries by this much (8 MiB in CPython)."""


def _is_alive(value: Value) -> bool:
    """Return whether something could be done to a value, or with it."""
    if type(value) is Container:
        return value.kind not in ("tuple", "frozenset")
    return type(value) in (Global, Call, PersistentId, Unknown)


class Memo:
    """The memo: by index, MEMOIZE counting the entries.

    Attributes:
        first: entries 0, 1, 2 ... without a gap: all of them, in honest pickles.
        elsewhere: entries behind a gap.
        dense: indices up to this one need no check.
        counting: skipped runs have added entries by MEMOIZE.
        blurred: skipped runs have set entries by BINPUT or LONG_BINPUT.
        pending: offset and length of skipped runs that nobody has looked into.
    """

    def __init__(self, source: Source) -> None:
        self.first: list[Value] = []
        self.elsewhere: dict[int, Value] = {}
        self.dense = SPARSE
        self.counting = False
        self.blurred = False
        self.pending: list[tuple[int, int]] = []
        self._source = source
        self._skipped: list[tuple[int, int]] = []
        self._hidden = 0

    def __len__(self) -> int:
        """Return the number of known entries."""
        return len(self.first) + len(self.elsewhere)

    def put(self, index: int, value: Value) -> None:
        """Store under an index."""
        first, elsewhere = self.first, self.elsewhere
        if self.pending and (index < len(first) or index in elsewhere):
            self.settle()
        if index < len(first):
            first[index] = value
        elif index > len(first):
            elsewhere[index] = value
        else:
            elsewhere.pop(index, None)
            first.append(value)
            while elsewhere and len(first) in elsewhere:
                first.append(elsewhere.pop(len(first)))

    def append(self, value: Value) -> None:
        """Store under the number of entries, skipped ones included."""
        if self.blurred:
            raise Blurred
        self._settle()
        self.put(len(self) + self._hidden, value)

    def get(self, index: int) -> Value:
        """Return an entry; one that a skipped run may have set is ``INERT``.

        Raises:
            KeyError: it was never set.
        """
        if 0 <= index < len(self.first):
            self.settle()
            return self.first[index]
        if index in self.elsewhere:
            self.settle()
            return self.elsewhere[index]
        self._settle()
        counted = self.counting and index < len(self) + self._hidden
        if self.blurred or counted:
            return INERT
        raise KeyError(index)

    def skip(self, run: runs.Run, offset: int) -> None:
        """Take note of the entries that a skipped run sets."""
        self.blurred = self.blurred or run.puts
        if run.gets or run.puts:
            self.pending.append((offset, len(run.body)))
        if run.memoizes:
            if self.elsewhere or self.blurred:
                raise Blurred  # MEMOIZE may meet an entry that was put ahead
            self.counting = True
            # Counting costs as much as skipping, and most pickles never ask.
            self._skipped.append((offset, len(run.body)))

    def is_sparse(self, index: int, offset: int) -> bool:
        """Return whether an index would make an array-backed memo grow beyond all need."""
        # Of skipped entries it is known that each took two bytes at least.
        return index > SPARSE + (2 * offset if self.blurred else 8 * len(self))

    def settle(self) -> None:
        """Look into skipped runs, before something happens that they might have a part in.

        Raises:
            Blurred: one replaces known entries, or fetches what it could then change.
        """
        for offset, length in self.pending:
            body = self._source.read(offset, length)
            if not self.elsewhere and runs.leaves_alone(body, len(self.first)):
                continue
            for index, put in runs.memo_uses(body):
                if index < len(self.first):
                    value = self.first[index]
                elif index in self.elsewhere:
                    value = self.elsewhere[index]
                else:
                    continue
                if put or _is_alive(value):
                    raise Blurred
        self.pending.clear()

    def widen(self, limit: int) -> None:
        """Move the bound up to which indices need no check.

        Raises:
            ResourceLimitError: there are more entries than the limit.
        """
        if len(self) > limit:
            raise ResourceLimitError(f"more than {limit} memo entries")
        self.dense = min(8 * len(self) + SPARSE, limit)

    def _settle(self) -> None:
        for offset, length in self._skipped:
            self._hidden += runs.count_memoizes(self._source.read(offset, length))
        self._skipped.clear()
