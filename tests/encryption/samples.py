"""What the tests of encryption share: a wrapper that counts, misbehaving ones, and a folder."""

import os
from collections.abc import Callable
from pathlib import Path

from modelsec.encryption import LocalKeyWrapper, encrypt_file

KEY = bytes(range(32))
CONTEXT = {"name": "resnet", "version": "3", "file": "model.safetensors"}


def wrapper(key: bytes = KEY) -> LocalKeyWrapper:
    return LocalKeyWrapper.from_bytes(key)


def plaintext(size: int) -> bytes:
    """Bytes of which no two segments are equal."""
    return os.urandom(size)


def encrypted(
    folder: Path, size: int, *, segment_size: int = 4096, context: dict[str, str] | None = None
) -> tuple[Path, bytes]:
    """Encrypt random bytes; return the file, alone in its folder, and the bytes."""
    content = plaintext(size)
    (folder / "plain").write_bytes(content)
    target = folder / "model.enc"
    encrypt_file(
        folder / "plain", target, wrapper(), context=context or {}, segment_size=segment_size
    )
    (folder / "plain").unlink()
    return target, content


class Odd:
    """A wrapper that does what it is told."""

    def __init__(
        self,
        wrap: Callable[[bytes, bytes], object] = lambda key, context: b"w" + key,  # noqa: ARG005 - the protocol
        unwrap: Callable[[bytes, bytes], object] = lambda blob, context: blob[1:],  # noqa: ARG005 - idem
        key_id: object = "odd",
    ) -> None:
        self._wrap, self._unwrap, self._key_id = wrap, unwrap, key_id

    @property
    def key_id(self) -> str:
        if isinstance(self._key_id, Exception):
            raise self._key_id
        return self._key_id  # type: ignore[return-value]  # that is the test

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return self._wrap(key, context)  # type: ignore[return-value]  # idem

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        return self._unwrap(blob, context)  # type: ignore[return-value]  # idem


def fails(error: BaseException) -> Callable[[bytes, bytes], object]:
    def raising(_one: bytes, _other: bytes) -> object:
        raise error

    return raising
