"""The arithmetic of signatures: which keys, with which hash, over which encoding of a payload."""

import hashlib
from typing import TYPE_CHECKING, Literal

from modelsec.errors import ConfigurationError, UnsupportedBundleError
from modelsec.signing.bundles.bundle import PAYLOAD_TYPE, Bundle, pae

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

    PrivateKeyObject = EllipticCurvePrivateKey | Ed25519PrivateKey
    PublicKeyObject = EllipticCurvePublicKey | Ed25519PublicKey

Kind = Literal["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"]
KINDS: tuple[Kind, ...] = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519")
"""The first three are those of the OMS algorithm registry."""

ALGORITHMS: dict[Kind, str] = {
    "ecdsa-p256": "ecdsa-p256-sha256",
    "ecdsa-p384": "ecdsa-p384-sha384",
    "ecdsa-p521": "ecdsa-p521-sha512",
    "ed25519": "ed25519",
}
"""What a ``Signatory`` says about a key of each kind."""

Encoding = Literal["standard", "compatibility"]

_CURVES: dict[str, Kind] = {
    "secp256r1": "ecdsa-p256",
    "secp384r1": "ecdsa-p384",
    "secp521r1": "ecdsa-p521",
}


def require_cryptography() -> None:
    """Say which extra is missing, before anything is half-done.

    Raises:
        ConfigurationError: ``cryptography`` is not installed.
    """
    try:
        import cryptography  # noqa: F401, PLC0415 - the extra `signing`, needed only here
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "public-key signatures need: pip install 'modelsec[signing]'"
        ) from error


def key_kind(key: object) -> Kind | None:
    """Return the kind of a key object of ``cryptography``, private or public; None: unsupported."""
    require_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415 - extra

    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name)
    return None


def public_key_id(key: "PublicKeyObject") -> str:
    """Return lowercase hex SHA-256 over the PEM text of a public key, as OMS hints are made.

    The text is that of the SubjectPublicKeyInfo, with its final newline.
    """
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - extra
        Encoding as Form,
    )
    from cryptography.hazmat.primitives.serialization import PublicFormat  # noqa: PLC0415 - extra

    pem = key.public_bytes(Form.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def sign_message(key: "PrivateKeyObject", message: bytes) -> bytes:
    """Return the signature: Ed25519 (RFC 8032), or ECDSA with the curve's hash, as DER."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - extra

    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(_hash_of(key_kind(key))))
    return key.sign(message)


def verify_message(key: "PublicKeyObject", message: bytes, signature: bytes) -> bool:
    """Say whether a signature fits: Ed25519, or ECDSA with the curve's hash."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - extra

    if isinstance(key, ec.EllipticCurvePublicKey):
        return _fits_ecdsa(key, message, signature, _hash_of(key_kind(key)))
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - extra

    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def verify_signature(key: object, bundle: Bundle, *, legacy: bool = False) -> Encoding | None:
    """Say over which encoding of the payload a bundle's signature fits; None: over none.

    OMS 0.2.0 signed a text instead of the DSSE encoding, with SHA-256 whatever the curve. Only
    where ``legacy`` is set, "compatibility" is possible; the caller then has to hold the payload
    to the legacy predicate.

    Args:
        key: public key object of ``cryptography``, e.g. of a certificate.
        bundle: parsed.
        legacy: whether the text encoding of OMS 0.2.0 may be tried.

    Raises:
        UnsupportedBundleError: OMS does not know keys of this kind.
        ConfigurationError: ``cryptography`` is not installed.
    """
    if key_kind(key) is None:
        raise UnsupportedBundleError(
            "the signing key is of a kind that OMS does not know: ECDSA on P-256, P-384 or P-521, "
            "or Ed25519, is needed"
        )
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415 - extra
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - extra

    if isinstance(key, ec.EllipticCurvePublicKey):
        if verify_message(key, pae(bundle.payload), bundle.signature):
            return "standard"
        if legacy and _fits_ecdsa(key, _text_pae(bundle.payload), bundle.signature, SHA256()):
            return "compatibility"
    elif isinstance(key, ed25519.Ed25519PublicKey) and verify_message(
        key, pae(bundle.payload), bundle.signature
    ):
        return "standard"
    return None


def _fits_ecdsa(
    key: "EllipticCurvePublicKey",
    message: bytes,
    signature: bytes,
    algorithm: "SHA256 | SHA384 | SHA512",
) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - extra
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415 - extra

    try:
        key.verify(signature, message, ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _hash_of(kind: Kind | None) -> "SHA256 | SHA384 | SHA512":
    """Return the hash that OMS pairs with a curve."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - extra

    if kind == "ecdsa-p256":
        return hashes.SHA256()
    return hashes.SHA384() if kind == "ecdsa-p384" else hashes.SHA512()


def _text_pae(payload: bytes) -> bytes:
    """Return what OMS 0.2.0 signed: a text that holds the Python notation of the payload."""
    return f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload!r}".encode()
