"""The wire format of store calls: which script, which keys, which arguments, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha1
from importlib.resources import files
from itertools import islice
from typing import NamedTuple, TypeAlias, cast

from modelsec.errors import StoreError, shown
from modelsec.protocols import Operation, Remember, Reply
from modelsec.stores.cells import KINDS
from modelsec.stores.codec import decode
from modelsec.stores.validate import checked_shape

Argument: TypeAlias = bytes | str | int | float


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the digest under which a server caches it."""

    text: str
    digest: str


class Call(NamedTuple):
    """One script call, ready to send: ``EVALSHA digest n keys... arguments...``.

    Attributes:
        script: what to run.
        keys: the records.
        parts: for each record the arguments of its operation, its layout first; empty for
            scripts without arguments.
    """

    script: Script
    keys: tuple[str, ...]
    parts: tuple[tuple[Argument, ...], ...] = ()

    def wire(self) -> list[Argument]:
        """Return keys and arguments in a row; a layout like the one before is left empty."""
        row: list[Argument] = [*self.keys]
        before: Argument | None = None
        for part in self.parts:
            row.append(b"" if part[0] == before else part[0])
            row += part[1:]
            before = part[0]
        return row


@cache
def script_for(shape: str) -> Script:
    """Load the script of one operation shape, by its name."""
    text = (files("modelsec.stores") / "lua" / f"{shape.lower()}.lua").read_text("utf-8")
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def encode_call(prefix: str, operations: Sequence[Operation]) -> Call:
    """Encode operations of one type.

    The key of a record is ``prefix:{key}``: the braces make it a Cluster hash tag.
    """
    shape = checked_shape(operations)
    keys = tuple([f"{prefix}:{{{operation.key}}}" for operation in operations])
    parts: tuple[tuple[Argument, ...], ...] = ()
    if shape is Remember:
        parts = tuple(map(_arguments, cast("Sequence[Remember]", operations)))
    return Call(script_for(shape.__name__), keys, parts)


def _arguments(operation: Remember) -> tuple[Argument, ...]:
    cells = operation.cells
    return (
        _layout(operation.ttl_seconds, operation.max_bytes, tuple([cell[:3] for cell in cells])),
        b"" if operation.now_ms is None else operation.now_ms,
        *[cell.payload for cell in cells if cell.kind != "gaps"],
    )


@lru_cache(maxsize=256)
def _layout(ttl_seconds: int, max_bytes: int, cells: tuple[tuple[bytes, str, float], ...]) -> bytes:
    """Encode what is the same for all requests of a detector; a server parses it once a call."""
    for _, kind, _ in cells:
        if kind not in KINDS:
            raise StoreError(f"unknown cell kind {shown(kind)}: there are {', '.join(KINDS)}")
    head = b"%d %d " % (ttl_seconds, max_bytes)
    rest = [tag + f"{kind[0]}{float(limit)!r};".encode() for tag, kind, limit in cells]
    return head + b"".join(rest)


def merged(calls: Sequence[Call]) -> Call:
    """Merge calls of one script into one: its effect is theirs, one after another."""
    keys = tuple([key for call in calls for key in call.keys])
    parts = tuple([part for call in calls for part in call.parts])
    return Call(calls[0].script, keys, parts)


def parted(raw: object, calls: Sequence[Call]) -> list[object]:
    """Part the reply to merged calls into the replies to each."""
    if not isinstance(raw, list) or len(raw) != sum(len(call.keys) for call in calls):
        raise StoreError("the server's reply to merged calls is not one record for each key")
    replies = iter(raw)
    return [list(islice(replies, len(call.keys))) for call in calls]


def decode_replies(raw: object, number: int) -> list[Reply]:
    """Decode the ``number`` records that a script returned.

    Raises:
        StoreError: a reply that no script of ours gives, or a damaged record.
    """
    if not isinstance(raw, list) or not all(v is None or isinstance(v, bytes) for v in raw):
        raise StoreError("the server's reply is not a list of records: is it Redis 6.2 or later?")
    if len(raw) != number:
        raise StoreError(f"the server's reply has {len(raw)} records, not {number}")
    return [None if value is None else decode(value) for value in raw]
