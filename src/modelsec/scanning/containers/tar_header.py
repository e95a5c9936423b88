"""One block of a tar: a member's header, its numbers, and the records of pax."""

import re
from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.limits import MIB

BLOCK = 512
LONGEST_EXTENSION = MIB
"""Bytes of a long name or of pax records; systems accept paths of 4 KiB."""

REGULAR = frozenset(b"0\x007S")
LINKS = frozenset(b"12")
SPECIAL = frozenset(b"346")
FOLDER = ord("5")
SYMBOLIC = ord("2")
SPARSE = ord("S")
LONG_NAME, LONG_LINK = ord("L"), ord("K")
PAX, PAX_SOLARIS, PAX_GLOBAL = ord("x"), ord("X"), ord("g")
EXTENSIONS = frozenset((LONG_NAME, LONG_LINK, PAX, PAX_SOLARIS, PAX_GLOBAL))
KNOWN = REGULAR | LINKS | SPECIAL | EXTENSIONS | {FOLDER}

_DIGITS = re.compile(rb" *[0-7]* *[\0 ]*\Z")
_RECORD = re.compile(rb"([1-9][0-9]{0,6}) ([^=]++)=")


@dataclass(frozen=True, slots=True)
class Header:
    """A header block.

    Attributes:
        kind: the type flag, as a number.
        size: in bytes, as declared.
        odd: a number is written as only some readers accept it.
        block: the bytes themselves.
    """

    offset: int
    kind: int
    name: str
    link: str
    size: int
    odd: bool
    block: bytes


def number(field: bytes) -> tuple[int, bool] | None:
    """Return a numeric field's value and whether it is written oddly; None if it is no number."""
    if field[0] & 0x80:  # base 256
        odd = field[0] not in {0x80, 0xFF}
        value = int.from_bytes(field, "big", signed=field[0] == 0xFF)  # noqa: PLR2004 - negative
        if field[0] != 0xFF:  # noqa: PLR2004 - idem
            value -= 0x80 << (8 * (len(field) - 1))
        return value, odd
    text = field.split(b"\0", 1)[0].strip()
    try:
        # Python's reader takes signs, underscores and a prefix here; others stop or refuse.
        value = int(text or b"0", 8)
    except ValueError:
        return None
    return value, _DIGITS.match(field) is None


def checksum_holds(block: bytes) -> bool:
    """Whether this is a header: by its sum of signed or unsigned bytes, as readers decide."""
    field = number(block[148:156])
    if field is None:
        return False
    unsigned = 256 + sum(block[:148]) + sum(block[156:])
    high = sum(byte > 127 for byte in block[:148] + block[156:])  # noqa: PLR2004 - sign bit
    return field[0] in {unsigned, unsigned - 256 * high}


def parse(block: bytes, offset: int) -> Header | None:
    """Return the header in a block, or None if it is not one.

    Raises:
        MalformedArtifactError: its size is no number, or negative.
    """
    if len(block) < BLOCK or not any(block) or not checksum_holds(block):
        return None
    size = number(block[124:136])
    if size is None or size[0] < 0:
        raise MalformedArtifactError(f"the tar header at {offset} has no valid size")
    checksum = number(block[148:156])
    name = text(block[:100])
    prefix = text(block[345:500])
    if prefix and block[257:265] == b"ustar\x0000":
        name = f"{prefix}/{name}"
    kind = block[156]
    if kind == 0 and name.endswith("/"):
        kind = FOLDER  # before ustar a slash was all there was
    return Header(
        offset=offset,
        kind=kind,
        name=name,
        link=text(block[157:257]),
        size=size[0],
        odd=size[1] or checksum is None or checksum[1],
        block=block,
    )


def text(field: bytes) -> str:
    """Return a text field up to its NUL."""
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def pax_records(data: bytes) -> dict[str, str]:
    """Return the records of a pax header: ``length key=value``, each with a line end.

    Raises:
        MalformedArtifactError: a record breaks the rules; readers differ on what follows it.
    """
    records: dict[str, str] = {}
    position = 0
    while position < len(data):
        match = _RECORD.match(data, position)
        stop = position + int(match[1]) if match else 0
        if not match or stop <= match.end() or stop > len(data) or data[stop - 1] != ord("\n"):
            if not data[position:].strip(b"\0"):
                break
            raise MalformedArtifactError("a pax record is broken")
        key = match[2].decode("utf-8", "replace")
        if key in records:
            raise MalformedArtifactError("a pax record is there twice")
        records[key] = data[match.end() : stop - 1].decode("utf-8", "replace")
        position = stop
    return records


def sparse_entries(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    """Return offset and length of the stored pieces that a block lists.

    Raises:
        MalformedArtifactError: one is no number.
    """
    pieces = []
    for place in range(start, start + 24 * count, 24):
        offset, length = number(block[place : place + 12]), number(block[place + 12 : place + 24])
        if offset is None or length is None or offset[0] < 0 or length[0] < 0:
            raise MalformedArtifactError("the map of a sparse member is broken")
        if length[0]:
            pieces.append((offset[0], length[0]))
    return pieces


def allow_extension(size: int) -> None:
    """Raise ``ResourceLimitError`` if an extension is too long to be an honest name."""
    if size > LONGEST_EXTENSION:
        raise ResourceLimitError(f"a tar extension header of {size} bytes")
