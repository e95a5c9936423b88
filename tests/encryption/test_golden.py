"""One file for each version of the format; what was once written is read for ever."""

import struct
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from modelsec.encryption import decrypt_to_buffer, unverified_header
from modelsec.errors import DecryptionError
from tests.encryption.samples import wrapper

GOLDEN = Path(__file__).parent / "golden" / "v1-4096.enc"
CONTEXT = {"file": "weights/θ.bin", "name": "golden", "version": "1"}
PLAINTEXT = b"".join(sha256(bytes([n])).digest() for n in range(256))


def test_still_read() -> None:
    """A file of version 1 that was written long ago is read."""
    assert bytes(decrypt_to_buffer(GOLDEN, wrapper(), context=CONTEXT)) == PLAINTEXT
    assert unverified_header(GOLDEN).key_id == wrapper().key_id


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=salt, info=info).derive(key)


def test_by_the_documentation_alone() -> None:
    """The format's documentation is enough to read it: nothing here is of our implementation."""
    raw = GOLDEN.read_bytes()
    magic, version, suite, segment_size, pairs = struct.unpack_from(">8sHHIH", raw)
    assert (magic, version, suite) == (b"\x89MSE\r\n\x1a\n", 1, 1)
    position = 18

    def sized() -> bytes:
        nonlocal position
        (size,) = struct.unpack_from(">H", raw, position)
        position += 2 + size
        return raw[position - size : position]

    context = {sized().decode(): sized().decode() for _ in range(pairs)}
    assert context == CONTEXT
    bound = raw[:position]
    key_id, wrapped = sized(), sized()
    commitment = raw[position : position + 32]
    stream = raw[position + 32 :]
    salt, prefix = stream[1:33], stream[33:40]

    wrap_context = sha256(b"modelsec/encryption/v1/wrap\0" + bound + key_id).digest()
    data_key = wrapper().unwrap(wrapped, wrap_context)
    assert commitment == hkdf(data_key, salt, b"modelsec/encryption/v1/commitment\0" + bound)

    aead = AESGCM(hkdf(data_key, salt, bound))
    starts = list(range(0, len(stream), segment_size))
    plain = b""
    for number, start in enumerate(starts):
        sealed = stream[max(start, 40) : start + segment_size]
        nonce = prefix + struct.pack(">IB", number, number == len(starts) - 1)
        plain += aead.decrypt(nonce, sealed, None)
    assert stream[0] == 40
    assert plain == PLAINTEXT


def test_a_golden_file_is_not_forgiven_either() -> None:
    """It is bound to its context."""
    with pytest.raises(DecryptionError, match="the context is not the expected one"):
        decrypt_to_buffer(GOLDEN, wrapper(), context=CONTEXT | {"version": "2"})
