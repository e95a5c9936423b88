"""ECDSA keys in the one form in which they are nearly always written, read without a parser.

Reading any PEM takes cryptography's whole serialization package, whose import costs as much as
the rest of verifying a small model. A SubjectPublicKeyInfo of a named curve with an uncompressed
point (RFC 5480, section 2) is a constant and a point. Whatever is not exactly that, to the last
byte of its text, is left to the parser.
"""

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_HEAD, _FOOT = b"-----BEGIN PUBLIC KEY-----\n", b"-----END PUBLIC KEY-----\n"
_LINE = 64
_CURVES = {
    "SECP256R1": (bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"), 65),
    "SECP384R1": (bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"), 97),
    "SECP521R1": (bytes.fromhex("30819b301006072a8648ce3d020106052b8104002303818600"), 133),
}
"""For each curve the bytes before the point, and the length of the point."""


def plain_key(block: bytes) -> "tuple[EllipticCurvePublicKey, str] | None":
    """Return a key and its id from a PEM block, or None if the block is not exactly plain.

    Raises:
        ValueError: the point is not on its curve.
    """
    text = block.strip(b"\n") + b"\n"
    if not (text.startswith(_HEAD) and text.endswith(_FOOT)):
        return None
    body = text[len(_HEAD) : -len(_FOOT)]
    try:
        der = base64.b64decode(body.replace(b"\n", b""), validate=True)
    except ValueError:
        return None
    encoded = base64.b64encode(der)
    lines = [encoded[at : at + _LINE] + b"\n" for at in range(0, len(encoded), _LINE)]
    if body != b"".join(lines):
        return None
    for name, (prefix, size) in _CURVES.items():
        point = der.removeprefix(prefix)
        if der.startswith(prefix) and len(point) == size and point[:1] == b"\x04":
            return _on_curve(name, point), hashlib.sha256(text).hexdigest()
    return None


def _on_curve(name: str, point: bytes) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - an extra

    curves: dict[str, ec.EllipticCurve] = {
        "SECP256R1": ec.SECP256R1(),
        "SECP384R1": ec.SECP384R1(),
        "SECP521R1": ec.SECP521R1(),
    }
    return ec.EllipticCurvePublicKey.from_encoded_point(curves[name], point)
