"""A contract suite for key wrappers: whoever writes one runs :func:`check_key_wrapper` on it."""

import secrets
from base64 import b64encode
from collections.abc import Callable, Iterator

from modelsec.errors import ConfigurationError, DecryptionError, KeyServiceError
from modelsec.protocols.keys import KeyWrapper

_CONTEXT = b"modelsec check_key_wrapper"
_MAX_BLOB = 8_192
_MAX_ID = 2_048


def check_key_wrapper(wrapper: KeyWrapper) -> None:
    """Hold a key wrapper to the contract of :class:`~modelsec.protocols.keys.KeyWrapper`.

    Call it from an ordinary test function. It wraps and unwraps about 40 random keys that protect
    nothing, so it may be run against a real service, with a key that is meant for tests.

    Example:
        >>> import secrets
        >>> from modelsec.encryption.key_file import LocalKeyWrapper
        >>> from modelsec.testing.wrapper import check_key_wrapper
        >>> check_key_wrapper(LocalKeyWrapper.from_bytes(secrets.token_bytes(32)))

    Args:
        wrapper: the key wrapper, able to wrap and to unwrap.

    Raises:
        AssertionError: the message names the clause that the wrapper breaks, and how.
    """
    for clause in _CLAUSES:
        fact = f"the key wrapper breaks the contract: {' '.join((clause.__doc__ or '').split())}"
        try:
            clause(wrapper)
        except AssertionError as broken:
            raise AssertionError(f"{fact} But: {broken}") from None
        except Exception as error:
            raise AssertionError(f"{fact} But it raised {type(error).__name__}: {error}") from error


def _it_has_the_shape(wrapper: KeyWrapper) -> None:
    """A key wrapper has the methods wrap and unwrap and a stable, printable key_id."""
    _hold(isinstance(wrapper, KeyWrapper), "one of key_id, wrap and unwrap is missing")
    key_id: object = wrapper.key_id
    if not isinstance(key_id, str):
        raise AssertionError(f"key_id is of type {type(key_id).__name__}")  # noqa: TRY004 - a kit
    _hold(0 < len(key_id) <= _MAX_ID, f"key_id has {len(key_id)} characters")
    _hold(key_id.isprintable(), f"key_id {key_id!r} does not print")
    _hold(wrapper.key_id == key_id, "key_id changes")


def _it_returns_the_key(wrapper: KeyWrapper) -> None:
    """What was wrapped comes back, for every size of key and of context, as often as asked."""
    for size, context in (
        *((16, _CONTEXT), (32, b""), (32, b"\x00\xff\n"), (64, _CONTEXT)),
        *((512, _CONTEXT), (32, b"c" * 65_536)),
    ):
        key = secrets.token_bytes(size)
        blob = wrapper.wrap(key, context)
        for _ in range(2):
            _hold(
                wrapper.unwrap(blob, context) == key,
                f"a key of {size} bytes in a context of {len(context)} came back as another",
            )


def _its_blobs_hide_the_key(wrapper: KeyWrapper) -> None:
    """A blob is bytes, at most 8,192 of them, and does not show the key."""
    for key in (secrets.token_bytes(32), secrets.token_bytes(512)):
        blob: object = wrapper.wrap(key, _CONTEXT)
        if not isinstance(blob, bytes):
            raise AssertionError(f"wrap returned a {type(blob).__name__}")  # noqa: TRY004 - a kit
        _hold(0 < len(blob) <= _MAX_BLOB, f"a blob has {len(blob)} bytes")
        _hold(not any(form in blob for form in _forms(key)), "the key is in the blob")


def _it_keeps_keys_apart(wrapper: KeyWrapper) -> None:
    """Blobs of two keys give each its own key."""
    keys = [secrets.token_bytes(32) for _ in range(2)]
    blobs = [wrapper.wrap(key, _CONTEXT) for key in keys]
    _hold(blobs[0] != blobs[1], "both have the same blob")
    _hold([wrapper.unwrap(blob, _CONTEXT) for blob in blobs] == keys, "the keys are mixed up")


def _it_binds_the_context(wrapper: KeyWrapper) -> None:
    """Unwrapping with another context is a DecryptionError."""
    blob = wrapper.wrap(secrets.token_bytes(32), _CONTEXT)
    empty = wrapper.wrap(secrets.token_bytes(32), b"")
    for wrapped, other in (
        *((blob, b""), (blob, _CONTEXT[:-1]), (blob, _CONTEXT + b"\x00")),
        *((blob, _CONTEXT.upper()), (empty, b"\x00")),
    ):
        _refused(
            wrapper, wrapped, other, f"the context {other!r} in place of another", DecryptionError
        )


def _it_authenticates(wrapper: KeyWrapper) -> None:
    """Unwrapping a blob that was changed, cut, extended or made up is a DecryptionError.

    Or a KeyServiceError, where the service does not tell.
    """
    blob, other = (wrapper.wrap(secrets.token_bytes(32), _CONTEXT) for _ in range(2))
    for how, changed in _changes(blob, other):
        _refused(wrapper, changed, _CONTEXT, how, DecryptionError, KeyServiceError)


def _it_refuses_other_types(wrapper: KeyWrapper) -> None:
    """Wrong types and sizes from the caller are a ConfigurationError."""
    key = secrets.token_bytes(32)
    blob = wrapper.wrap(key, _CONTEXT)
    calls: dict[str, Callable[[], bytes]] = {
        "wrap(str)": lambda: wrapper.wrap("k" * 32, _CONTEXT),  # type: ignore[arg-type]
        "wrap(None)": lambda: wrapper.wrap(None, _CONTEXT),  # type: ignore[arg-type]
        "wrap of no byte": lambda: wrapper.wrap(b"", _CONTEXT),
        "wrap of 15 bytes": lambda: wrapper.wrap(key[:15], _CONTEXT),
        "wrap of 513 bytes": lambda: wrapper.wrap(bytes(513), _CONTEXT),
        "wrap with a context of type str": lambda: wrapper.wrap(key, "c"),  # type: ignore[arg-type]
        "wrap with 65,537 bytes of context": lambda: wrapper.wrap(key, bytes(65_537)),
        "unwrap(str)": lambda: wrapper.unwrap("b", _CONTEXT),  # type: ignore[arg-type]
        "unwrap(None)": lambda: wrapper.unwrap(None, _CONTEXT),  # type: ignore[arg-type]
        "unwrap without a context": lambda: wrapper.unwrap(blob, None),  # type: ignore[arg-type]
        "unwrap with 65,537 bytes of context": lambda: wrapper.unwrap(blob, bytes(65_537)),
    }
    for what, call in calls.items():
        try:
            call()
        except ConfigurationError as error:
            _hold(not _shows(str(error), key), f"{what} told the key")
        else:
            raise AssertionError(f"{what} returned")


def _it_keeps_the_secret(wrapper: KeyWrapper) -> None:
    """Neither repr nor str nor an exception shows a key that was wrapped or unwrapped."""
    key = secrets.token_bytes(32)
    blob = wrapper.wrap(key, _CONTEXT)
    wrapper.unwrap(blob, _CONTEXT)
    for text in (repr(wrapper), str(wrapper), wrapper.key_id):
        _hold(not _shows(text, key), "the key is in its repr")
    try:
        wrapper.unwrap(blob, b"other")
    except DecryptionError as error:
        seen: BaseException | None = error
        while seen is not None:
            shown = f"{seen!s} {seen.args!r} {vars(seen)!r}"
            _hold(not _shows(shown, key), f"the key is in a {type(seen).__name__}")
            seen = seen.__cause__ or seen.__context__


def _changes(blob: bytes, other: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what an attacker may make of a blob, and how."""
    for at in sorted({len(blob) * part // 12 for part in range(12)} | {len(blob) - 1}):
        flipped = bytes((blob[at] ^ 1,))
        yield f"a blob with another byte {at}", blob[:at] + flipped + blob[at + 1 :]
    for size in sorted({0, 1, len(blob) // 2, len(blob) - 1}):
        yield f"a blob cut off after {size} bytes", blob[:size]
    yield "a blob with a byte too many", blob + b"\x00"
    yield "a blob and a newline", blob + b"\n"
    yield "a blob with a byte in front", b"\x00" + blob
    yield "the same blob twice", blob + blob
    half = len(blob) // 2
    yield "halves of two blobs", blob[:half] + other[half:]
    yield "zeros", bytes(len(blob))
    yield "random bytes", secrets.token_bytes(len(blob))
    yield "a mebibyte", bytes(1 << 20)


def _refused(
    wrapper: KeyWrapper, blob: bytes, context: bytes, what: str, *kinds: type[Exception]
) -> None:
    try:
        wrapper.unwrap(blob, context)
    except kinds:
        return
    except Exception as error:
        raise AssertionError(f"{what} gave {type(error).__name__}: {error}") from error
    raise AssertionError(f"{what} was accepted")


def _forms(key: bytes) -> tuple[bytes, ...]:
    return key, key.hex().encode(), b64encode(key).rstrip(b"=")


def _shows(text: str, key: bytes) -> bool:
    forms = (repr(key)[2:-1], *(form.decode("latin-1") for form in _forms(key)))
    return any(form in text for form in forms)


def _hold(fact: bool, otherwise: str) -> None:  # noqa: FBT001 - as assert takes it
    if not fact:
        raise AssertionError(otherwise)


_CLAUSES: tuple[Callable[[KeyWrapper], None], ...] = (
    _it_has_the_shape,
    _it_returns_the_key,
    _its_blobs_hide_the_key,
    _it_keeps_keys_apart,
    _it_binds_the_context,
    _it_authenticates,
    _it_refuses_other_types,
    _it_keeps_the_secret,
)
