"""Pickles within text: in base64, or as protocol 0, which is text itself.

Text can hold anything, and words are never judged. But base64 that is a whole pickle, and one that
imports something, got there because somebody is to unpickle it. So did a call in protocol 0 that
stands behind something else, as far as it is of a module that no model needs: other names would
make a pickle of every list of words.
"""

import binascii
import re
from collections.abc import Iterator
from contextlib import suppress

from modelsec.errors import ResourceLimitError
from modelsec.scanning.limits import MIB
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span
from modelsec.scanning.source import BytesSource, Slice

# The first two bytes of protocols 2 to 5, or an import of protocol 0.
_PICKLE = re.compile(
    rb"(?:gA[I-X]|Y29zC|Y250C|Y3Bvc2l4|Y3N1YnBy|Y2J1aWx0aW5z|Y19fYnVpbHRpbl9f)"
    rb"[A-Za-z0-9+/_-]{11,}+={0,2}"
)
_CALL = re.compile(
    rb"c(?:os|posix|nt|subprocess|sys|builtins|__builtin__|importlib|shutil|socket|pickle|ctypes|pty"
    rb"|runpy|marshal|commands|webbrowser|platform|code|timeit)\n[A-Za-z_][\w.]*+\n"
    rb"(?:p[0-9]++\n)?\((?=[SVIFLcildtXU(\]}])"
)
_CANDIDATES = 5000
_LONGEST = 16 * MIB
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def pickles(part: Part, data: bytes) -> Iterator[Part]:
    """Yield what an unpickler would act on, as parts to be scanned.

    Args:
        part: that holds the text.
        data: the text, or its beginning.

    Raises:
        ResourceLimitError: there are too many candidates.
    """
    call = _CALL.search(data)
    if call is not None:
        rest = Slice(part.source, call.start(), part.source.size - call.start())
        yield part.child(rest, f"pickle at {call.start()}", reader=_read_effects)
    for count, match in enumerate(_PICKLE.finditer(data)):
        if count >= _CANDIDATES:
            raise ResourceLimitError(
                f"more than {_CANDIDATES} pieces that could be pickles in base64"
            )
        text = match.group()[:_LONGEST].rstrip(b"=").translate(_URL_SAFE)
        content = binascii.a2b_base64(text[: len(text) - (len(text) % 4 == 1)] + b"==")
        from modelsec.scanning.pickle.reader import acts  # noqa: PLC0415 - needed by few files

        source = BytesSource(content)
        if acts(part, source):
            yield part.child(source, f"base64 at {match.start()}")


def _read_effects(part: Part) -> Iterator[Observation]:
    """Judge what an unpickler would do; the text around it is claimed by its own reader."""
    from modelsec.scanning.pickle.reader import read_effects_only  # noqa: PLC0415 - few files

    with suppress(NotThisFormat):
        yield from read_effects_only(part)
    yield Span(0, part.source.size)
