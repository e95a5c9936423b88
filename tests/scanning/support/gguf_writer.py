"""Write GGUF files byte by byte, true ones and false ones."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

UINT32, STRING, ARRAY = 4, 8, 9


@dataclass(frozen=True)
class Tensor:
    """An entry of the table; its data is written as given, at the offset given."""

    name: str
    shape: Sequence[int]
    kind: int
    offset: int
    data: bytes = b""


@dataclass(frozen=True)
class Gguf:
    """What a file holds.

    Values are strings, integers (u32), floats (f32), bools, lists of one of these, or bytes: the
    type and the value, already written.
    """

    metadata: Sequence[tuple[str, object]] = ()
    tensors: Sequence[Tensor] = ()
    version: int = 3
    order: str = "<"
    alignment: int = 32
    counts: tuple[int, int] | None = None
    extra: Mapping[str, bytes] = field(default_factory=dict)

    def write(self) -> bytes:
        """Return the file."""
        tensors, entries = self.counts or (len(self.tensors), len(self.metadata))
        head = (
            b"GGUF" + self.number("I", self.version) + self.length(tensors) + self.length(entries)
        )
        head += b"".join(self.string(key) + self.value(value) for key, value in self.metadata)
        head += b"".join(self.entry(tensor) for tensor in self.tensors)
        if not self.tensors:
            return head
        data = b""
        for tensor in self.tensors:
            if tensor.data:
                data = data.ljust(tensor.offset, b"\0") + tensor.data
        padding = -len(head) % self.alignment
        return head + bytes(padding) + data + bytes(-len(data) % self.alignment)

    def number(self, code: str, value: float) -> bytes:
        """Return a number in the file's byte order."""
        return struct.pack(self.order + code, value)

    def length(self, value: int) -> bytes:
        """Return a length or count: 32 bits in version 1."""
        return self.number("I" if self.version == 1 else "Q", value)

    def string(self, text: str) -> bytes:
        """Return a string with its length."""
        data = text.encode()
        return self.length(len(data)) + data

    def value(self, value: object) -> bytes:
        """Return a value with its type."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, list):
            items = [self.value(item) for item in value] or [self.value(0)]
            return (
                self.number("I", ARRAY)
                + items[0][:4]
                + self.length(len(value))
                + (b"".join(item[4:] for item in items) if value else b"")
            )
        if isinstance(value, str):
            return self.number("I", STRING) + self.string(value)
        if isinstance(value, bool):
            return self.number("I", 7) + self.number("?", value)
        if isinstance(value, float):
            return self.number("I", 6) + self.number("f", value)
        assert isinstance(value, int)
        return self.number("I", UINT32) + self.number("I", value)

    def entry(self, tensor: Tensor) -> bytes:
        """Return an entry of the table."""
        dimension = "I" if self.version == 1 else "Q"
        return (
            self.string(tensor.name)
            + self.number("I", len(tensor.shape))
            + b"".join(self.number(dimension, size) for size in tensor.shape)
            + self.number("I", tensor.kind)
            + self.number("Q", tensor.offset)
        )


METADATA: tuple[tuple[str, object], ...] = (
    ("general.architecture", "llama"),
    ("general.alignment", 32),
    ("llama.rope.freq_base", 10000.0),
    ("tokenizer.ggml.add_bos_token", True),
    ("tokenizer.ggml.tokens", ["<s>", "os.system", "eval(", "__import__", ""]),
    ("tokenizer.ggml.scores", [0.0, -1.0, -2.0, -3.0, -4.0]),
    ("tokenizer.ggml.merges", []),
    (
        "tokenizer.chat_template",
        "{% for m in messages %}{{ m['role'] }}: {{ m.content }}{% endfor %}",
    ),
)
TENSORS = (
    Tensor("token_embd.weight", (32, 2), 8, 0, bytes(range(68))),
    Tensor("output_norm.weight", (5,), 0, 96, bytes(range(20))),
)
HONEST = Gguf(METADATA, TENSORS).write()
"""A file as honest writers make it: metadata, a template, a quantised and a plain tensor."""
