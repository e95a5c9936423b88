"""Where a model comes from, what it becomes, and that the bytes in use are those that were meant.

Names are resolved on first use (PEP 562): a card needs no numpy, a conversion no cryptography.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelsec.provenance.cards.annex_iv import Outline, annex_iv_outline
    from modelsec.provenance.cards.approval import Approved, approve, verify_approval
    from modelsec.provenance.cards.approval_envelope import Approval
    from modelsec.provenance.cards.card import ModelCard, make_card
    from modelsec.provenance.cards.card_document import CardDocument, read_card
    from modelsec.provenance.cards.card_info import CardInfo
    from modelsec.provenance.cards.card_markdown import card_to_markdown
    from modelsec.provenance.cards.comparison import compare_with_model
    from modelsec.provenance.cards.ml_bom import card_to_ml_bom, ml_bom_json
    from modelsec.provenance.cards.readme_check import card_problems
    from modelsec.provenance.conversion.process import convert
    from modelsec.provenance.conversion.record import Conversion, ConvertedTensor
    from modelsec.provenance.conversion.state_dict import DroppedLeaf
    from modelsec.provenance.integrity import IntegrityCheck, check_integrity
    from modelsec.provenance.loading.decryption import Decryption
    from modelsec.provenance.loading.opening import open_verified
    from modelsec.provenance.loading.safetensors_arrays import read_arrays
    from modelsec.provenance.loading.verified_model import VerifiedModel
    from modelsec.provenance.loading.verified_safetensors import load_safetensors_verified
    from modelsec.provenance.verifier import FormatCheck, ModelProvenanceVerifier

_HOMES = {
    "Approval": "cards.approval_envelope",
    "Approved": "cards.approval",
    "CardDocument": "cards.card_document",
    "CardInfo": "cards.card_info",
    "Conversion": "conversion.record",
    "ConvertedTensor": "conversion.record",
    "Decryption": "loading.decryption",
    "DroppedLeaf": "conversion.state_dict",
    "FormatCheck": "verifier",
    "IntegrityCheck": "integrity",
    "ModelCard": "cards.card",
    "ModelProvenanceVerifier": "verifier",
    "Outline": "cards.annex_iv",
    "VerifiedModel": "loading.verified_model",
    "annex_iv_outline": "cards.annex_iv",
    "approve": "cards.approval",
    "card_problems": "cards.readme_check",
    "card_to_markdown": "cards.card_markdown",
    "card_to_ml_bom": "cards.ml_bom",
    "check_integrity": "integrity",
    "compare_with_model": "cards.comparison",
    "convert": "conversion.process",
    "load_safetensors_verified": "loading.verified_safetensors",
    "make_card": "cards.card",
    "ml_bom_json": "cards.ml_bom",
    "open_verified": "loading.opening",
    "read_arrays": "loading.safetensors_arrays",
    "read_card": "cards.card_document",
    "verify_approval": "cards.approval",
}

__all__ = [
    "Approval",
    "Approved",
    "CardDocument",
    "CardInfo",
    "Conversion",
    "ConvertedTensor",
    "Decryption",
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
    "compare_with_model",
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
