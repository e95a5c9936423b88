"""The kit itself: a key wrapper that breaks one clause is caught by that clause."""

import pytest

from modelsec.encryption.key_file import LocalKeyWrapper
from modelsec.errors import DecryptionError, KeyServiceError
from modelsec.testing.wrapper import check_key_wrapper


class Honest:
    """Passes on to a local wrapper; the faulty ones below change one thing."""

    def __init__(self) -> None:
        self.inner = LocalKeyWrapper.from_bytes(b"k" * 32)

    @property
    def key_id(self) -> str:
        return self.inner.key_id

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return self.inner.wrap(key, context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        return self.inner.unwrap(blob, context)


class Nameless(Honest):
    """Has no key id."""

    @property
    def key_id(self) -> str:
        return ""


class Numbered(Honest):
    """Has a key id that is no text."""

    @property
    def key_id(self) -> str:
        return 5  # type: ignore[return-value]


class Unprintable(Honest):
    """Has a key id that cannot be printed."""

    @property
    def key_id(self) -> str:
        return "a\nb"


class Fickle(Honest):
    """Has another key id each time."""

    count = 0

    @property
    def key_id(self) -> str:
        self.count += 1
        return f"key {self.count}"


class Truncating(Honest):
    """Gives back the first 32 bytes of a key."""

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        return super().unwrap(blob, context)[:32]


class Once(Honest):
    """Unwraps every blob once."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[bytes] = set()

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        if blob in self.seen:
            raise KeyServiceError("already unwrapped")
        self.seen.add(blob)
        return super().unwrap(blob, context)


class Transparent(Honest):
    """Puts the key beside its ciphertext."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        blob = super().wrap(key, context)
        return len(blob).to_bytes(2) + blob + key

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        return super().unwrap(blob[2 : 2 + int.from_bytes(blob[:2])], context)


class Wordy(Honest):
    """Makes large blobs."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return bytes(9_000) + super().wrap(key, context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        return super().unwrap(blob[9_000:], context)


class Textual(Honest):
    """Makes blobs of text."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return super().wrap(key, context).hex()  # type: ignore[return-value]

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        return super().unwrap(bytes.fromhex(blob), context)  # type: ignore[arg-type]


class Remembering(Honest):
    """Answers every blob with the key that was wrapped last."""

    last = b""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        self.last = key
        return super().wrap(key, context)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        super().unwrap(blob, context)
        return self.last


class Unbound(Honest):
    """Ignores the context."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        del context
        return super().wrap(key, b"")

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        del context
        return super().unwrap(blob, b"")


class Confused(Honest):
    """Takes another context for trouble of the service."""

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        try:
            return super().unwrap(blob, context)
        except DecryptionError as error:
            raise KeyServiceError(str(error)) from error


class Lax(Honest):
    """Ignores what follows a blob."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        blob = super().wrap(key, context)
        return len(blob).to_bytes(2) + blob

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        return super().unwrap(blob[2 : 2 + int.from_bytes(blob[:2])], context)


class Crashing(Honest):
    """Lets the error of a parser escape."""

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        if not blob:
            raise IndexError("index out of range")
        return super().unwrap(blob, context)


class Lenient(Honest):
    """Wraps keys of any size."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        padded = key.ljust(16, b"\x00") if isinstance(key, bytes) else key
        return super().wrap(padded, context)


class Naive(Honest):
    """Encodes text."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        if isinstance(key, str):
            key = key.encode()
        return super().wrap(key, context)


class Showing(Honest):
    """Shows the last key in its repr."""

    last = b""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        self.last = key
        return super().wrap(key, context)

    def __repr__(self) -> str:
        return f"Showing({self.last.hex()})"


class Talkative(Showing):
    """Shows the last key in an exception."""

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        try:
            return super().unwrap(blob, context)
        except DecryptionError as error:
            raise DecryptionError(f"{error}, and the key is {self.last!r}") from None

    def __repr__(self) -> str:
        return "Talkative()"


class Chained(Talkative):
    """Shows the last key in the cause of an exception."""

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        try:
            return Honest.unwrap(self, blob, context)
        except DecryptionError as error:
            raise error from ValueError(self.last)


def test_an_honest_wrapper_passes() -> None:
    """What the faulty ones below are made from breaks no clause."""
    check_key_wrapper(Honest())


@pytest.mark.parametrize(
    ("faulty", "clause", "how"),
    [
        (Nameless, "stable, printable key_id", "0 characters"),
        (Numbered, "stable, printable key_id", "type int"),
        (Unprintable, "stable, printable key_id", "does not print"),
        (Fickle, "stable, printable key_id", "changes"),
        (Truncating, "What was wrapped comes back", "64 bytes"),
        (Once, "What was wrapped comes back", "KeyServiceError: already"),
        (Transparent, "does not show the key", "the key is in the blob"),
        (Wordy, "at most 8,192", "a blob has 9"),
        (Textual, "A blob is bytes", "returned a str"),
        (Remembering, "each its own key", "mixed up"),
        (Unbound, "another context", "was accepted"),
        (Confused, "another context", "gave KeyServiceError"),
        (Lax, "changed, cut, extended", "was accepted"),
        (Crashing, "changed, cut, extended", "cut off after 0 bytes gave IndexError"),
        (Lenient, "Wrong types and sizes", "wrap of no byte returned"),
        (Naive, "Wrong types and sizes", r"wrap\(str\) returned"),
        (Showing, "Neither repr nor str", "in its repr"),
        (Talkative, "Neither repr nor str", "in a DecryptionError"),
        (Chained, "Neither repr nor str", "in a ValueError"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_each_clause_catches_its_fault(faulty: type[Honest], clause: str, how: str) -> None:
    """The message names the clause that is broken, and how."""
    with pytest.raises(AssertionError, match=f"{clause}.* But: .*{how}|{clause}.* But it .*{how}"):
        check_key_wrapper(faulty())


def test_what_is_no_wrapper_is_told() -> None:
    """An object without the methods breaks the first clause."""
    with pytest.raises(AssertionError, match="one of key_id, wrap and unwrap is missing"):
        check_key_wrapper(object())  # type: ignore[arg-type]
