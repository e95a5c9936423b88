"""ONNX external data: where the numbers of a tensor lie, if not in the model.

Every tensor may say that its numbers are in another file: initialisers, tensors in attributes,
in functions, in sub-graphs, in training graphs. Whoever loads the model opens that file, and the
name is the attacker's: ``../../secrets`` reads a stranger's file into a tensor that the model can
output. The name must be relative and stay inside the folder, under both separators, and must not
pass a link; offset and length must lie within the file.
"""

import re
from collections.abc import Iterator

from modelsec.errors import UnsafeArtifactError, printable
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats.onnx_schema import (
    DATA_LOCATION,
    EXTERNAL_DATA,
    RAW_DATA,
    TENSOR_NAME,
)
from modelsec.scanning.formats.protobuf import BYTES, Reader
from modelsec.scanning.formats.protobuf_schema import Message, Unknown
from modelsec.scanning.part import Part

OUTSIDE = Rule(
    "MS-ONX-001",
    "external data outside the model's folder",
    Verdict.DANGEROUS,
    capability="file read",
    reference="CVE-2022-25882, CVE-2024-27318",
    remedy="refuse the model",
)
MEMORY = Rule(
    "MS-ONX-002",
    "external data at an address in memory",
    Verdict.DANGEROUS,
    capability="memory corruption",
    remedy="refuse the model: only a runtime in the same process may write such a location",
)
ABSENT = Rule(
    "MS-ONX-003",
    "external data that cannot be checked",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="scan the model by its path, with its data files beside it",
)
MISFIT = Rule(
    "MS-ONX-004",
    "external data that does not fit its file",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="memory corruption",
    remedy="get the model and its data files again, from one source",
)
KEY = Rule(
    "MS-ONX-005",
    "external data with an unknown key",
    Verdict.UNKNOWN,
    capability="state change",
    reference="CVE-2026-34445",
    remedy="loaders have set such keys as attributes of their own objects; ask who wrote it",
)

_KEYS = {b"location", b"offset", b"length", b"checksum", b"basepath"}
_LONGEST = 4096  # bytes of a key or value
_EXTERNAL = 1  # data_location
_PLAIN = re.compile(rb"[0-9]{1,19}", re.ASCII)
_DRIVE = re.compile(r"[A-Za-z]:")
_FILES = 10_000  # names that are remembered


class ExternalData:
    """Judges the external data of one model's tensors."""

    def __init__(self, part: Part, reader: Reader, unknown: Unknown) -> None:
        self._part = part
        self._reader = reader
        self._unknown = unknown
        self._sizes: dict[str, int | None] = {}

    def judge(self, tensor: Message) -> Iterator[Finding]:
        """Yield what is to be said of one tensor."""
        ranges = tensor.kept.get(EXTERNAL_DATA, [])
        external = tensor.integer(DATA_LOCATION) == _EXTERNAL
        if not ranges and not external:
            return
        name = self._name(tensor)
        entries: dict[bytes, list[bytes]] = {}
        for start, stop in ranges:
            key, value = self._entry(start, stop)
            entries.setdefault(key, []).append(value)
            if key not in _KEYS:
                message = f"the external data of tensor {name} has the key {printable(key, 60)}"
                yield KEY.at(start, message, operation="external data", subject=name, evidence=key)
        for location in dict.fromkeys(entries.get(b"location", [])):
            yield from self._location(tensor, name, location, entries, external=external)
        if external and b"location" not in entries:
            yield MISFIT.at(tensor.start, f"tensor {name} is external and names no file")
        for base in entries.get(b"basepath", []):
            if base and _leaves(base.decode("utf-8", "replace")):
                message = f"tensor {name} names a folder of its own: {printable(base)}"
                yield KEY.at(tensor.start, message, operation="external data", subject=name)

    def _name(self, tensor: Message) -> str:
        names = tensor.kept.get(TENSOR_NAME)
        if not names:
            return "without a name"
        start, stop = names[-1]
        return printable(self._reader.text(start, min(stop, start + 100)), 80)

    def _entry(self, start: int, stop: int) -> tuple[bytes, bytes]:
        """Return key and value, cut if they are too long to be honest."""
        values = {1: b"", 2: b""}
        for tag, first, after in self._reader.fields(start, stop):
            if tag & 7 == BYTES and tag >> 3 in values:
                values[tag >> 3] = self._reader.text(first, min(after, first + _LONGEST))
            else:
                self._unknown.add("Entry", tag, start)
        return values[1], values[2]

    def _location(
        self,
        tensor: Message,
        name: str,
        location: bytes,
        entries: dict[bytes, list[bytes]],
        *,
        external: bool,
    ) -> Iterator[Finding]:
        """Judge one name of a file, and where in it the tensor is said to be."""
        text = location.decode("utf-8", "replace")

        def at(rule: Rule, message: str) -> Finding:
            message = f"tensor {name} {message}"
            return rule.at(
                tensor.start, message, operation="external data", subject=text, evidence=location
            )

        if "_ORT_MEM_ADDR_" in text:
            yield at(MEMORY, "is read from an address in memory that the file gives")
            return
        reason = _leaves(text)
        if reason:
            yield at(OUTSIDE, f"is read from a file whose name {reason}")
            return
        if not external and tensor.kept.get(RAW_DATA):
            return  # a leftover: the numbers are in the model
        try:
            size = self._size(text)
        except UnsafeArtifactError as error:
            yield at(OUTSIDE, f"is read from elsewhere: {error}")
            return
        reason = _misfit(entries, size) if size is not None else ""
        if size is None:
            yield at(ABSENT, "is in another file, which is not there to be checked")
        elif reason:
            yield at(MISFIT, f"is said to be where it cannot be: {reason}")

    def _size(self, location: str) -> int | None:
        """Return the size of a file beside the model, or None."""
        if location not in self._sizes:
            if self._part.siblings is None or len(self._sizes) >= _FILES:
                return None
            self._part.budget.members()
            found = self._part.siblings.open(location)
            self._sizes[location] = None if found is None else found.size
        return self._sizes[location]


def _leaves(location: str) -> str:
    """Return why a name is not that of a file in the folder; "" if it is."""
    if not location:
        return "is empty"
    if any(character < " " or character == "\x7f" for character in location):
        return "holds control characters"
    plain = location.replace("\\", "/")
    if plain.startswith(("/", "~")) or _DRIVE.match(plain) or "://" in plain:
        return "is absolute"
    if ".." in plain.split("/"):
        return "leaves the folder"
    return ""


def _misfit(entries: dict[bytes, list[bytes]], size: int) -> str:
    """Return why offset and length are not a range of the file; "" if they are."""
    for key in (b"location", b"offset", b"length"):
        if len(set(entries.get(key, []))) > 1:
            return f"it gives more than one {key.decode()}"
    offset, length = (entries.get(key, [b""])[0] or b"0" for key in (b"offset", b"length"))
    if not _PLAIN.fullmatch(offset) or not _PLAIN.fullmatch(length):
        return "its offset or length is not a plain number"
    if int(offset) + int(length) > size:
        return f"{int(length)} bytes at {int(offset)} reach beyond the {size} bytes of the file"
    return ""
