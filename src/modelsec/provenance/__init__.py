"""Where a model comes from, what it becomes, and that the bytes in use are those that were meant.

Names are resolved on first use (PEP 562): a card needs no numpy, a conversion no cryptography.
"""

from typing import TYPE_CHECKING

from modelsec.lazy import resolver

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
    "Approval": "modelsec.provenance.cards.approval_envelope",
    "Approved": "modelsec.provenance.cards.approval",
    "CardDocument": "modelsec.provenance.cards.card_document",
    "CardInfo": "modelsec.provenance.cards.card_info",
    "Conversion": "modelsec.provenance.conversion.record",
    "ConvertedTensor": "modelsec.provenance.conversion.record",
    "Decryption": "modelsec.provenance.loading.decryption",
    "DroppedLeaf": "modelsec.provenance.conversion.state_dict",
    "FormatCheck": "modelsec.provenance.verifier",
    "IntegrityCheck": "modelsec.provenance.integrity",
    "ModelCard": "modelsec.provenance.cards.card",
    "ModelProvenanceVerifier": "modelsec.provenance.verifier",
    "Outline": "modelsec.provenance.cards.annex_iv",
    "VerifiedModel": "modelsec.provenance.loading.verified_model",
    "annex_iv_outline": "modelsec.provenance.cards.annex_iv",
    "approve": "modelsec.provenance.cards.approval",
    "card_problems": "modelsec.provenance.cards.readme_check",
    "card_to_markdown": "modelsec.provenance.cards.card_markdown",
    "card_to_ml_bom": "modelsec.provenance.cards.ml_bom",
    "check_integrity": "modelsec.provenance.integrity",
    "compare_with_model": "modelsec.provenance.cards.comparison",
    "convert": "modelsec.provenance.conversion.process",
    "load_safetensors_verified": "modelsec.provenance.loading.verified_safetensors",
    "make_card": "modelsec.provenance.cards.card",
    "ml_bom_json": "modelsec.provenance.cards.ml_bom",
    "open_verified": "modelsec.provenance.loading.opening",
    "read_arrays": "modelsec.provenance.loading.safetensors_arrays",
    "read_card": "modelsec.provenance.cards.card_document",
    "verify_approval": "modelsec.provenance.cards.approval",
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

__getattr__, __dir__ = resolver(__name__, _HOMES, globals())
