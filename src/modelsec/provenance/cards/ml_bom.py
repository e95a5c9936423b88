"""A card as a bill of materials: CycloneDX 1.6 and 1.7, as JSON (ECMA-424).

The model is the component of type ``machine-learning-model`` with a ``modelCard``; its files are
components of type ``file``. What CycloneDX has no field for is in ``properties``, under names that
start with ``modelsec:``. A hash is written only where this library computed it: a claimed one is
a property that says so.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from modelsec.errors import ConfigurationError, shown
from modelsec.provenance.cards.canonical_json import canonical
from modelsec.provenance.cards.card_content import decision_of
from modelsec.provenance.cards.card_view import CardView, ShownCard, view_of
from modelsec.provenance.cards.licences import read_licence
from modelsec.provenance.cards.ml_bom_card import model_card
from modelsec.signing.moments import rfc3339
from modelsec.version import __version__

if TYPE_CHECKING:
    from modelsec.provenance.cards.card_info import CardInfo

SpecVersion = Literal["1.6", "1.7"]
SPEC_VERSIONS = ("1.6", "1.7")

_SERIALS = uuid.UUID("2f0d4a8e-6a3c-5f0b-9a51-3c6f1d7b8e42")
_MODEL = "model"


def card_to_ml_bom(
    card: ShownCard,
    *,
    spec_version: SpecVersion = "1.6",
    serial: uuid.UUID | None = None,
    now: datetime | None = None,
) -> dict[str, object]:
    """Return the card as a CycloneDX document, JSON-ready.

    Args:
        card: one that was made, or that was read with ``read_card``. What was read does not list
            the files of a folder: their components are missing, their tree digest is there.
        spec_version: ``1.6`` or ``1.7``.
        serial: of this document; default: derived from the card's digest, so that the same card
            gives the same document.
        now: its timestamp (aware); default: when the card was made.

    Raises:
        ConfigurationError: it is no card, another version, or what is no UUID or no time.
    """
    if spec_version not in SPEC_VERSIONS:
        raise ConfigurationError(
            f"CycloneDX {shown(spec_version)} is not written here: {' or '.join(SPEC_VERSIONS)}"
        )
    if serial is not None and not isinstance(serial, uuid.UUID):
        raise ConfigurationError(f"the serial number must be a UUID, not {shown(serial)}")
    view = view_of(card)
    number = serial or uuid.uuid5(_SERIALS, view.digest)
    moment = view.content["created_at"] if now is None else rfc3339(now)
    files = _files(view)
    document: dict[str, object] = {
        "$schema": f"http://cyclonedx.org/schema/bom-{spec_version}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": spec_version,
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        "metadata": {
            "timestamp": moment,
            "tools": {
                "components": [{"type": "application", "name": "modelsec", "version": __version__}]
            },
            "component": _model(view),
        },
        "components": files,
        "dependencies": [
            {"ref": _MODEL, "dependsOn": [file["bom-ref"] for file in files]},
            *({"ref": file["bom-ref"]} for file in files),
        ],
    }
    return document


def ml_bom_json(document: Mapping[str, object]) -> str:
    """Return a document as text."""
    canonical(document)  # refuses what is no JSON
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _model(view: CardView) -> dict[str, object]:
    info = view.info
    model: dict[str, object] = {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": info.name,
        "version": info.version,
    }
    if info.description:
        model["description"] = info.description
    if info.supplier:
        model["supplier"] = {"name": info.supplier}
    if info.contacts:
        model["authors"] = [
            {"name": one.name, **({"email": one.email} if one.email else {})}
            for one in info.contacts
        ]
    if view.content["sha256_of"] == "file":
        model["hashes"] = [_hash(str(view.content["sha256_computed"]))]
    if info.license is not None:
        model["licenses"] = [_licence(info.license)]
    if info.tags:
        model["tags"] = list(info.tags)
    if info.base_models:
        model["pedigree"] = {
            "ancestors": [
                {"type": "machine-learning-model", "name": name} for name in info.base_models
            ]
        }
    if _is_url(info.source):
        model["externalReferences"] = [{"type": "distribution", "url": info.source}]
    model["modelCard"] = model_card(info)
    model["properties"] = [{"name": name, "value": value} for name, value in _properties(view)]
    return model


def _files(view: CardView) -> list[dict[str, object]]:
    return [
        {
            "type": "file",
            # Numbered: a reference is for machines, the name is what a stranger chose.
            "bom-ref": f"file:{number}",
            "name": resource.name,
            "hashes": [_hash(resource.digest.hex())],
        }
        for number, resource in enumerate(view.files)
    ]


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _licence(name: str) -> dict[str, object]:
    licence = read_licence(name)
    # An expression, not an id: the list of ids in a schema is older than that of SPDX.
    return {"expression": licence.name} if licence.spdx else {"license": {"name": licence.name}}


def _is_url(text: str) -> bool:
    from modelsec.provenance.cards.card_fields import is_url  # noqa: PLC0415 - pydantic, for cards only

    return is_url(text)


def _properties(view: CardView) -> list[tuple[str, str]]:
    info = view.info
    review = view.review
    claim = "tree-digest" if view.content["sha256_of"] == "tree" else "sha256"
    decision = decision_of(view.decided, view.digest)
    told: dict[str, object] = {
        "modelsec:card:digest": view.digest,
        f"modelsec:claimed:{claim}": info.hash,
        **_said(info),
        "modelsec:check:hash-verified": review["hash_verified"],
        "modelsec:check:hash-verified-because": review["hash_verified_because"],
        "modelsec:check:format-safe": review["format_safe"],
        "modelsec:check:format-safe-because": review["format_safe_because"],
        **{f"modelsec:approval:{key}": value for key, value in decision.items()},
    }
    for receipt in view.receipts:
        told |= {
            f"modelsec:receipt:{receipt['check']}:{key}": receipt[key] for key in sorted(receipt)
        }
    return [(name, _value(value)) for name, value in told.items() if value is not None]


def _said(info: "CardInfo") -> dict[str, object]:
    """Return what the maker says and CycloneDX has no field for."""
    names = (
        *("format", "source", "training_date", "training_data_description", "library"),
        *("reviewer", "review_date", "vuln_scan_result", "out_of_scope", "hyperparameters"),
        *("languages", "validation", "metric_rationale", "human_oversight", "monitoring"),
        *("cybersecurity", "risk_management", "lifecycle_changes", "standards"),
        *("declaration_of_conformity", "post_market_monitoring", "environmental_impact"),
    )
    said = {f"modelsec:claimed:{name.replace('_', '-')}": getattr(info, name) for name in names}
    return {name: value for name, value in said.items() if value not in (None, (), {})}


def _value(value: object) -> str:
    if isinstance(value, str):
        return value
    return canonical(value).decode()
