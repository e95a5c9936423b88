"""Bare keys: the one that signs, the one that verifies, and a set of trusted ones."""

from modelsec.signing.keys.private_key import PrivateKey
from modelsec.signing.keys.public_key import PublicKey
from modelsec.signing.keys.signatures import KINDS, Kind
from modelsec.signing.keys.trusted_keys import TrustedKey, TrustedKeys

__all__ = ["KINDS", "Kind", "PrivateKey", "PublicKey", "TrustedKey", "TrustedKeys"]
