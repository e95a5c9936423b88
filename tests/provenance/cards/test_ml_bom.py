import datetime as dt
import hashlib
import json
import uuid
from functools import cache
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given

from modelsec.errors import ConfigurationError
from modelsec.provenance.cards.card import ModelCard, make_card
from modelsec.provenance.cards.ml_bom import SPEC_VERSIONS, SpecVersion, card_to_ml_bom, ml_bom_json
from tests.provenance.cards.samples import FULL, INFOS, LESSON, NOW, folder_of_weights, weights


@cache
def validator(version: SpecVersion) -> JsonStrictValidator:
    return JsonStrictValidator(SchemaVersion[f"V{version.replace('.', '_')}"])


def checked(card: ModelCard, version: SpecVersion = "1.6") -> dict[str, object]:
    """Return a document that the schema accepts."""
    text = ml_bom_json(card_to_ml_bom(card, spec_version=version))
    error = validator(version).validate_str(text)
    assert error is None, repr(error)
    document: dict[str, object] = json.loads(text)
    return document


def properties(document: dict[str, object]) -> dict[str, str]:
    component = document["metadata"]["component"]  # type: ignore[index,call-overload]
    return {entry["name"]: entry["value"] for entry in component["properties"]}


@pytest.mark.parametrize("version", SPEC_VERSIONS)
@pytest.mark.parametrize("info", [LESSON, FULL], ids=["lesson", "full"])
def test_the_schema_accepts_it(version: SpecVersion, info: dict[str, object]) -> None:
    """The lesson's keys and every field give a document that is strictly valid."""
    checked(make_card(info, now=NOW), version)


@given(info=INFOS)
def test_whatever_may_stand_in_a_card_is_valid(info: dict[str, object]) -> None:
    """There is no information that a card takes and the schemas refuse."""
    card = make_card(info, now=NOW)
    for version in SPEC_VERSIONS:
        checked(card, version)  # type: ignore[arg-type]


def test_the_validator_can_refuse() -> None:
    """The oracle of these tests does notice a wrong word."""
    document = card_to_ml_bom(make_card(FULL, now=NOW))
    document["metadata"]["component"]["modelCard"]["modelParameters"]["approach"] = {"type": "x"}  # type: ignore[index]
    assert validator("1.6").validate_str(json.dumps(document)) is not None


def test_the_model_card() -> None:
    """What the maker says stands where the standard has a place for it."""
    component = checked(make_card(FULL, now=NOW))["metadata"]["component"]  # type: ignore[index,call-overload]
    card = component["modelCard"]
    assert component["type"] == "machine-learning-model"
    assert component["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
    assert card["modelParameters"]["approach"] == {"type": "supervised"}
    assert [one["name"] for one in card["modelParameters"]["datasets"]] == [
        "example/films",
        "Private reviews",
    ]
    first = card["quantitativeAnalysis"]["performanceMetrics"][0]
    assert first == {
        "type": "accuracy",
        "value": "0.93",
        "slice": "example/films / test",
        "confidenceInterval": {"lowerBound": "0.9", "upperBound": "0.95"},
    }
    energy = card["considerations"]["environmentalConsiderations"]["energyConsumptions"]
    assert energy[0]["energyProviders"][0]["organization"] == {"name": "Wind Ltd"}
    assert energy[1]["energyProviders"] == []
    assert component["pedigree"]["ancestors"][0]["name"] == "example/bert-small"


def test_a_claimed_hash_is_no_hash(tmp_path: Path) -> None:
    """``hashes`` holds only what was computed; a claim is a property that says so."""
    claimed = checked(make_card(LESSON, now=NOW))
    assert "hashes" not in claimed["metadata"]["component"]  # type: ignore[index,operator,call-overload]
    assert properties(claimed)["modelsec:claimed:sha256"] == LESSON["hash"]
    assert "modelsec:check:hash-verified" not in properties(claimed)
    path = weights(tmp_path / "m.safetensors")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    computed = checked(make_card(LESSON, now=NOW, path=path))
    component = computed["metadata"]["component"]  # type: ignore[index,call-overload]
    assert component["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert properties(computed)["modelsec:check:hash-verified"] == "false"
    assert properties(computed)["modelsec:receipt:hash:digest"] == digest
    assert properties(computed)["modelsec:approval:approved"] == "false"


def test_every_file_is_a_component(tmp_path: Path) -> None:
    """A folder is listed file by file, with the SHA-256 of each."""
    folder = folder_of_weights(tmp_path / "model")
    document = checked(make_card(LESSON, now=NOW, path=folder), "1.7")
    listed = {
        file["name"]: file["hashes"][0]["content"]
        for file in document["components"]  # type: ignore[attr-defined]
    }
    assert listed == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("config.json", "model.safetensors", "sub/more.safetensors")
    }
    assert document["dependencies"][0]["dependsOn"] == ["file:0", "file:1", "file:2"]  # type: ignore[index]


def test_it_is_reproducible() -> None:
    """The same card gives the same bytes; serial number and time can be given."""
    card = make_card(LESSON, now=NOW)
    assert ml_bom_json(card_to_ml_bom(card)) == ml_bom_json(
        card_to_ml_bom(make_card(LESSON, now=NOW))
    )
    other = make_card({**LESSON, "version": "2"}, now=NOW)
    assert card_to_ml_bom(card)["serialNumber"] != card_to_ml_bom(other)["serialNumber"]
    serial = uuid.UUID(int=7)
    later = card_to_ml_bom(card, serial=serial, now=NOW + dt.timedelta(days=1))
    assert later["serialNumber"] == f"urn:uuid:{serial}"
    assert later["metadata"]["timestamp"] == "2026-03-05T05:06:07Z"  # type: ignore[index]


@pytest.mark.parametrize(
    "options",
    [
        {"spec_version": "1.5"},
        {"spec_version": None},
        {"serial": "1"},
        {"now": dt.datetime(2026, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"now": 3},
    ],
)
def test_wrong_arguments(options: dict[str, object]) -> None:
    """Other versions, serial numbers and times are refused by type."""
    with pytest.raises(ConfigurationError):
        card_to_ml_bom(make_card(LESSON, now=NOW), **options)  # type: ignore[arg-type]
