import dataclasses
import datetime as dt
import hashlib
import json
import os
import pickle
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    DigestMismatchError,
    MalformedArtifactError,
    UnsafeArtifactError,
    UnsafeTreeError,
    VerificationError,
)
from modelsec.provenance import examination as examining
from modelsec.provenance.cards.canonical_json import canonical
from modelsec.provenance.cards.card import ModelCard, make_card
from modelsec.provenance.cards.card_document import read_card
from modelsec.provenance.cards.card_info import CardInfo
from modelsec.provenance.cards.comparison import compare_with_model
from modelsec.provenance.examination import examine_model
from modelsec.scanning import Limits, Verdict
from modelsec.signing import PrivateKey, TrustedKeys, Verifier, sign
from modelsec.signing.hashing.survey import survey
from modelsec.signing.manifest import Layout
from modelsec.signing.profile import STRICT
from modelsec.signing.receipt import Release, Verification
from modelsec.signing.trees.tree import open_tree
from modelsec.signing.trust import Signatory
from tests.provenance.cards.samples import FULL, INFOS, LESSON, NOW, folder_of_weights, weights

HOSTILE = b"\x80\x02cos\nsystem\nX\x0a\x00\x00\x00echo inert\x85R."


def review(card: ModelCard) -> dict[str, Any]:
    return cast("dict[str, Any]", card.to_dict()["security_review"])


def receipts(card: ModelCard) -> dict[str, dict[str, Any]]:
    listed = cast("list[dict[str, Any]]", card.to_dict()["receipts"])
    return {one["check"]: one for one in listed}


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verified(path: Path, **changes: object) -> Verification:
    """Return the receipt that a verifier gives of this model."""
    with open_tree(path, profile=STRICT) as tree:
        manifest = survey(tree, Layout()).manifest
    receipt = Verification(
        path=str(path),
        signatories=(Signatory("key", "ab" * 32, "ecdsa-p256-sha256"),),
        root_digest=manifest.root_digest,
        tree_digest=manifest.tree_digest,
        algorithm="sha256",
        verified_at=NOW,
        profile="strict",
        files=manifest.names,
        release=Release("sentiment", serial=3),
    )
    return dataclasses.replace(receipt, **changes)  # type: ignore[arg-type]


def test_the_lessons_keys() -> None:
    """Every key of the lesson's card is there, and says no more than is known."""
    card = make_card(LESSON, now=NOW).to_dict()
    assert card["model_name"] == "sentiment"
    assert card["version"] == "1.2.0"
    assert card["sha256"] == LESSON["hash"]
    assert card["format"] == ".safetensors"
    assert card["source"] == LESSON["source"]
    assert card["training_date"] == "2026-01-15"
    assert card["training_data"] == "Reviews of films."
    assert card["evaluation_metrics"] == {"accuracy": 0.93, "f1": 0.91}
    assert card["known_limitations"] == ["English only"]
    asked = {"reviewed_by", "review_date", "format_safe", "hash_verified", "vulnerability_scan"}
    assert asked <= card["security_review"].keys()  # type: ignore[attr-defined]
    decision = cast("dict[str, Any]", card["deployment_approval"])
    assert decision["approved"] is False
    assert decision["approver"] is None
    assert decision["conditions"]


def test_nothing_is_said_that_was_not_checked() -> None:
    """Without a file there is no check, no receipt, and a reason for each."""
    card = make_card(LESSON, now=NOW)
    assert card.hash_verified is None
    assert card.format_safe is None
    assert not card.checks_passed
    assert card.to_dict()["receipts"] == []
    assert review(card)["hash_verified_because"].startswith("not checked")
    assert review(card)["format_safe_because"].startswith("not checked")
    assert review(card)["vulnerability_scan"] == {
        "reported_by_caller": "pending",
        "scanned_here": None,
    }


def test_what_the_caller_reports_is_the_callers() -> None:
    """A reported scan is labelled as reported; it makes nothing safe."""
    told = review(make_card(FULL, now=NOW))
    assert told["vulnerability_scan"]["reported_by_caller"] == "clean, says our other scanner"
    assert told["vulnerability_scan"]["scanned_here"] is None
    assert told["format_safe"] is None
    assert set(told["reported_by_caller"]) == {"reviewed_by", "review_date"}


def test_a_checked_file(tmp_path: Path) -> None:
    """The hash is verified by hashing, the format by a scan of the same bytes."""
    path = weights(tmp_path / "model.safetensors")
    info = {**LESSON, "hash": digest_of(path).upper()}
    card = make_card(info, now=NOW, path=path)
    assert card.hash_verified is True
    assert card.format_safe is True
    assert card.checks_passed
    assert receipts(card).keys() == {"hash", "scan"}
    hashed, scanned = receipts(card)["hash"], receipts(card)["scan"]
    assert hashed["digest"] == scanned["digest"] == digest_of(path)
    assert hashed["kind"] == "file"
    assert hashed["time"] == "2026-03-04T05:06:07Z"
    assert scanned["verdict"] == "data_only"
    assert len(scanned["policy_digest"]) == 64
    assert str(tmp_path) not in json.dumps(card.to_dict())


def test_another_file(tmp_path: Path) -> None:
    """If the bytes are not the claimed ones, their scan says nothing about the claimed model."""
    path = weights(tmp_path / "model.safetensors")
    card = make_card(LESSON, now=NOW, path=path)
    assert card.hash_verified is False
    assert card.format_safe is None
    assert digest_of(path) in review(card)["hash_verified_because"]
    assert "not the model with the claimed hash" in review(card)["format_safe_because"]
    assert card.to_dict()["sha256"] == LESSON["hash"]


def test_no_claimed_hash(tmp_path: Path) -> None:
    """Without a claim there is nothing to verify: the computed digest is not "verified"."""
    path = weights(tmp_path / "model.safetensors")
    info = {key: value for key, value in LESSON.items() if key != "hash"}
    card = make_card(info, now=NOW, path=path)
    assert card.to_dict()["sha256"] == digest_of(path)
    assert card.hash_verified is None
    assert card.format_safe is True
    assert not card.checks_passed
    assert make_card(info, now=NOW).to_dict()["sha256"] is None


def test_a_hostile_file(tmp_path: Path) -> None:
    """The name and the claimed format decide nothing."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(HOSTILE)
    card = make_card({**LESSON, "hash": digest_of(path)}, now=NOW, path=path)
    assert card.hash_verified is True
    assert card.format_safe is False
    assert receipts(card)["scan"]["verdict"] == "dangerous"
    assert receipts(card)["scan"]["formats"] == ["pickle"]
    assert receipts(card)["scan"]["findings"]


def test_no_scan(tmp_path: Path) -> None:
    """A scan that was not asked for is not claimed."""
    path = weights(tmp_path / "model.safetensors")
    card = make_card({**LESSON, "hash": digest_of(path)}, now=NOW, path=path, scan=False)
    assert card.hash_verified is True
    assert card.format_safe is None
    assert receipts(card).keys() == {"hash"}


def test_limits_make_it_unsafe(tmp_path: Path) -> None:
    """A scan that a limit stopped is not safe."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps([[[1]]]))
    info = {**LESSON, "hash": digest_of(path)}
    card = make_card(info, now=NOW, path=path, limits=Limits(opcodes=1))
    assert card.format_safe is False
    assert receipts(card)["scan"]["coverage"] == "incomplete"


def test_a_folder(tmp_path: Path) -> None:
    """Every file is hashed and scanned; the digest is the one that signatures are over."""
    folder = folder_of_weights(tmp_path / "model")
    digest = verified(folder).tree_digest
    card = make_card({**LESSON, "hash": digest}, now=NOW, path=folder)
    assert card.hash_verified is True
    assert card.format_safe is True
    assert receipts(card)["hash"]["kind"] == card.to_dict()["sha256_of"] == "tree"
    assert receipts(card)["hash"]["files"] == 3
    (folder / "sub" / "code.py").write_text("import os")
    worse = examine_model(folder)
    assert worse.report is not None
    assert worse.report.verdict is Verdict.UNKNOWN
    assert "MS-DIR-006" in {finding.id for finding in worse.report.findings}  # type: ignore[union-attr]


def test_files_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a scan reads beside a file comes from the same tree, and never from outside."""
    folder = folder_of_weights(tmp_path / "model")
    weights(tmp_path / "outside.safetensors")
    scan = examining.scan
    seen: dict[str, bytes | None] = {}

    def curious(file: object, **options: Any) -> object:
        beside = options["siblings"]
        if options["name"] == "sub/more.safetensors":
            for name in ("more.safetensors", "config.json", "missing"):
                source = beside.open(name)
                seen[name] = source and source.read(0, source.size)
            for name in ("../config.json", "..", "/etc/passwd", "a//b", "a\\b", "a\0", ""):
                with pytest.raises(UnsafeArtifactError):
                    beside.open(name)
        return scan(cast("Any", file), **options)

    monkeypatch.setattr(examining, "scan", curious)
    (folder / "sub" / "config.json").write_text("[]")
    assert examine_model(folder).kind == "tree"
    assert seen["more.safetensors"] == (folder / "sub" / "more.safetensors").read_bytes()
    assert seen["config.json"] == b"[]"
    assert seen["missing"] is None


def test_a_file_beside_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan of one file that read another one is void if that other one was changed."""
    folder = folder_of_weights(tmp_path / "model")
    scan = examining.scan

    def swapped(file: object, **options: Any) -> object:
        if options["name"] == "model.safetensors":
            source = options["siblings"].open("config.json")
            (folder / "config.json").write_text('{"a": 2}')
            with pytest.raises(MalformedArtifactError, match="changed"):
                source.read(0, source.size)
        return scan(cast("Any", file), **options)

    monkeypatch.setattr(examining, "scan", swapped)
    with pytest.raises(DigestMismatchError):
        examine_model(folder)


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails is told by type."""

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    path = weights(tmp_path / "model.safetensors")
    monkeypatch.setattr("modelsec.provenance.hashed_file.os.pread", broken)
    with pytest.raises(ConfigurationError, match="Input/output error"):
        examine_model(path)


def test_an_odd_folder(tmp_path: Path) -> None:
    """A link in the folder is refused: the digest could not cover it."""
    folder = folder_of_weights(tmp_path / "model")
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(UnsafeTreeError):
        make_card(LESSON, now=NOW, path=folder)


def test_bytes_that_change_between_hash_and_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is written to after it was hashed is not scanned as if nothing had happened."""
    path = tmp_path / "model.pkl"
    good = pickle.dumps(["good"] * 30)
    path.write_bytes(good)
    scan = examining.scan

    def swapped(file: object, **options: object) -> object:
        times = path.stat()
        with path.open("r+b") as other:
            other.write(HOSTILE)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        return scan(file, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(examining, "scan", swapped)
    with pytest.raises(DigestMismatchError, match="changed while it was examined"):
        make_card(LESSON, now=NOW, path=path)


def test_bytes_that_change_back_after_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even bytes that are put back before anybody looks again get past."""
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "model.pkl"
    path.write_bytes(HOSTILE)
    scan = examining.scan

    def swapped(file: object, **options: object) -> object:
        with path.open("r+b") as other:
            other.write(pickle.dumps([1]).ljust(len(HOSTILE), b"\0")[: len(HOSTILE)])
        try:
            return scan(file, **options)  # type: ignore[arg-type]
        finally:
            path.write_bytes(HOSTILE)

    monkeypatch.setattr(examining, "scan", swapped)
    for what in (path, folder):
        with pytest.raises(DigestMismatchError):
            examine_model(what)


def test_a_signature(tmp_path: Path) -> None:
    """A receipt enters the card if it is of the very tree that was read."""
    folder = folder_of_weights(tmp_path / "model")
    receipt = verified(folder)
    card = make_card(LESSON, now=NOW, path=folder, verification=receipt)
    signed = receipts(card)["signature"]
    assert signed["tree_digest"] == receipts(card)["hash"]["tree_digest"]
    assert signed["signatories"][0]["key_id"] == "ab" * 32
    assert signed["release"] == {"name": "sentiment", "serial": 3}


def test_a_real_signature(tmp_path: Path) -> None:
    """From signing to the card: the verifier's receipt, beside the model and inside it."""
    folder = folder_of_weights(tmp_path / "model")
    key = PrivateKey.generate()
    trust = TrustedKeys([key.public])
    for bundle in (tmp_path / "model.sig", folder / "model.sig"):
        sign(folder, key, signature=bundle)
        receipt = Verifier(trust, clock=lambda: NOW).verify(folder, bundle)
        card = make_card(
            LESSON, now=NOW, path=folder, verification=receipt, bundles=[folder / "model.sig"]
        )
        assert card.signed
        assert receipts(card)["signature"]["signatories"][0]["key_id"] == key.key_id


def test_a_pinned_digest_is_no_signature(tmp_path: Path) -> None:
    """Who pins a digest has signed nothing: the receipt is called what it is."""
    path = weights(tmp_path / "model.safetensors")
    pinned = verified(path, signatories=(Signatory("digest", "ab" * 32, "sha256"),))
    card = make_card(LESSON, now=NOW, path=path, verification=pinned)
    assert not card.signed
    assert "signature" not in receipts(card)
    assert "pinned digest" in receipts(card)


def test_a_signature_of_one_file(tmp_path: Path) -> None:
    """The same for a model that is one file, whatever its folder is called."""
    path = weights(tmp_path / "model.safetensors")
    card = make_card(LESSON, now=NOW, path=path, verification=verified(path))
    assert receipts(card)["signature"]["profile"] == "strict"


def test_a_signature_of_another_model(tmp_path: Path) -> None:
    """A receipt of something else is refused, and so is one of what was there before."""
    folder = folder_of_weights(tmp_path / "model")
    receipt = verified(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(DigestMismatchError, match="another model"):
        make_card(LESSON, now=NOW, path=folder, verification=receipt)


def test_receipts_that_cannot_be_compared(tmp_path: Path) -> None:
    """No path, a part of the files, another algorithm, no receipt at all."""
    path = weights(tmp_path / "model.safetensors")
    for given_path, receipt in (
        (None, verified(path)),
        (path, verified(path, partial=True)),
        (path, verified(path, algorithm="blake3")),
        (path, {"verified": True}),
    ):
        with pytest.raises(ConfigurationError):
            make_card(LESSON, now=NOW, path=given_path, verification=receipt)  # type: ignore[arg-type]


def test_nobody_can_claim_a_check() -> None:
    """The words that only a check may write are refused, with a hint."""
    for key in ("hash_verified", "verified", "format_safe", "approved", "receipts"):
        with pytest.raises(ConfigurationError, match="only of what was checked"):
            make_card({**LESSON, key: True}, now=NOW)


def test_every_fault_is_listed() -> None:
    """One message names all that is wrong."""
    info = {
        **LESSON,
        "name": "two\nlines",
        "hash": "ab" * 16,
        "metrics": {"accuracy": float("nan"), "f1": 10**5000, "auc": True},
        "licence": "MIT",
        "energy": [{"activity": "cooking", "kwh": -1}],
    }
    del info["version"]
    with pytest.raises(ConfigurationError) as caught:
        CardInfo.read(info)
    message = str(caught.value)
    for said in (
        "name:",
        "version: Field required",
        "hash:",
        "metrics.accuracy.value",
        "metrics.f1.value",
        "metrics.auc.value",
        "did you mean license?",
        "energy.[0].activity",
        "energy.[0].kwh: negative",
    ):
        assert said in message


HOSTILE_VALUES: list[object] = [
    None,
    3,
    b"bytes",
    "",
    " padded ",
    "a\0b",
    "\ud800",
    "\u202eevil",
    "\x1b[2J",
    "x" * 30_000,
    float("inf"),
    10**400,
    [[]],
    {"a": {}},
    {1: 2},
    object(),
    [None],
    ["ok", 3],
]


@pytest.mark.parametrize("field", sorted(CardInfo.model_fields))
def test_hostile_values(field: str) -> None:
    """Every field refuses what it cannot hold, with an error of ours, or holds it unchanged."""
    deep: object = []
    for _ in range(50_000):
        deep = [deep]
    for value in [*HOSTILE_VALUES, deep]:
        try:
            card = make_card({**FULL, field: value}, now=NOW)
        except ConfigurationError as error:
            assert len(str(error)) < 10_000  # noqa: PT017 - the message's length is the fact
        else:
            json.dumps(card.to_dict(), allow_nan=False).encode()


@pytest.mark.parametrize(
    "info", [None, 3, "text", [], b"", {1: 2}, {f"k{n}": n for n in range(100_000)}]
)
def test_no_information(info: object) -> None:
    """What is no mapping of strings is refused; a huge one at once."""
    with pytest.raises(ConfigurationError):
        make_card(info, now=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", " padded", "white space"),
        ("name", "a\tb", "printable"),
        ("description", " \n ", "empty"),
        ("metrics", {"a": "x" * 400}, "300 characters"),
        ("metrics", {"a": ""}, "300 characters"),
        ("metrics", {"a": {"value": 1, "lower": 2, "upper": 1}}, "ends before it starts"),
        ("contacts", [{"name": "A", "email": "a@@b"}], "no e-mail address"),
        ("datasets", [{"name": "A", "url": "javascript:alert(1)"}], "no http or https URL"),
        ("datasets", [{"name": "A", "url": "https://a.org/ b"}], "no http or https URL"),
        ("hyperparameters", {"lr": float("inf")}, "no finite number"),
        ("approach", "magic", "self-supervised"),
    ],
)
def test_what_a_field_cannot_hold(field: str, value: object, said: str) -> None:
    """The message says what is wrong with the value."""
    with pytest.raises(ConfigurationError, match=said):
        CardInfo.read({**LESSON, field: value})


def test_what_a_field_may_hold() -> None:
    """Other scripts, Windows line ends, and what has been read already."""
    told = {**LESSON, "name": "模型 \N{ROCKET}", "description": "a\r\nb"}
    info = CardInfo.read(told)
    assert info.name == "模型 \N{ROCKET}"
    assert info.description == "a\nb"
    assert CardInfo.read(info) is info


@pytest.mark.parametrize("bundles", ["model.sig", None, 3, [3], [""]])
def test_bundles_are_a_list(bundles: object, tmp_path: Path) -> None:
    """A single path is no list of its letters."""
    path = weights(tmp_path / "model.safetensors")
    with pytest.raises(ConfigurationError):
        make_card(LESSON, now=NOW, path=path, bundles=bundles)  # type: ignore[arg-type]


@pytest.mark.parametrize("now", [None, 0, "now", dt.datetime(2026, 1, 1)])  # noqa: DTZ001 - naive
def test_no_time(now: object) -> None:
    """The time is the caller's to give, and must be aware."""
    with pytest.raises(ConfigurationError):
        make_card(LESSON, now=now)  # type: ignore[arg-type]


def test_time_beyond_the_calendar() -> None:
    """A time that UTC has no date for is refused by type."""
    with pytest.raises(ConfigurationError, match=r"calendar|years 1 to 9999"):
        make_card(LESSON, now=dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=5))))


@pytest.mark.parametrize(
    ("given_name", "read"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("(mit OR apache-2.0) AND gpl-3.0-only", "(MIT OR Apache-2.0) AND GPL-3.0-only"),
        ("Llama3.1", "llama3.1"),
        ("LicenseRef-ours", "LicenseRef-ours"),
        ("nonsense-license", None),
        ("other", None),
        ("MIT OR", None),
        ("((((", None),
        ("MIT\nMIT", None),
        ("LicenseRef-ü", None),
        ("MIT " * 200, None),
    ],
)
def test_licences(given_name: str, read: str | None) -> None:
    """A licence is one that SPDX or the Hub lists, or is named as one's own."""
    if read is None:
        with pytest.raises(ConfigurationError, match="license"):
            CardInfo.read({**LESSON, "license": given_name})
    else:
        assert CardInfo.read({**LESSON, "license": given_name}).license == read


@given(info=INFOS)
def test_a_card_is_json(info: dict[str, object]) -> None:
    """Whatever may stand in a card is JSON, and reading it back gives the same digest."""
    card = make_card(info, now=NOW)
    document = read_card(json.dumps(card.to_dict(), indent=1).encode())
    assert document.digest == card.digest
    assert document.checks_passed is card.checks_passed is False


def test_the_digest_is_over_everything(tmp_path: Path) -> None:
    """Any other information, check or time is another card."""
    path = weights(tmp_path / "model.safetensors")
    cards = [
        make_card(LESSON, now=NOW),
        make_card({**LESSON, "limitations": []}, now=NOW),
        make_card({**LESSON, "tags": ["x"]}, now=NOW),
        make_card(LESSON, now=NOW + dt.timedelta(seconds=1)),
        make_card(LESSON, now=NOW, path=path, scan=False),
        make_card(LESSON, now=NOW, path=path),
        make_card(LESSON, now=NOW, path=path, verification=verified(path)),
    ]
    assert len({card.digest for card in cards}) == len(cards)
    assert make_card(LESSON, now=NOW).digest == cards[0].digest


@given(raw=st.binary(max_size=200))
def test_no_card(raw: bytes) -> None:
    """What is no card is refused by type."""
    with pytest.raises(ConfigurationError):
        read_card(raw)


def test_the_model_of_a_document(tmp_path: Path) -> None:
    """A card names the model that it is about: the computed digest, else the claimed one."""
    path = weights(tmp_path / "model.safetensors")
    for card, digest in (
        (make_card(LESSON, now=NOW, path=path), digest_of(path)),
        (make_card(LESSON, now=NOW), LESSON["hash"]),
    ):
        assert read_card(json.dumps(card.to_dict()).encode()).model_digest == digest
    nameless = {key: value for key, value in LESSON.items() if key != "hash"}
    document = read_card(json.dumps(make_card(nameless, now=NOW).to_dict()).encode())
    with pytest.raises(ConfigurationError):
        _ = document.model_digest
    with pytest.raises(ConfigurationError, match="no card"):
        read_card(b'{"model_name": "x"}')


def test_what_is_no_json() -> None:
    """A digest is over JSON only."""
    deep: object = []
    for _ in range(100_000):
        deep = [deep]
    for value in (object(), float("nan"), "\ud800", {1: {2}}, deep):
        with pytest.raises(ConfigurationError):
            canonical(value)


def reviewed(**change: object) -> dict[str, object]:
    review = cast("dict[str, object]", make_card(LESSON, now=NOW).to_dict()["security_review"])
    return {"security_review": review | change}


@pytest.mark.parametrize(
    "change",
    [
        {"security_review": {"hash_verified": "true", "format_safe": 1}},
        reviewed(hash_verified="true"),
        reviewed(hash_verified=True),
        reviewed(format_safe=True),
        reviewed(format_safe=0),
        reviewed(more=1),
        {"security_review": []},
        {"receipts": {}},
        {"receipts": [{}]},
        {"receipts": [{"check": "signature", "tree_digest": "00" * 32}]},
        {"details": {"name": "other"}},
        {"details": {"unheard-of": 1}},
        {"model_name": "\u202e"},
        {"model_name": None},
        {"sha256_of": "file"},
        {"sha256_computed": "00" * 32},
        {"sha256": "00" * 32},
        {"more": 1},
    ],
    ids=str,
)
def test_a_forged_document(change: dict[str, object]) -> None:
    """Words without receipts, odd types and unknown keys are no card."""
    content = make_card(LESSON, now=NOW).to_dict() | change
    with pytest.raises(ConfigurationError, match="no card"):
        read_card(json.dumps(content).encode())


def test_a_claimed_decision() -> None:
    """A decision in the file counts for nothing, and that it was there is known."""
    content = make_card(LESSON, now=NOW).to_dict()
    assert not read_card(json.dumps(content).encode()).claimed_approval
    content["deployment_approval"] = {"approved": True}
    document = read_card(json.dumps(content).encode())
    assert document.claimed_approval
    assert not document.approved
    assert "deployment_approval" not in document.content


@pytest.mark.parametrize(
    "change",
    [
        {"check": "scan", "digest": "00" * 32},
        {"check": "scan", "safe": "yes"},
        {"check": "scan", "safe": False},
        {"check": "hash", "kind": "tree"},
        {"check": "hash", "kind": "pipe"},
        {"check": "hash", "digest": "00" * 32},
        {"check": "hash", "tree_digest": "00" * 32},
        {"check": "hash", "check_": "magic"},
        {"check": "signature", "signatories": []},
        {"check": "signature", "signatories": [{"method": "digest"}]},
        {"check": "signature", "signatories": [{"method": "key"}], "tree_digest": 3},
    ],
    ids=str,
)
def test_receipts_that_do_not_fit(tmp_path: Path, change: dict[str, object]) -> None:
    """Receipts are of one model, and say what the card says."""
    path = weights(tmp_path / "model.safetensors")
    info = {**LESSON, "hash": digest_of(path)}
    card = make_card(info, now=NOW, path=path, verification=verified(path))
    content = cast("Any", card.to_dict())
    assert read_card(json.dumps(content).encode()).checks_passed
    receipt = next(one for one in content["receipts"] if one["check"] == change["check"])
    receipt |= {key.rstrip("_"): value for key, value in change.items()}
    with pytest.raises(ConfigurationError, match="no card"):
        read_card(json.dumps(content).encode())


def test_when_checks_passed(tmp_path: Path) -> None:
    """A safe scan, and a claimed hash or a signature; a failed claim outweighs a signature."""
    path = weights(tmp_path / "model.safetensors")
    unclaimed = {key: value for key, value in LESSON.items() if key != "hash"}
    claimed = {**LESSON, "hash": digest_of(path)}
    receipt = verified(path)
    pinned = verified(path, signatories=(Signatory("digest", "ab" * 32, "sha256"),))
    for info, scanned, verification, passed in (
        (claimed, True, None, True),
        (claimed, False, None, False),
        (unclaimed, True, None, False),
        (unclaimed, True, receipt, True),
        (unclaimed, False, receipt, False),
        (unclaimed, True, pinned, False),
        (LESSON, True, receipt, False),
    ):
        card = make_card(info, now=NOW, path=path, scan=scanned, verification=verification)
        document = read_card(json.dumps(card.to_dict()).encode())
        assert card.checks_passed is document.checks_passed is passed
        assert document.info == card.info


@pytest.mark.parametrize(
    "release",
    [Release("other"), Release("sentiment", version="9.9")],
    ids=["name", "version"],
)
def test_a_signature_for_another_release(tmp_path: Path, release: Release) -> None:
    """The receipt's release is that of the card."""
    path = weights(tmp_path / "model.safetensors")
    with pytest.raises(VerificationError, match="the signature is for"):
        make_card(LESSON, now=NOW, path=path, verification=verified(path, release=release))


def test_bundles_inside_the_model(tmp_path: Path) -> None:
    """What is left out is a bundle, and the card lists it with its digest."""
    folder = folder_of_weights(tmp_path / "model")
    sign(folder, PrivateKey.generate(), signature=folder / "model.sig")
    bundles = [folder / "model.sig", tmp_path / "none.sig"]
    card = make_card(LESSON, now=NOW, path=folder, bundles=bundles)
    left_out = receipts(card)["hash"]["left_out"]
    assert left_out == [{"name": "model.sig", "sha256": digest_of(folder / "model.sig")}]
    for content in (b"{}", b"", HOSTILE):
        (folder / "model.sig").write_bytes(content)
        with pytest.raises(BundleFormatError, match=r"model\.sig"):
            make_card(LESSON, now=NOW, path=folder, bundles=bundles)


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (Fraction(1, 2), 0.5),
    ],
)
def test_numbers_of_others(given_value: object, kept: float) -> None:
    """What numpy returns becomes Python's own number."""
    metric = CardInfo.read({**LESSON, "metrics": {"a": given_value}}).metrics["a"].value
    assert metric == kept
    assert type(metric) is type(kept)


@pytest.mark.parametrize(
    "value", [np.bool_(1), np.nan, np.ones(1), Fraction(10**400), 1j, Decimal(1)], ids=str
)
def test_no_numbers(value: object) -> None:
    """Truth values, arrays, and what is too large are none."""
    with pytest.raises(ConfigurationError):
        CardInfo.read({**LESSON, "metrics": {"a": value}})


def test_text_that_shows_as_another() -> None:
    """Text is kept as the text that it is."""

    class Better(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "better"

    info = CardInfo.read({**LESSON, "name": Better("worse"), "metrics": {"a": Better("b")}})
    assert f"{info.name} {info.metrics['a'].value}" == "worse b"
    assert type(info.name) is type(info.metrics["a"].value) is str


def test_odd_names_in_a_folder(tmp_path: Path) -> None:
    """Both walks call a file the same, whatever its name; what is git's is not scanned by name."""
    folder = folder_of_weights(tmp_path / "model")
    for name in ("ü模型.txt", "x" * 250, "a b", "'", '"', "a:b"):
        (folder / name).write_text(name)
    long = folder / ("d" * 200) / ("e" * 200)
    long.mkdir(parents=True)
    for name in ("one", "two"):
        (long / name).write_text(name)
    (folder / "sub" / ".git").mkdir()
    (folder / "sub" / ".git" / "HEAD").write_text("ref: refs/heads/main")
    assert len(examine_model(folder).manifest.names) == 12
    assert examine_model(folder, limits=Limits(members=3)).report is not None


def test_comparing_a_card_with_a_model(tmp_path: Path) -> None:
    """A card that was read is about one model, of one kind."""
    folder = folder_of_weights(tmp_path / "model")
    card = make_card(LESSON, now=NOW, path=folder)
    document = read_card(json.dumps(card.to_dict()).encode())
    assert compare_with_model(document, folder).digest == document.model_digest
    assert compare_with_model(document, folder, scanned=False).report is None
    (folder / "config.json").write_text("{}")
    with pytest.raises(DigestMismatchError, match="is not the model of this card"):
        compare_with_model(document, folder)
    with pytest.raises(ConfigurationError):
        compare_with_model(document, tmp_path / "missing")
