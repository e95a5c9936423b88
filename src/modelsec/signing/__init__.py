"""Is this exactly the model that was signed, by whom, and is it the one that was meant?

Names are resolved on first use (PEP 562): verifying with a bare key imports neither certificates
nor Sigstore, and a missing extra is noticed only where it is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelsec.signing.claim import Authenticator, Claim
    from modelsec.signing.hashing.digest_cache import DigestCache
    from modelsec.signing.inspection import UnverifiedClaims, unverified_claims
    from modelsec.signing.keyless import TrustedIdentity
    from modelsec.signing.keys import PrivateKey, PublicKey, TrustedKey, TrustedKeys
    from modelsec.signing.manifest import Layout, Manifest, Resource
    from modelsec.signing.model_signer import ModelSigner
    from modelsec.signing.pinned_digest import PinnedDigest
    from modelsec.signing.producer import Signed, sign
    from modelsec.signing.profile import OMS, PROFILES, STRICT, Profile
    from modelsec.signing.receipt import Release, Verification
    from modelsec.signing.trust import Signatory, Signer, Trust
    from modelsec.signing.trust_store import ReleaseMemory, TrustStore
    from modelsec.signing.verifier import Verifier
    from modelsec.signing.x509.certificates import ANY_IDENTITY, CertifiedKey, TrustedRoots

_HOMES = {
    "ANY_IDENTITY": "x509.certificates",
    "Authenticator": "claim",
    "CertifiedKey": "x509.certificates",
    "Claim": "claim",
    "DigestCache": "hashing.digest_cache",
    "Layout": "manifest",
    "Manifest": "manifest",
    "ModelSigner": "model_signer",
    "OMS": "profile",
    "PROFILES": "profile",
    "PinnedDigest": "pinned_digest",
    "PrivateKey": "keys",
    "Profile": "profile",
    "PublicKey": "keys",
    "Release": "receipt",
    "ReleaseMemory": "trust_store",
    "Resource": "manifest",
    "STRICT": "profile",
    "Signatory": "trust",
    "Signed": "producer",
    "Signer": "trust",
    "Trust": "trust",
    "TrustStore": "trust_store",
    "TrustedIdentity": "keyless",
    "TrustedKey": "keys",
    "TrustedKeys": "keys",
    "TrustedRoots": "x509.certificates",
    "UnverifiedClaims": "inspection",
    "Verification": "receipt",
    "Verifier": "verifier",
    "sign": "producer",
    "unverified_claims": "inspection",
}

__all__ = [
    "ANY_IDENTITY",
    "OMS",
    "PROFILES",
    "STRICT",
    "Authenticator",
    "CertifiedKey",
    "Claim",
    "DigestCache",
    "Layout",
    "Manifest",
    "ModelSigner",
    "PinnedDigest",
    "PrivateKey",
    "Profile",
    "PublicKey",
    "Release",
    "ReleaseMemory",
    "Resource",
    "Signatory",
    "Signed",
    "Signer",
    "Trust",
    "TrustStore",
    "TrustedIdentity",
    "TrustedKey",
    "TrustedKeys",
    "TrustedRoots",
    "UnverifiedClaims",
    "Verification",
    "Verifier",
    "sign",
    "unverified_claims",
]


def __getattr__(name: str) -> object:
    """Resolve a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, resolved or not."""
    return sorted({*globals(), *_HOMES})
