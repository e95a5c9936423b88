"""A signer is anybody's code, often in front of a device: what it returns is checked, not believed.

A bundle with a wrong signature would be noticed when the model is deployed, far from the mistake.
"""

from collections.abc import Callable
from typing import TypeVar

from modelsec.errors import ConfigurationError, KeyServiceError, ModelSecError, shown
from modelsec.signing.bundles.bundle import OMS_PREDICATE
from modelsec.signing.trust import Signer

_RAW_LENGTHS = (64, 96, 132)
"""Bytes of ``r || s`` on P-256, P-384 and P-521 (IEEE P1363)."""

_SEQUENCE, _INTEGER = 0x30, 0x02
_LONG_FORM = 0x81
_SIGN_BIT = 0x80

_T = TypeVar("_T")


class AskedSigner:
    """Ask a ``Signer``, and hold its answers to the protocol.

    Every method raises ``KeyServiceError`` if the signer raises what is not of modelsec, and
    ``ConfigurationError`` if the answer is none.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def key_id(self) -> str:
        """Return the key's id."""
        return self._text("key_id", lambda: self._signer.key_id)

    def predicate_type(self) -> str:
        """Return the predicate under which statements are signed."""
        return self._text("predicate_type", lambda: self._signer.predicate_type)

    def material(self) -> dict[str, object]:
        """Return the verification material; ``write_bundle`` judges what is in it."""
        return self._asked("material", self._signer.material)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message, verified if the signer tells its public key."""
        signature: object = self._asked("sign", lambda: self._signer.sign(message))
        if not isinstance(signature, bytes) or not signature:
            raise ConfigurationError(
                f"{self._name()}.sign returned {type(signature).__name__} instead of the bytes of "
                "a signature"
            )
        if self.predicate_type() == OMS_PREDICATE and not is_ecdsa_der(signature):
            raise ConfigurationError(f"{self._name()}.sign returned {_instead(signature)}")
        self._check_fits(message, signature)
        return signature

    def _check_fits(self, message: bytes, signature: bytes) -> None:
        from modelsec.signing.keys.public_key import PublicKey  # noqa: PLC0415 - most need no class

        public: object = self._asked("public", lambda: getattr(self._signer, "public", None))
        if not isinstance(public, PublicKey):
            return
        if public.key_id != self.key_id():
            raise ConfigurationError(
                f"{self._name()}: key_id is {shown(self.key_id())}, but its public key has the id "
                f"{public.key_id}"
            )
        if not public.verify(message, signature):
            raise ConfigurationError(
                f"{self._name()}.sign returned a signature that its public key does not verify: "
                f"sign the whole message with {public.algorithm}; a device that takes a hash gets "
                "the hash of the message, and must not hash it again"
            )

    def _text(self, what: str, ask: Callable[[], object]) -> str:
        answer = self._asked(what, ask)
        if not isinstance(answer, str) or not answer:
            raise ConfigurationError(f"{self._name()}.{what} must be text, not {shown(answer)}")
        return answer

    def _asked(self, what: str, ask: Callable[[], _T]) -> _T:
        try:
            return ask()
        except ModelSecError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a device's library raises
            # From None, and without its text: nobody knows whether that holds key material.
            raise KeyServiceError(
                f"{self._name()}.{what} raised {type(error).__name__}: call it by itself to see why"
            ) from None

    def _name(self) -> str:
        return f"the signer {type(self._signer).__name__}"


def is_ecdsa_der(signature: bytes) -> bool:
    """Say whether bytes are an ECDSA signature in DER: SEQUENCE of two positive INTEGERs.

    RFC 3279, section 2.2.3, with the shortest lengths and numbers, as X.690 has them for DER.
    """
    body = _contents(signature, _SEQUENCE)
    if body is None or body[1]:
        return False
    first = _contents(body[0], _INTEGER)
    second = None if first is None else _contents(first[1], _INTEGER)
    if first is None or second is None or second[1]:
        return False
    return all(_is_positive(number) for number in (first[0], second[0]))


def _contents(data: bytes, tag: int) -> tuple[bytes, bytes] | None:
    """Return the contents of the first element and what is behind it; None: it is another one."""
    start = 2
    if len(data) < start or data[0] != tag:
        return None
    length = data[1]
    if length == _LONG_FORM and len(data) > start and data[start] >= _SIGN_BIT:
        length, start = data[start], start + 1
    elif length >= _SIGN_BIT:
        return None
    if len(data) < start + length:
        return None
    return data[start : start + length], data[start + length :]


def _is_positive(number: bytes) -> bool:
    if not number or number[0] >= _SIGN_BIT or not any(number):
        return False
    return len(number) == 1 or number[0] != 0 or number[1] >= _SIGN_BIT


def _instead(signature: bytes) -> str:
    needed = "bundles of OMS hold an ECDSA signature as DER (SEQUENCE of two INTEGERs)"
    if len(signature) in _RAW_LENGTHS:
        return (
            f"{len(signature)} bytes that look like raw r || s: {needed}. Convert them, e.g. with "
            "cryptography's encode_dss_signature(r, s)"
        )
    return f"{len(signature)} bytes that are not DER: {needed}"
