"""What a ciphertext is for, in one encoding: names and values that are told again to decrypt."""

from collections.abc import Mapping
from itertools import islice, pairwise
from typing import Final

from modelsec.encryption.cursor import Cursor
from modelsec.errors import ConfigurationError, DecryptionError, shown

Context = Mapping[str, str]
Pairs = tuple[tuple[str, str], ...]

MAX_PAIRS: Final = 64
MAX_NAME: Final = 256
MAX_VALUE: Final = 4 * 1024
MAX_CONTEXT: Final = 16 * 1024

OURS: Final = "modelsec."
"""Names that begin with this are not the caller's."""
FILE: Final = "modelsec.file"
FILES: Final = "modelsec.files"
SET: Final = "modelsec.set"


def pairs_of(context: object) -> Pairs:
    """Return a caller's context as sorted pairs; None is the empty context.

    Raises:
        ConfigurationError: it is no mapping of text to text, or beyond the limits: 64 pairs,
            names of 1 to 256 bytes, values of up to 4 KiB, 16 KiB in all.
    """
    if context is None:
        return ()
    items = _items(context)
    try:
        pairs = tuple(sorted((_text(n, 1, MAX_NAME), _text(v, 0, MAX_VALUE)) for n, v in items))
        size = len(encode(tuple((name.decode(), value.decode()) for name, value in pairs)))
    except UnicodeError as error:
        raise ConfigurationError(f"{shown(context)} holds text that is not Unicode") from error
    if size > MAX_CONTEXT:
        raise ConfigurationError(
            f"a context of {size} bytes is too long: {MAX_CONTEXT} are possible"
        )
    return tuple((name.decode(), value.decode()) for name, value in pairs)


def _items(context: object) -> list[tuple[object, object]]:
    refusal = ConfigurationError(
        f"a context is a mapping of up to {MAX_PAIRS} names to texts, not {shown(context)}"
    )
    if not isinstance(context, Mapping):
        raise refusal
    try:
        # Not len() alone: a mapping of somebody's may count and list as it likes.
        items = list(islice(context.items(), MAX_PAIRS + 1)) if len(context) <= MAX_PAIRS else None
    except Exception as error:
        raise ConfigurationError(
            f"a context could not be read: {type(error).__name__}: {shown(str(error))}"
        ) from error
    if items is None or len(items) > MAX_PAIRS:
        raise refusal
    return items


def _text(value: object, least: int, most: int) -> bytes:
    if not isinstance(value, str) or not least <= len(raw := value.encode()) <= most:
        raise ConfigurationError(
            f"names and values of a context are text of {least} to {most} bytes, not {shown(value)}"
        )
    return raw


def encode(pairs: Pairs) -> bytes:
    """Return the pairs: their number, then length and UTF-8 of each name and value."""
    parts = [len(pairs).to_bytes(2)]
    for text in (text for pair in pairs for text in pair):
        raw = text.encode()
        parts += [len(raw).to_bytes(2), raw]
    return b"".join(parts)


def decode(cursor: Cursor) -> Pairs:
    """Read the pairs that ``encode`` was given.

    Raises:
        DecryptionError: cut off, beyond the limits, or the names are not in ascending order of
            their UTF-8, each once.
    """
    start = cursor.position
    count = cursor.number(2)
    if count > MAX_PAIRS:
        raise DecryptionError(f"a context of {count} pairs is beyond the limit of {MAX_PAIRS}")
    pairs = tuple((cursor.text(1, MAX_NAME), cursor.text(0, MAX_VALUE)) for _ in range(count))
    if cursor.position - start > MAX_CONTEXT:
        raise DecryptionError(f"the header's context is beyond the limit of {MAX_CONTEXT} bytes")
    if any(first.encode() >= second.encode() for (first, _), (second, _) in pairwise(pairs)):
        raise DecryptionError("the names in the header's context are not sorted and unique")
    return pairs


def check_context(found: Pairs, expected: Pairs) -> None:
    """Raise unless a file's context is the one that the caller expects.

    Raises:
        DecryptionError: it is not; the message names what differs.
    """
    if found == expected:
        return
    says, asked = dict(found), dict(expected)
    if FILE in says and FILE not in asked:
        raise DecryptionError(
            f"this file belongs to a folder that was encrypted as one, as {shown(says[FILE])}: "
            "decrypt_folder decrypts the folder, EncryptedFolder reads single files of it"
        )
    differences = [
        f"{shown(name)} is {_told(says, name)}, expected is {_told(asked, name)}"
        for name in sorted(says.keys() | asked.keys())
        if says.get(name) != asked.get(name)
    ]
    raise DecryptionError(
        f"the context is not the expected one: {'; '.join(differences[:4])}; "
        "pass the context that the file was encrypted with, if this is the file you want"
    )


def _told(pairs: dict[str, str], name: str) -> str:
    return shown(pairs[name]) if name in pairs else "absent"
