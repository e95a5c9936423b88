"""Security of machine-learning models in production.

The public names below are resolved on first use (PEP 562), so that ``import modelsec`` costs
next to nothing and a missing extra is noticed only where it is needed.
"""

from typing import TYPE_CHECKING

from modelsec.lazy import resolver
from modelsec.version import __version__ as __version__

if TYPE_CHECKING:
    from modelsec.errors import (
        ArtifactError,
        ConfigurationError,
        ModelSecError,
        PluginError,
        ScorerError,
        StoreError,
        VerificationError,
    )
    from modelsec.extraction import (
        Assessment,
        DetectionPolicy,
        ModelTheftDetector,
        SyncModelTheftDetector,
        Weighted,
    )
    from modelsec.provenance import (
        FormatCheck,
        ModelProvenanceVerifier,
        VerifiedModel,
        convert,
        load_safetensors_verified,
        open_verified,
    )
    from modelsec.scanning import Policy, ScanReport, TreeReport, scan, scan_tree
    from modelsec.signing import (
        ModelSigner,
        PrivateKey,
        Release,
        TrustedKeys,
        TrustedRoots,
        TrustStore,
        Verification,
        Verifier,
        sign,
    )
    from modelsec.stores import AsyncRedisStore as AsyncRedisStore
    from modelsec.stores import MemoryStore
    from modelsec.stores import RedisStore as RedisStore


_HOMES = {
    "ArtifactError": "modelsec.errors",
    "Assessment": "modelsec.extraction",
    "AsyncRedisStore": "modelsec.stores",
    "ConfigurationError": "modelsec.errors",
    "DetectionPolicy": "modelsec.extraction",
    "FormatCheck": "modelsec.provenance",
    "MemoryStore": "modelsec.stores",
    "ModelProvenanceVerifier": "modelsec.provenance",
    "ModelSecError": "modelsec.errors",
    "ModelSigner": "modelsec.signing",
    "ModelTheftDetector": "modelsec.extraction",
    "PluginError": "modelsec.errors",
    "Policy": "modelsec.scanning",
    "PrivateKey": "modelsec.signing",
    "RedisStore": "modelsec.stores",
    "Release": "modelsec.signing",
    "ScanReport": "modelsec.scanning",
    "ScorerError": "modelsec.errors",
    "StoreError": "modelsec.errors",
    "SyncModelTheftDetector": "modelsec.extraction",
    "TreeReport": "modelsec.scanning",
    "TrustStore": "modelsec.signing",
    "TrustedKeys": "modelsec.signing",
    "TrustedRoots": "modelsec.signing",
    "Verification": "modelsec.signing",
    "VerificationError": "modelsec.errors",
    "VerifiedModel": "modelsec.provenance",
    "Verifier": "modelsec.signing",
    "Weighted": "modelsec.extraction",
    "convert": "modelsec.provenance",
    "load_safetensors_verified": "modelsec.provenance",
    "open_verified": "modelsec.provenance",
    "scan": "modelsec.scanning",
    "scan_tree": "modelsec.scanning",
    "sign": "modelsec.signing",
}

# What needs an extra is public, too, but not part of `import *`, which would need the extra.
__all__ = [
    "ArtifactError",
    "Assessment",
    "ConfigurationError",
    "DetectionPolicy",
    "FormatCheck",
    "MemoryStore",
    "ModelProvenanceVerifier",
    "ModelSecError",
    "ModelSigner",
    "ModelTheftDetector",
    "PluginError",
    "Policy",
    "PrivateKey",
    "Release",
    "ScanReport",
    "ScorerError",
    "StoreError",
    "SyncModelTheftDetector",
    "TreeReport",
    "TrustStore",
    "TrustedKeys",
    "TrustedRoots",
    "Verification",
    "VerificationError",
    "VerifiedModel",
    "Verifier",
    "Weighted",
    "convert",
    "load_safetensors_verified",
    "open_verified",
    "scan",
    "scan_tree",
    "sign",
]

__getattr__, __dir__ = resolver(__name__, _HOMES, globals())
