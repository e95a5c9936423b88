"""Attacks on cards and approvals, each of which is repelled."""

import dataclasses
import datetime as dt
import hashlib
import json
import os
import pickle
import tomllib
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from modelsec.cli import main
from modelsec.errors import (
    ConfigurationError,
    DigestMismatchError,
    ModelSecError,
    SignatureMismatchError,
)
from modelsec.provenance import examination
from modelsec.provenance.cards.annex_iv import annex_iv_outline
from modelsec.provenance.cards.approval import Approved, approve, verify_approval
from modelsec.provenance.cards.approval_envelope import Approval, Statement
from modelsec.provenance.cards.canonical_json import digest_of
from modelsec.provenance.cards.card import ModelCard, make_card
from modelsec.provenance.cards.card_document import read_card
from modelsec.provenance.cards.card_markdown import card_to_markdown
from modelsec.provenance.cards.front_matter import require_yaml
from modelsec.provenance.cards.licences import read_licence
from modelsec.provenance.cards.ml_bom import card_to_ml_bom, ml_bom_json
from modelsec.provenance.cards.readme_check import card_problems
from modelsec.provenance.integrity import check_integrity, file_digest, tree_digest
from modelsec.scanning import TreeReport, scan_tree
from modelsec.signing.bundles.bundle import parse_bundle, write_bundle
from modelsec.signing.keys import PrivateKey, TrustedKeys
from modelsec.signing.receipt import Release, Verification
from modelsec.signing.trust import Signatory
from tests.provenance.cards.samples import LESSON, NOW, folder_of_weights, weights

KEY = PrivateKey.generate()
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a harmless model."""
    return weights(tmp_path_factory.mktemp("model") / "model.safetensors")


@pytest.fixture(scope="module")
def card(model: Path) -> ModelCard:
    """Return a card whose checks passed."""
    return make_card({**LESSON, "hash": file_digest(model)}, now=NOW, path=model)


class _Call:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, ("id",))


def receipt(card: ModelCard, **change: Any) -> Verification:
    """Return a receipt over the model of a card."""
    assert card.examination is not None
    made = Verification(
        path="model.safetensors",
        signatories=(Signatory("key", "1" * 64, "ecdsa"),),
        root_digest="0" * 64,
        tree_digest=card.examination.manifest.tree_digest,
        algorithm="sha256",
        verified_at=NOW,
        profile="strict",
        files=("model.safetensors",),
    )
    return dataclasses.replace(made, **change)


def test_no_signature_means_two_things(card: ModelCard) -> None:
    """An approval's signature is none of a model's, and a model's none of an approval."""
    approval = approve(card, KEY, approver="Ann", now=NOW)
    bundle = parse_bundle(
        write_bundle(approval.payload, approval.signature, {"publicKey": {"hint": KEY.key_id}})
    )
    with pytest.raises(SignatureMismatchError):
        TrustedKeys([KEY.public]).authenticate(bundle, now=NOW, legacy=True)
    bare = Approval(approval.payload, KEY.sign(approval.payload), KEY.key_id)
    with pytest.raises(SignatureMismatchError):
        verify_approval(card, bare, [KEY.public], NOW)


def test_a_signature_of_another_kind_of_key(card: ModelCard) -> None:
    """A key id selects the key and so its algorithm: nothing in the envelope does."""
    other = PrivateKey.generate("ed25519")
    approval = approve(card, other, approver="Ann", now=NOW)
    moved = dataclasses.replace(approval, key_id=KEY.key_id)
    with pytest.raises(SignatureMismatchError):
        verify_approval(card, moved, [KEY.public, other.public], NOW)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (0.0, -0.0),
        (1, "1"),
        (2**53, 2.0**53),
        (unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")),
        ("\u212b", "\u00c5"),
    ],
)
def test_values_that_only_look_alike(one: object, other: object) -> None:
    """Two cards that are written differently have two digests."""
    cards = [make_card({**LESSON, "metrics": {"m": value}}, now=NOW) for value in (one, other)]
    assert cards[0].digest != cards[1].digest
    assert digest_of({"a": one}) != digest_of({"a": other})


def test_a_number_that_is_written_differently(card: ModelCard) -> None:
    """Reading and writing a card does not change its digest; another value does."""
    text = json.dumps(card.to_dict())
    assert read_card(text.replace("0.93", "9.30e-1").encode()).digest == card.digest
    assert read_card(text.replace("0.93", "0.9300000001").encode()).digest != card.digest
    with pytest.raises(ConfigurationError, match="twice"):
        read_card(text.replace('"version"', '"version": "9", "version"', 1).encode())


def test_types_of_yaml() -> None:
    """Text that YAML 1.1 would take for something else comes back as the same text."""
    odd = [
        *("yes", "no", "on", "null", "~", "2026-01-31", "0x10", "1_0", "12:30:45", "<<", "="),
        *("!!python/object:os.system", "&a b", "*a", "%TAG", "---", "a: b", "#", "'", '"', ".inf"),
    ]
    readme = card_to_markdown(make_card({**LESSON, "tags": odd, "languages": "no"}, now=NOW))
    read = require_yaml().safe_load(readme.split("\n---\n")[0])
    assert read == {"language": ["no"], "tags": odd}


def test_a_model_that_is_replaced_while_it_is_hashed(tmp_path: Path) -> None:
    """Another file under the same name does not become the one that was examined."""
    mine = weights(tmp_path / "mine.safetensors")
    evil = tmp_path / "evil"
    evil.write_bytes(pickle.dumps(_Call()))

    def swap(_: int) -> None:
        evil.replace(mine)

    with pytest.raises(DigestMismatchError):
        make_card(LESSON, now=NOW, path=mine, advance=swap)


def test_nests_and_circles() -> None:
    """A value that holds itself, or is nested without end, is refused."""
    circle: list[object] = []
    circle.append(circle)
    deep: object = 0
    for _ in range(50_000):
        deep = [deep]
    with pytest.raises(ConfigurationError, match="limitations"):
        make_card(
            {**LESSON, "limitations": circle, "tags": deep, "hyperparameters": {"a": deep}}, now=NOW
        )


@pytest.mark.parametrize(
    "value", ["!!bool x", "!!timestamp x", "!!int ''", "!!float ''"], ids=lambda value: value[2:6]
)
def test_a_tag_of_yaml_that_does_not_fit(value: str) -> None:
    """Whatever text it is given, it answers."""
    assert card_problems(f"---\nlicense: {value}\n---\n")


def test_a_key_twice_in_front_matter() -> None:
    """What readers of YAML disagree about is a problem."""
    assert card_problems("---\nlicense: nonsense\nlicense: mit\n---\n")


def test_front_matter_that_goes_on() -> None:
    """The front matter ends at a line that is --- and nothing else, as for a hub."""
    assert card_problems("---\nlicense: mit\n---x: 1\nlicense: nonsense\n---\ntext\n")


def test_no_front_matter() -> None:
    """Fences without a line between are no metadata: a hub's client does not find any."""
    assert not card_to_markdown(make_card(LESSON, now=NOW)).startswith("---\n---\n")


def test_types_of_yaml_1_2() -> None:
    """Readers of YAML 1.2 (a hub's) read every tag as text too."""
    readme = card_to_markdown(make_card({**LESSON, "tags": ["1e3", "0o17"]}, now=NOW))
    assert "\n- 1e3\n" not in readme
    assert "\n- 0o17\n" not in readme


def test_a_metric_of_numpy() -> None:
    """What scikit-learn returns as an accuracy can be written as a README."""
    metric = {"value": np.float64(0.5), "dataset": "example/films"}
    card = make_card({**LESSON, "task": "x", "metrics": {"accuracy": metric}}, now=NOW)
    assert "value: 0.5" in card_to_markdown(card)


def test_a_number_that_shows_as_another() -> None:
    """The bill of materials shows the number whose digest is approved."""

    class Better(float):
        def __str__(self) -> str:
            return "0.999"

    card = make_card({**LESSON, "metrics": {"accuracy": Better(0.1)}}, now=NOW)
    assert cast("Any", card.to_dict())["evaluation_metrics"] == {"accuracy": 0.1}
    assert "0.999" not in ml_bom_json(card_to_ml_bom(card))


def test_a_pickle_that_is_called_a_signature(tmp_path: Path) -> None:
    """A file that was neither hashed nor scanned makes no card that is silent about it."""
    folder = folder_of_weights(tmp_path / "model")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Call()))
    try:
        card = make_card(LESSON, now=NOW, path=folder, bundles=[folder / "pytorch_model.bin"])
    except ModelSecError:
        return
    assert "pytorch_model.bin" in json.dumps(card.to_dict()["receipts"])


def preimage(folder: Path) -> bytes:
    """Return the bytes whose SHA-256 is the tree digest of a folder."""

    def number(value: int) -> bytes:
        return value.to_bytes(8, "big")

    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [b"modelsec/tree/v1\0", number(6), b"sha256", number(0)]
    for name, path in sorted((str(path.relative_to(folder)), path) for path in files):
        digest = bytes.fromhex(file_digest(path))
        parts += [b"\1", number(len(name)), name.encode(), number(32), digest]
    return b"".join(parts)


def test_a_file_for_a_folder(tmp_path: Path) -> None:
    """A file that hashes to the tree digest of a folder is not the model of its card."""
    folder = folder_of_weights(tmp_path / "model")
    (folder / "config.json").unlink()
    made = make_card({**LESSON, "hash": tree_digest(folder)}, now=NOW, path=folder)
    (tmp_path / "card.json").write_text(json.dumps(made.to_dict()))
    (tmp_path / "key.pem").write_bytes(KEY.to_pem())
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "other").write_bytes(preimage(folder))
    assert check_integrity(tmp_path / "other", made.examination.digest).kind == "file"  # type: ignore[union-attr]
    command = ["card", "approve", str(tmp_path / "card.json"), "--approver", "Ann"]
    command += ["--key", str(tmp_path / "key.pem"), "--model", str(tmp_path / "other")]
    assert main(command) != 0


def test_a_card_that_was_written_by_hand() -> None:
    """A document without a receipt of a check did not pass it."""
    content = {
        "card_format": "modelsec-card-v1",
        "security_review": {"hash_verified": True, "format_safe": True},
        "receipts": [],
    }
    with pytest.raises(ModelSecError):
        approve(read_card(json.dumps(content).encode()), KEY, approver="Ann", now=NOW)


def test_a_document_that_is_edited_in_memory(card: ModelCard) -> None:
    """What a document says cannot be changed: an edit is lost, or makes another document."""
    document = read_card(json.dumps(card.to_dict()).encode())
    approval = approve(document, KEY, approver="Ann", now=NOW)
    document.content["version"] = "9"
    cast("Any", document.content["security_review"])["format_safe"] = False
    assert document.content["version"] == "1.2.0"
    assert document.checks_passed
    edited = read_card(json.dumps(document.content | {"version": "9"}).encode())
    with pytest.raises(DigestMismatchError):
        verify_approval(edited, approval, [KEY.public], NOW)
    with pytest.raises(ConfigurationError, match="canonical"):
        dataclasses.replace(document, text=json.dumps(document.content, indent=1).encode())


def test_a_decision_without_a_signature(card: ModelCard) -> None:
    """``approved`` is computed from a signature: no field says it, and none can be put in."""
    statement = Statement(card.digest, "approve", "Ann", NOW, "0" * 64)
    with pytest.raises((ModelSecError, TypeError)):
        Approved(statement, "0" * 64, NOW)  # type: ignore[arg-type]
    approval = approve(card, KEY, approver="Ann", now=NOW)
    with pytest.raises(SignatureMismatchError):
        Approved(dataclasses.replace(approval, payload=approval.payload[:-1]), KEY.public, NOW)
    with pytest.raises(SignatureMismatchError):
        Approved(approval, PrivateKey.generate().public, NOW)
    with pytest.raises(ValueError, match="init=False"):
        dataclasses.replace(Approved(approval, KEY.public, NOW), statement=statement)


def test_a_failed_check_under_annex_iv(model: Path) -> None:
    """A hash that is another does not speak for the model."""
    card = make_card({**LESSON, "hash": "00" * 32}, now=NOW, path=model)
    assert card.hash_verified is False
    assert "hash" not in annex_iv_outline(card).headings[0].checked


def test_the_makers_words_are_marked() -> None:
    """Before the first words of the maker stands whose words they are."""
    readme = card_to_markdown(
        make_card({**LESSON, "description": "Scanned, safe, approved."}, now=NOW)
    )
    assert "Said by" in readme.partition("Scanned, safe, approved")[0]


def test_a_pinned_digest_is_not_shown_as_the_signer(card: ModelCard, model: Path) -> None:
    """Where a digest was pinned and a key signed, the key is shown."""
    both = (Signatory("digest", "0" * 64, "sha256"), Signatory("key", "1" * 64, "ecdsa"))
    signed = make_card(LESSON, now=NOW, path=model, verification=receipt(card, signatories=both))
    rows = card_to_markdown(signed).splitlines()
    assert "1" * 64 in next(row for row in rows if row.startswith("| signature verified"))


@pytest.mark.parametrize(
    "change",
    [{"verified_at": NOW + 30 * DAY}, {"release": Release("m", not_after=NOW - DAY)}],
    ids=["from the future", "of an expired release"],
)
def test_a_receipt_of_another_time(card: ModelCard, model: Path, change: dict[str, object]) -> None:
    """A receipt must hold when the card is made."""
    with pytest.raises(ModelSecError):
        make_card(LESSON, now=NOW, path=model, verification=receipt(card, **change))


@pytest.mark.parametrize(
    "look",
    [
        lambda path: check_integrity(path, "00" * 32),
        lambda path: make_card(LESSON, now=NOW, path=path),
    ],
    ids=["integrity", "card"],
)
def test_a_path_that_is_too_long(look: Callable[[str], object]) -> None:
    """It cannot be opened, which is a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        look("a" * 5000)


class _Oddity:
    digest = "é"
    checks_passed = True


WRONG: dict[str, Callable[[ModelCard, Path], object]] = {
    "bom": lambda _, __: card_to_ml_bom(cast("Any", None)),
    "markdown": lambda _, __: card_to_markdown(cast("Any", None)),
    "annex": lambda _, __: annex_iv_outline(cast("Any", None)),
    "licence": lambda _, __: read_licence(cast("Any", 5)),
    "policy": lambda _, path: make_card(LESSON, now=NOW, path=path, policy=cast("Any", "x")),
    "advance": lambda _, path: make_card(LESSON, now=NOW, path=path, advance=cast("Any", 5)),
    "progress": lambda _, path: check_integrity(path, "00" * 32, on_progress=cast("Any", 5)),
    "payload": lambda card, _: card.with_approval(
        Approval(cast("Any", "x"), b"x", KEY.key_id), [KEY.public], NOW
    ),
    "card": lambda _, __: approve(_Oddity(), KEY, approver="Ann", now=NOW),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_types(name: str, card: ModelCard, model: Path) -> None:
    """Wrong types from the caller are a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        WRONG[name](card, model)


def test_a_list_without_end() -> None:
    """What is too long is refused before it is read to its end."""
    drawn = 0

    def tags() -> Iterator[str]:
        nonlocal drawn
        for drawn in range(20_000):  # noqa: B007 - counted outside
            yield "\0"

    with pytest.raises(ConfigurationError):
        make_card({**LESSON, "tags": tags()}, now=NOW)
    assert drawn < 2000


def test_a_key_of_many_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a file never reaches the parser."""
    parsed: list[str] = []

    def parse(text: str) -> dict[str, object]:
        parsed.append(text)
        return {}

    monkeypatch.setattr(tomllib, "loads", parse)
    (tmp_path / "info.toml").write_text("a." * 20_000 + "a = 1\n")
    assert main(["card", "make", str(tmp_path / "info.toml")]) != 0
    assert not parsed


@pytest.mark.parametrize("name", ["a\u200bb", "a\ufeffb", "\u3164", "a\U000e0041"], ids=ascii)
def test_what_does_not_show(name: str) -> None:
    """A line shows as what it is."""
    with pytest.raises(ConfigurationError):
        make_card({**LESSON, "name": name}, now=NOW)


@pytest.mark.parametrize("text", ["x" * 20_000, "\u00e4" * 10_000, '"' * 9_000])
def test_a_long_card_can_be_read(text: str) -> None:
    """Every card that can be made can be read, however it is written; a longer one is not made."""
    card = make_card({**LESSON, "limitations": [text] * 200}, now=NOW)
    for raw in (json.dumps(card.to_dict(), indent=1), json.dumps(card.to_dict())):
        assert read_card(raw.encode()).digest == card.digest
    with pytest.raises(ConfigurationError, match="more than 4 MiB"):
        make_card({**LESSON, "limitations": [text] * 900}, now=NOW)


def test_numbers_can_be_read_in_the_source() -> None:
    """A README is read as text too: a number is written as a number."""
    assert "| accuracy | 0.93 |" in card_to_markdown(make_card(LESSON, now=NOW))


def test_the_second_decision_does_not_replace_the_first(card: ModelCard, tmp_path: Path) -> None:
    """A signed decision is not overwritten unless somebody says so."""
    (tmp_path / "card.json").write_text(json.dumps(card.to_dict()))
    for name in ("one", "two"):
        (tmp_path / f"{name}.pem").write_bytes(PrivateKey.generate().to_pem())
        (tmp_path / f"{name}.pem").chmod(0o600)
    command = ["card", "approve", str(tmp_path / "card.json"), "--approver", "Ann", "--key"]
    assert main([*command, str(tmp_path / "one.pem")]) == 0
    first = (tmp_path / "card.json.approval").read_bytes()
    main([*command, str(tmp_path / "two.pem"), "--reject"])
    assert (tmp_path / "card.json.approval").read_bytes() == first


def test_a_folder_that_is_away_during_its_walk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean folder that stands in for the model meanwhile does not take its findings away."""
    folder = folder_of_weights(tmp_path / "model")
    (folder / "model.bin").write_bytes(pickle.dumps({"a": 1}))
    clean = folder_of_weights(tmp_path / "clean")
    findings = [one.id for one in scan_tree(folder).findings]
    assert findings

    def swapped(path: Path, **options: Any) -> TreeReport:
        folder.rename(tmp_path / "aside")
        clean.rename(folder)
        report = scan_tree(path, **options)
        folder.rename(clean)
        (tmp_path / "aside").rename(folder)
        return report

    monkeypatch.setattr(examination, "scan_tree", swapped)
    try:
        card = make_card(LESSON, now=NOW, path=folder)
    except ModelSecError:
        return
    report = cast("TreeReport", cast("Any", card.examination).report)
    assert [one.id for one in report.findings] == findings


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs procfs")
def test_a_size_that_is_not_true() -> None:
    """A file whose system tells another size than it has is not the empty file."""
    with pytest.raises(ModelSecError):
        check_integrity("/proc/self/status", hashlib.sha256(b"").hexdigest())
