"""Bare keys: the one that signs, the one that verifies, and a set of trusted ones."""

from typing import TYPE_CHECKING

from modelsec.lazy import resolver

if TYPE_CHECKING:
    from modelsec.signing.keys.private_key import PrivateKey
    from modelsec.signing.keys.public_key import PublicKey
    from modelsec.signing.keys.signatures import KINDS, Kind
    from modelsec.signing.keys.trusted_keys import TrustedKey, TrustedKeys

_HOMES = {
    "KINDS": "modelsec.signing.keys.signatures",
    "Kind": "modelsec.signing.keys.signatures",
    "PrivateKey": "modelsec.signing.keys.private_key",
    "PublicKey": "modelsec.signing.keys.public_key",
    "TrustedKey": "modelsec.signing.keys.trusted_keys",
    "TrustedKeys": "modelsec.signing.keys.trusted_keys",
}

__all__ = ["KINDS", "Kind", "PrivateKey", "PublicKey", "TrustedKey", "TrustedKeys"]

# Verifying needs no private key.
__getattr__, __dir__ = resolver(__name__, _HOMES, globals())
