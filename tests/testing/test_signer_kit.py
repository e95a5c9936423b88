"""The kit itself: a signer that breaks one clause is caught by that clause."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from modelsec.signing import PrivateKey
from modelsec.testing import check_signer

KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()
ED25519 = PrivateKey.generate("ed25519")


class Honest:
    """Passes on to a private key; the faulty ones below change one thing."""

    inner = KEY

    @property
    def key_id(self) -> str:
        return self.inner.key_id

    @property
    def predicate_type(self) -> str:
        return self.inner.predicate_type

    def material(self) -> dict[str, object]:
        return self.inner.material()

    def sign(self, message: bytes) -> bytes:
        return self.inner.sign(message)


class Shortened(Honest):
    """Has a part of the key id."""

    @property
    def key_id(self) -> str:
        return self.inner.key_id[:16]


class Misnamed(Honest):
    """Signs with ECDSA under the predicate of Ed25519."""

    predicate_type = ED25519.predicate_type  # type: ignore[assignment]


class Raw(Honest):
    """Returns r || s."""

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self.inner.sign(message))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Textual(Honest):
    """Returns text."""

    def sign(self, message: bytes) -> bytes:
        return base64.b64encode(self.inner.sign(message)).decode()  # type: ignore[return-value]


class Cutting(Honest):
    """Signs the first 64 KiB of a message."""

    def sign(self, message: bytes) -> bytes:
        return self.inner.sign(message[:65_536])


class Stranger(Honest):
    """Signs with another key than it says."""

    def sign(self, message: bytes) -> bytes:
        return OTHER.sign(message)


class Unhinted(Honest):
    """Names another key in its material."""

    def material(self) -> dict[str, object]:
        return OTHER.material()


class Changing(Honest):
    """Has other material each time."""

    count = 0

    def material(self) -> dict[str, object]:
        self.count += 1
        return {**self.inner.material(), "tlogEntries": [{}] * self.count}


class Immaterial(Honest):
    """Has material that makes no bundle."""

    def material(self) -> dict[str, object]:
        return {"key": self.inner.key_id}


class Failing(Honest):
    """Raises."""

    def sign(self, message: bytes) -> bytes:
        raise RuntimeError(len(message))


@pytest.mark.parametrize("key", [KEY, ED25519, PrivateKey.generate("ecdsa-p384")])
def test_private_keys_keep_the_contract(key: PrivateKey) -> None:
    """Of every kind."""
    check_signer(key, key.public)


def test_an_honest_signer_passes() -> None:
    """Otherwise the faulty ones below could fail for another reason."""
    check_signer(Honest(), KEY.public)


@pytest.mark.parametrize(
    ("signer", "said"),
    [
        (object(), "one of the four members is missing"),
        (Shortened(), "its key_id is that of its key"),
        (Misnamed(), "predicate type is that of OMS"),
        (Raw(), "not DER: raw r"),
        (Textual(), "sign returned a str"),
        (Cutting(), "does not fit"),
        (Stranger(), "a message of 1 bytes has a signature that does not fit"),
        (Unhinted(), "not the key's id"),
        (Changing(), "material changes"),
        (Immaterial(), "raised ConfigurationError"),
        (Failing(), "raised RuntimeError"),
    ],
)
def test_a_faulty_signer_is_caught(signer: Honest, said: str) -> None:
    """Each by the clause that it breaks."""
    with pytest.raises(AssertionError, match="the signer breaks the contract") as caught:
        check_signer(signer, KEY.public)
    assert said in str(caught.value)
