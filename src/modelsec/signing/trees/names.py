"""Names of files: which can be signed, which read the same everywhere, which pretend.

Every profile wants canonical names (OMS v1.0, section 6.1.2): relative, UTF-8, with ``/``, and
without empty, ``.`` or ``..`` components. Portable names (the strict profile) must also mean and
look the same to every system and reader. What that refuses, and what it lets pass:

* Control characters, line and paragraph separators, bidi controls and invisible characters (the
  default-ignorable code points of Unicode) are refused: they hide or reorder what is read.
  Joiners (U+200C, U+200D) pass between characters from U+0590 on, and variation selectors behind
  symbols and ideographs: scripts and emoji need them there, and there they hide nothing.
* A backslash is refused, it separates folders on Windows. So are its device names, and dots or
  spaces at the end of a component, which it drops. ``:`` passes: OMS names may hold it. Windows
  cannot create such a file, and reads no other in its place, because names are only ever looked
  up among those that the walk found.
* Two names of one model must not become equal when case and Unicode form are folded.

The functions return the reason for a refusal, or None: whoever read the name knows whether a tree,
a bundle or the caller is at fault. The ``check_...`` functions raise for trees and callers.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import pairwise

from modelsec.errors import ConfigurationError, UnsafeTreeError, shown
from modelsec.signing.profile import Profile

MAX_COMPONENT_BYTES = 255
"""What common file systems store for one component."""

MAX_NAME_BYTES = 4096
"""What Linux takes as a path; no loader could open a longer one."""

_IGNORABLE = (
    # Default_Ignorable_Code_Point (Unicode 16, DerivedCoreProperties), with the interlinear
    # annotation marks, the line and paragraph separators, and the empty braille cell.
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JOINERS = frozenset("\u200c\u200d")
_JOINED_FROM = "\u0590"
_KEYCAP = "\u20e3"
_DIGITS = "0123456789\u00b9\u00b2\u00b3"
_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [port + digit for port in ("COM", "LPT") for digit in _DIGITS]
)


def name_fault(name: object, *, profile: Profile) -> str | None:
    """Say why a name cannot be that of a signed file, or return None.

    Args:
        name: path of a file relative to the root of its model.
        profile: whether names have to be portable.
    """
    if not isinstance(name, str):
        return f"is no text but {type(name).__name__}"
    if not name:
        return "is empty"
    if name.startswith("/"):
        return "is absolute"
    length = _utf8_length(name)
    if length is None:
        return "is not valid UTF-8"
    if length > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    faults = (component_fault(part, profile=profile) for part in name.split("/"))
    return next((fault for fault in faults if fault is not None), None)


@lru_cache(maxsize=8_192)
def component_fault(part: str, *, profile: Profile) -> str | None:
    """Say why one component of a path cannot be signed, or return None."""
    if not part:
        return "has an empty component (a '/' too many)"
    if part in {".", ".."}:
        return "has a '.' or '..' component"
    if "\0" in part:
        return "has a NUL character"
    length = _utf8_length(part)
    if length is None:
        return "is not valid UTF-8"
    if length > MAX_COMPONENT_BYTES:
        return f"has a component of more than {MAX_COMPONENT_BYTES} bytes"
    return _portability_fault(part) if profile.portable_names else None


def check_name(name: object, *, profile: Profile) -> None:
    """Refuse a name that cannot be that of a signed file.

    Raises:
        UnsafeTreeError: it is not canonical, or not portable where the profile wants that.
    """
    fault = name_fault(name, profile=profile)
    if fault is not None:
        raise UnsafeTreeError(f"the name {shown(name)} {fault}: rename the file")


def ignore_path_fault(path: object) -> str | None:
    """Say why a path cannot be one that a signature leaves out, or return None.

    Such a path is exact and relative, and stands for itself and everything below it (OMS v1.0,
    section 6.2.1). It may not cover the whole model.
    """
    if not isinstance(path, str):
        return f"is no text but {type(path).__name__}"
    length = _utf8_length(path)
    faults = {
        "is empty, it would cover the whole model": not path,
        "is absolute": path.startswith("/"),
        "has one of * ? [, which mean nothing here: name one path": not {*"*?["}.isdisjoint(path),
        "is not valid UTF-8, or has a NUL character": length is None or "\0" in path,
        f"is longer than {MAX_NAME_BYTES} bytes": (length or 0) > MAX_NAME_BYTES,
        "has an empty, '.' or '..' component": not {"", ".", ".."}.isdisjoint(path.split("/")),
    }
    return next((fault for fault, holds in faults.items() if holds), None)


def check_ignore_path(path: object) -> None:
    """Refuse what a caller may not leave out.

    Raises:
        ConfigurationError: it is not an exact relative path within the model.
    """
    fault = ignore_path_fault(path)
    if fault is not None:
        raise ConfigurationError(f"the ignored path {shown(path)} {fault}")


def collisions(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return pairs of names that are one when case and Unicode form are folded.

    Folders count too: ``A/x`` and ``a/y`` lie in one folder, or in two, as the system pleases.
    """
    by_fold = sorted((folded(name).replace("/", "\0"), name) for name in set(names))
    # Names that share a folded folder stand together, so neighbours tell it all.
    return tuple((one, other) for (_, one), (_, other) in pairwise(by_fold) if _collide(one, other))


def set_fault(names: Collection[str], *, profile: Profile) -> str | None:
    """Say why names cannot be those of one manifest, or return None.

    A name must not be listed twice, nor be a file here and a folder there; portable names must not
    collide.
    """
    # With "/" as the lowest character a folder stands right behind a file of its name.
    for one, other in pairwise(sorted(names, key=lambda name: name.replace("/", "\0"))):
        if one == other:
            return f"lists {shown(one)} twice"
        if other.startswith(one + "/"):
            return f"lists {shown(one)} as a file and as a folder ({shown(other)})"
    if profile.portable_names:
        for one, other in collisions(names):
            return f"lists {shown(one)} and {shown(other)}, which are one name on some systems"
    return None


def folded(name: str) -> str:
    """Return what names have in common that some system or reader takes for one.

    Canonical caseless matching (Unicode, chapter 3, definition D145), without invisible
    characters.
    """
    if name.isascii():
        return name.lower()
    decomposed = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFD", "".join(c for c in decomposed if not _ignorable(c)))


def _collide(one: str, other: str) -> bool:
    for mine, yours in zip(one.split("/"), other.split("/"), strict=False):
        if mine != yours:
            return folded(mine) == folded(yours)
    return False


def _portability_fault(part: str) -> str | None:
    if part[-1] == "." or part[-1].isspace():
        return "has a component that ends in a dot or a space, which nobody sees or Windows drops"
    if "\\" in part:
        return "has a backslash, which separates folders on Windows"
    device = part.partition(".")[0].partition(":")[0].rstrip(" ").upper()
    if device in _DEVICES:
        return f"has a component that is the device {device} on Windows"
    return hidden_fault(part)


def hidden_fault(text: str) -> str | None:
    """Say what of a text a reader does not see, or sees elsewhere, or return None.

    For file names, and for every other text that people decide by (model names, approvals).
    """
    if text.isascii():
        return None if text.isprintable() else "has a control character"
    for before, character, after in zip(f" {text}", text, f"{text[1:]} ", strict=False):
        if unicodedata.category(character) == "Cc":
            return "has a control character"
        if character in _BIDI:
            return "has a bidirectional control character, which reorders what is read"
        if _ignorable(character) and not _belongs(before, character, after):
            return f"has an invisible character (U+{ord(character):04X})"
    return None


def _belongs(before: str, character: str, after: str) -> bool:
    """Say whether an invisible character stands where scripts and emoji need it."""
    if character in _JOINERS:
        return before >= _JOINED_FROM and after >= _JOINED_FROM
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return before >= "\u2000" or before in "\u00a9\u00ae" or after == _KEYCAP
    return False


def _ignorable(character: str) -> bool:
    place = bisect_right(_IGNORABLE, (ord(character), 0x110000)) - 1
    return place >= 0 and ord(character) <= _IGNORABLE[place][1]


def _utf8_length(text: str) -> int | None:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None
