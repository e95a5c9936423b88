"""Is this exactly the model that was signed, by whom, and is it the one that was meant?

Names are resolved on first use (PEP 562): verifying with a bare key imports neither certificates
nor Sigstore, and a missing extra is noticed only where it is needed.
"""

from typing import TYPE_CHECKING

from modelsec.lazy import resolver

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
    "ANY_IDENTITY": "modelsec.signing.x509.certificates",
    "Authenticator": "modelsec.signing.claim",
    "CertifiedKey": "modelsec.signing.x509.certificates",
    "Claim": "modelsec.signing.claim",
    "DigestCache": "modelsec.signing.hashing.digest_cache",
    "Layout": "modelsec.signing.manifest",
    "Manifest": "modelsec.signing.manifest",
    "ModelSigner": "modelsec.signing.model_signer",
    "OMS": "modelsec.signing.profile",
    "PROFILES": "modelsec.signing.profile",
    "PinnedDigest": "modelsec.signing.pinned_digest",
    "PrivateKey": "modelsec.signing.keys",
    "Profile": "modelsec.signing.profile",
    "PublicKey": "modelsec.signing.keys",
    "Release": "modelsec.signing.receipt",
    "ReleaseMemory": "modelsec.signing.trust_store",
    "Resource": "modelsec.signing.manifest",
    "STRICT": "modelsec.signing.profile",
    "Signatory": "modelsec.signing.trust",
    "Signed": "modelsec.signing.producer",
    "Signer": "modelsec.signing.trust",
    "Trust": "modelsec.signing.trust",
    "TrustStore": "modelsec.signing.trust_store",
    "TrustedIdentity": "modelsec.signing.keyless",
    "TrustedKey": "modelsec.signing.keys",
    "TrustedKeys": "modelsec.signing.keys",
    "TrustedRoots": "modelsec.signing.x509.certificates",
    "UnverifiedClaims": "modelsec.signing.inspection",
    "Verification": "modelsec.signing.receipt",
    "Verifier": "modelsec.signing.verifier",
    "sign": "modelsec.signing.producer",
    "unverified_claims": "modelsec.signing.inspection",
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

__getattr__, __dir__ = resolver(__name__, _HOMES, globals())
