"""The wire format of store calls: which script, which keys, which arguments, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import TypeAlias, cast

from modelsec.errors import StoreError
from modelsec.protocols import Operation, Remember, Reply
from modelsec.stores.codec import decode
from modelsec.stores.validate import checked_shape

Argument: TypeAlias = bytes | str | int | float


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and the digest under which a server caches it."""

    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Call:
    """One script call, ready to send: ``EVALSHA digest n keys... arguments...``."""

    script: Script
    keys: int
    arguments: tuple[Argument, ...]


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
    arguments: list[Argument] = [f"{prefix}:{{{operation.key}}}" for operation in operations]
    if shape is Remember:
        for operation in cast("Sequence[Remember]", operations):
            now_ms = operation.now_ms
            arguments += (
                b"" if now_ms is None else now_ms,
                operation.ttl_seconds,
                operation.max_bytes,
                len(operation.cells),
            )
            for cell in operation.cells:
                arguments += (cell.tag, cell.kind, cell.limit, cell.payload)
    return Call(script_for(shape.__name__), len(operations), tuple(arguments))


def decode_replies(raw: object) -> list[Reply]:
    """Decode what a script returned.

    Raises:
        StoreError: a reply that no script of ours gives, or a damaged record.
    """
    if not isinstance(raw, list) or not all(v is None or isinstance(v, bytes) for v in raw):
        raise StoreError("the server's reply is not a list of records: is it Redis 6.2 or later?")
    return [None if value is None else decode(value) for value in raw]
