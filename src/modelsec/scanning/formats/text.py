"""Plain text: nothing to load, unless its name says that it is code.

Text has no structure that a model loader acts on. Whether it is run depends on who reads it, and
that is decided by its name: this is the one place where a name matters.
"""

import codecs
from collections.abc import Iterator

from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.limits import MIB
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span

CODE = Rule(
    "MS-TXT-001",
    "source code",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="read it, or load the model without it (trust_remote_code=False)",
)

_CODE = (".py", ".pyw", ".pyx", ".sh", ".bash", ".bat", ".cmd", ".ps1", ".js", ".lua", ".jl")
_PLAIN_CONTROLS = frozenset("\t\n\r\f\x1b")


def read(part: Part) -> Iterator[Observation]:
    """Accept UTF-8 or UTF-16 text without control characters."""
    source = part.source
    start = source.read(0, min(60, source.size))
    utf16 = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    decoder = codecs.getincrementaldecoder("utf-16" if utf16 else "utf-8")()
    for offset in range(0, source.size, MIB):
        part.budget.check_time()
        length = min(MIB, source.size - offset)
        try:
            text = decoder.decode(source.read(offset, length), final=offset + length == source.size)
        except UnicodeDecodeError:
            raise NotThisFormat from None
        if any(character < " " and character not in _PLAIN_CONTROLS for character in set(text)):
            raise NotThisFormat
    yield Span(0, source.size)
    if part.name.lower().endswith(_CODE):
        yield CODE.at(0, "source code beside a model", evidence=start)
