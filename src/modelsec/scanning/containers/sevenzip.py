"""7z archives: recognised, and refused as incomplete.

**Format.** A start header of 32 bytes with a check value, packed streams, and a header at the
end that may be compressed itself.

**What an attacker does.** Uploads a pickle in a 7z: scanners that do not know the format see
nothing, and a loader that unpacks it by hand runs it (the *nullifAI* models of 2025).

**What is checked.** That the start header holds and where the archive ends. Nothing inside is
read, so such a file is never clean; what follows the archive is scanned as any other bytes.
"""

import struct
import zlib
from collections.abc import Iterator

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.part import Observation, Part, Span

PACKED = Rule(
    "MS-SVZ-001",
    "a 7z archive",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="hides its content from scanners",
    reference="ReversingLabs, nullifAI (2025)",
    remedy="unpack it and scan what is inside; no model format is built on 7z",
)

_START = struct.Struct("<6sBBIQQI")


def read(part: Part) -> Iterator[Observation]:
    """Say that nothing of it was read."""
    source = part.source
    yield PACKED.at(0, "members of 7z archives are not read", length=source.size)
    if source.size < _START.size:
        yield Span(0, source.size)
        raise MalformedArtifactError("the 7z archive is cut off")
    head = source.read(0, _START.size)
    _, _, _, check, offset, length, _ = _START.unpack(head)
    stop = _START.size + offset + length
    whole = zlib.crc32(head[12:]) == check and stop <= source.size
    yield Span(0, stop if whole else source.size)
    if not whole:
        raise MalformedArtifactError("the 7z archive is cut off, or its start is broken")
