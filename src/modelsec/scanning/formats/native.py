"""Machine code and scripts where a model should be.

**The format.** Programs and libraries: ELF (Linux), PE (Windows), Mach-O (macOS, also the "fat"
kind for several processors), static libraries (``ar``), bytecode for virtual machines (Java,
Dalvik, WebAssembly), and text that starts with ``#!``. Some files are several of these at once: a
portable executable of the ``MZqFpD`` kind is a Windows program, a shell script and a zip archive.

**What an attacker does with it.** A loader that "supports custom operators" opens a shared object
by path, and loading one runs its constructors. A program under a model's name waits for somebody
to start it, and sits where no virus scanner looks because of its size.

**What is checked.** The signature and as much of the header as tells it from numbers that happen
to start alike. Nothing in such a file is data, so it is dangerous under every name; a script is
``unknown`` if its name says honestly that it is one.

**What is not.** The code itself: what it does is not asked, and coverage is incomplete.
"""

import struct
from collections.abc import Callable, Iterator

from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.formats import text
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Span
from modelsec.scanning.source import Source

NATIVE = Rule(
    "MS-NAT-001",
    "machine code",
    Verdict.DANGEROUS,
    incomplete=True,
    capability="code execution",
    remedy="refuse it: a model's numbers are never stored as a program",
)
SCRIPT = Rule(
    "MS-NAT-002",
    "a script under the name of something else",
    Verdict.DANGEROUS,
    capability="code execution",
    remedy="refuse it, and ask why code was given another name",
)
NAMED_SCRIPT = Rule(
    "MS-NAT-003",
    "a script",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="read it before anybody runs it; loading a model never needs it",
)

_SCRIPT_ENDINGS = (".sh", ".bash", ".zsh", ".py", ".pl", ".rb", ".lua", ".jl", ".r", ".js", ".ps1")
_PORTABLE = b"MZqFpD"
_MACH_O = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf")
_LINE = 256
_DOS_HEADER = 64
_FIRST_JAVA = 45  # version of the first class files


def read(part: Part) -> Iterator[Observation]:
    """Accept a program, a library or a script."""
    start = part.source.read(0, min(_LINE, part.source.size))
    if start.startswith(b"#!"):
        yield from _script(part, start)
        return
    for name, what, matches in _KINDS:
        if matches(start, part.source):
            yield Identified(name)
            yield NATIVE.at(0, what, evidence=start[:16])
            yield Span(0, part.source.size)
            return
    raise NotThisFormat


def _script(part: Part, start: bytes) -> Iterator[Observation]:
    interpreter = start[2:].split(b"\n", 1)[0].strip()
    # Attributes of Rust (#![...]) and headings of some wikis start alike.
    if not interpreter[:1].isalnum() and interpreter[:1] not in {b"/", b".", b"~"}:
        raise NotThisFormat
    rule = NAMED_SCRIPT if part.name.lower().endswith(_SCRIPT_ENDINGS) else SCRIPT
    yield Identified("script")
    yield rule.at(0, "text that the system would run", evidence=start.split(b"\n", 1)[0])
    try:
        yield from (seen for seen in text.read(part) if isinstance(seen, Span))
    except NotThisFormat:
        # Text with an archive behind it: the text is ours, the engine looks at the rest.
        yield Span(0, start.find(b"\n") + 1 or len(start))


def _is_elf(start: bytes, _: Source) -> bool:
    return start.startswith(b"\x7fELF")


def _is_portable(start: bytes, _: Source) -> bool:
    return start.startswith(_PORTABLE)


def _is_pe(start: bytes, source: Source) -> bool:
    """``MZ``, and at the offset that stands at 60 the signature of a newer header."""
    if not start.startswith(b"MZ") or len(start) < _DOS_HEADER:
        return False
    (offset,) = struct.unpack_from("<I", start, 60)
    if offset + 4 > source.size:
        return False
    signature = source.read(offset, 4)
    return signature == b"PE\0\0" or signature[:2] in {b"NE", b"LE", b"LX"}


def _is_mach_o(start: bytes, _: Source) -> bool:
    return start.startswith(_MACH_O)


def _is_fat(start: bytes, _: Source) -> bool:
    """A few architectures; where they are counted, Java has its version (45 and more)."""
    return start.startswith(b"\xca\xfe\xba\xbe") and 0 < _u32(start) < _FIRST_JAVA


def _is_java(start: bytes, _: Source) -> bool:
    return start.startswith(b"\xca\xfe\xba\xbe") and _u32(start) & 0xFFFF >= _FIRST_JAVA


def _is_wasm(start: bytes, _: Source) -> bool:
    return start.startswith((b"\0asm\1\0\0\0", b"\0asm\x0d\0\1\0"))


def _is_ar(start: bytes, _: Source) -> bool:
    return start.startswith(b"!<arch>\n")


def _is_dex(start: bytes, _: Source) -> bool:
    return start.startswith(b"dex\n") and start[4:7].isdigit() and start[7:8] == b"\0"


def _u32(start: bytes) -> int:
    return int.from_bytes(start[4:8], "big")


_KINDS: tuple[tuple[str, str, Callable[[bytes, Source], bool]], ...] = (
    ("portable executable", "a program for several systems, and a shell script", _is_portable),
    ("elf", "a program or shared library (ELF)", _is_elf),
    ("pe", "a program or library for Windows (PE)", _is_pe),
    ("mach-o", "a program or library for macOS (Mach-O)", _is_mach_o),
    ("mach-o", "programs or libraries for macOS (fat Mach-O)", _is_fat),
    ("java class", "bytecode for a Java machine", _is_java),
    ("wasm", "bytecode for a browser or its like (WebAssembly)", _is_wasm),
    ("ar", "a static library (ar archive)", _is_ar),
    ("dex", "bytecode for Android (dex)", _is_dex),
)
