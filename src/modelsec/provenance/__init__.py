"""Where a model comes from, what it becomes, and that the bytes in use are those that were meant.

Names are resolved on first use (PEP 562): a card needs no numpy, a conversion no cryptography.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelsec.provenance.annex_iv import Outline, annex_iv_outline
    from modelsec.provenance.approval import Approved, approve, verify_approval
    from modelsec.provenance.approval_envelope import Approval
    from modelsec.provenance.card import ModelCard, make_card
    from modelsec.provenance.card_document import CardDocument, read_card
    from modelsec.provenance.card_info import CardInfo
    from modelsec.provenance.card_markdown import card_to_markdown
    from modelsec.provenance.conversion import convert
    from modelsec.provenance.integrity import IntegrityCheck, check_integrity
    from modelsec.provenance.ml_bom import card_to_ml_bom, ml_bom_json
    from modelsec.provenance.readme_check import card_problems
    from modelsec.provenance.record import Conversion, ConvertedTensor
    from modelsec.provenance.safetensors_arrays import read_arrays
    from modelsec.provenance.state_dict import DroppedLeaf
    from modelsec.provenance.verified import open_verified
    from modelsec.provenance.verified_model import VerifiedModel
    from modelsec.provenance.verified_safetensors import load_safetensors_verified
    from modelsec.provenance.verifier import FormatCheck, ModelProvenanceVerifier

_HOMES = {
    "Approval": "approval_envelope",
    "Approved": "approval",
    "CardDocument": "card_document",
    "CardInfo": "card_info",
    "Conversion": "record",
    "ConvertedTensor": "record",
    "DroppedLeaf": "state_dict",
    "FormatCheck": "verifier",
    "IntegrityCheck": "integrity",
    "ModelCard": "card",
    "ModelProvenanceVerifier": "verifier",
    "Outline": "annex_iv",
    "VerifiedModel": "verified_model",
    "annex_iv_outline": "annex_iv",
    "approve": "approval",
    "card_problems": "readme_check",
    "card_to_markdown": "card_markdown",
    "card_to_ml_bom": "ml_bom",
    "check_integrity": "integrity",
    "convert": "conversion",
    "load_safetensors_verified": "verified_safetensors",
    "make_card": "card",
    "ml_bom_json": "ml_bom",
    "open_verified": "verified",
    "read_arrays": "safetensors_arrays",
    "read_card": "card_document",
    "verify_approval": "approval",
}

__all__ = [
    "Approval",
    "Approved",
    "CardDocument",
    "CardInfo",
    "Conversion",
    "ConvertedTensor",
    "DroppedLeaf",
    "FormatCheck",
    "IntegrityCheck",
    "ModelCard",
    "ModelProvenanceVerifier",
    "Outline",
    "VerifiedModel",
    "annex_iv_outline",
    "approve",
    "card_problems",
    "card_to_markdown",
    "card_to_ml_bom",
    "check_integrity",
    "convert",
    "load_safetensors_verified",
    "make_card",
    "ml_bom_json",
    "open_verified",
    "read_arrays",
    "read_card",
    "verify_approval",
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
