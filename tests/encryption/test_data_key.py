import pickle

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from modelsec.encryption import LocalKeyWrapper
from modelsec.encryption.cipher import SegmentCipher, StreamHeader
from modelsec.encryption.data_key import DataKey, key_id_of
from modelsec.encryption.segments import Layout
from modelsec.errors import ConfigurationError
from tests.encryption.samples import KEY


@given(key=st.binary(min_size=32, max_size=32), salt=st.binary(max_size=64), info=st.binary())
def test_derivation(key: bytes, salt: bytes, info: bytes) -> None:
    """Derived keys are those of HKDF with SHA-256."""
    want = HKDF(SHA256(), length=32, salt=salt, info=info).derive(key)
    assert DataKey(key).derive(salt, info) == want


def test_secrecy() -> None:
    """A key shows neither in text nor in pickles, and is overwritten after use."""
    key = DataKey(KEY)
    cipher = SegmentCipher(
        key, StreamHeader(bytes(32), bytes(7)), b"", Layout.of_plaintext(1, 4096)
    )
    assert repr(key) == "DataKey(...)"
    for secret in (key, cipher):
        assert KEY.hex() not in repr(secret)
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(secret)
    with key:
        assert key.derive(b"", b"") == DataKey(KEY).derive(b"", b"")
    assert key.derive(b"", b"") == DataKey(bytes(32)).derive(b"", b"")


def test_random_keys() -> None:
    """Every key is new."""
    assert DataKey.random().derive(b"", b"") != DataKey.random().derive(b"", b"")


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(33), "k" * 32, None, bytearray(32)])
def test_no_key(key: object) -> None:
    """A data key is 32 bytes."""
    with pytest.raises(ConfigurationError, match="must be 32 bytes"):
        DataKey(key)  # type: ignore[arg-type]  # the test


def test_a_class_is_no_wrapper() -> None:
    """Who passes the class is told that an instance is meant."""
    with pytest.raises(ConfigurationError, match="an instance, not the class LocalKeyWrapper"):
        key_id_of(LocalKeyWrapper)  # type: ignore[arg-type]  # the test
