import base64
import dataclasses
import datetime as dt
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    DigestMismatchError,
    SignatureMismatchError,
    StaleModelError,
    UntrustedSignerError,
    VerificationError,
)
from modelsec.provenance.cards.approval import approve, verify_approval
from modelsec.provenance.cards.approval_envelope import PAYLOAD_TYPE, Approval
from modelsec.provenance.cards.canonical_json import canonical
from modelsec.provenance.cards.card import ModelCard, make_card
from modelsec.provenance.cards.card_document import CardDocument, read_card
from modelsec.provenance.integrity import file_digest
from modelsec.signing.bundles.bundle import pae
from modelsec.signing.keys import PrivateKey, TrustedKey, TrustedKeys
from tests.provenance.cards.samples import LESSON, NOW, weights

KEY = PrivateKey.generate()
OTHER = PrivateKey.generate("ed25519")
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """Return a card whose checks passed."""
    path = weights(tmp_path_factory.mktemp("model") / "model.safetensors")
    return make_card({**LESSON, "hash": file_digest(path)}, now=NOW, path=path)


def signed(statement: dict[str, object], key: PrivateKey = KEY) -> Approval:
    """Sign any payload as an approval."""
    payload = canonical(statement)
    return Approval(payload, key.sign(pae(payload, PAYLOAD_TYPE)), key.key_id)


def told(approval: Approval) -> dict[str, object]:
    return cast("dict[str, object]", json.loads(approval.payload))


def test_an_approved_card(card: ModelCard) -> None:
    """A decision by a trusted key over this card is shown with all it says."""
    approval = approve(
        card, KEY, approver="Ann", now=NOW, conditions="behind the gate", not_after=NOW + DAY
    )
    approved = card.with_approval(approval, [KEY.public], NOW)
    assert approved.approved
    assert not card.approved
    decision = cast("dict[str, Any]", approved.to_dict()["deployment_approval"])
    assert decision == {
        "approved": True,
        "approver": "Ann",
        "conditions": "behind the gate",
        "card_digest": card.digest,
        "decision": "approve",
        "decided_at": "2026-03-04T05:06:07Z",
        "not_after": "2026-03-05T05:06:07Z",
        "despite": None,
        "key_id": KEY.key_id,
        "signature_verified_at": "2026-03-04T05:06:07Z",
    }
    assert approved.digest == card.digest


def test_a_rejection(card: ModelCard) -> None:
    """A signed no is shown as what it is."""
    approval = approve(card, KEY, approver="Ann", now=NOW, decision="reject")
    rejected = card.with_approval(approval, TrustedKeys([KEY.public]), NOW)
    assert not rejected.approved
    decision = cast("dict[str, Any]", rejected.to_dict()["deployment_approval"])
    assert decision["approved"] is False
    assert decision["decision"] == "reject"
    assert decision["approver"] == "Ann"


def test_an_edited_card_loses_its_approval(card: ModelCard) -> None:
    """Whatever is changed afterwards makes it another card."""
    approval = approve(card, KEY, approver="Ann", now=NOW)
    approved = card.with_approval(approval, [KEY.public], NOW)
    edits: list[dict[str, Any]] = [
        {"info": card.info.model_copy(update={"version": "9"})},
        {"created_at": NOW + DAY},
        {"examination": None},
    ]
    for edit in edits:
        edited = dataclasses.replace(approved, **edit)
        assert not edited.approved
        decision = cast("dict[str, Any]", edited.to_dict()["deployment_approval"])
        assert decision["approved"] is False
        assert decision["approver"] is None
        with pytest.raises(DigestMismatchError):
            edited.with_approval(approval, [KEY.public], NOW)


def test_a_card_in_a_file(card: ModelCard) -> None:
    """The card that is read from its JSON is the one that was approved."""
    document = read_card(json.dumps(card.to_dict(), indent=2).encode())
    approval = approve(document, KEY, approver="Ann", now=NOW)
    assert card.with_approval(approval, [KEY.public], NOW).approved
    assert verify_approval(document, approval, [KEY.public], NOW).approves
    forged = document.content | {"version": "9"}
    with pytest.raises(DigestMismatchError):
        verify_approval(read_card(json.dumps(forged).encode()), approval, [KEY.public], NOW)


def test_a_card_whose_checks_did_not_pass() -> None:
    """It can be approved only by somebody who says why; rejecting needs no reason."""
    unchecked = make_card(LESSON, now=NOW)
    with pytest.raises(ConfigurationError, match="despite"):
        approve(unchecked, KEY, approver="Ann", now=NOW)
    approval = approve(unchecked, KEY, approver="Ann", now=NOW, despite="a demo, offline")
    approved = unchecked.with_approval(approval, [KEY.public], NOW)
    decision = cast("dict[str, Any]", approved.to_dict()["deployment_approval"])
    assert decision["approved"] is True
    assert decision["despite"] == "a demo, offline"
    approve(unchecked, KEY, approver="Ann", now=NOW, decision="reject")
    silent = signed(told(approval) | {"despite": None})
    with pytest.raises(VerificationError, match="nobody says why"):
        unchecked.with_approval(silent, [KEY.public], NOW)


def test_who_is_trusted(card: ModelCard) -> None:
    """Only keys that the caller trusts, and only when they are trusted."""
    approval = approve(card, KEY, approver="Ann", now=NOW)
    for trusted in (
        [OTHER.public],
        [TrustedKey(KEY.public, not_after=NOW - DAY)],
        [TrustedKey(KEY.public, not_before=NOW + DAY)],
        [TrustedKey(KEY.public, revoked=True)],
    ):
        with pytest.raises(UntrustedSignerError):
            card.with_approval(approval, trusted, NOW)
    with pytest.raises(ConfigurationError):
        card.with_approval(approval, [], NOW)
    with pytest.raises(ConfigurationError):
        card.with_approval(approval, None, NOW)  # type: ignore[arg-type]


def test_any_kind_of_key(card: ModelCard) -> None:
    """Ed25519 decides as well as ECDSA."""
    approval = approve(card, OTHER, approver="Bob", now=NOW)
    assert card.with_approval(approval, [KEY.public, OTHER.public], NOW).approved


def test_forgeries(card: ModelCard) -> None:
    """Another payload, another key's id, a signature for another use: none of them fits."""
    approval = approve(card, KEY, approver="Ann", now=NOW)
    changed = told(approval) | {"approver": "Eve"}
    for forged in (
        dataclasses.replace(approval, payload=canonical(changed)),
        dataclasses.replace(approval, payload=approval.payload + b" "),
        dataclasses.replace(approval, signature=approval.signature[:-1]),
        dataclasses.replace(approval, signature=b""),
        dataclasses.replace(approval, signature=KEY.sign(pae(approval.payload))),
        dataclasses.replace(approval, signature=KEY.sign(approval.payload)),
        dataclasses.replace(approval, signature=OTHER.sign(pae(approval.payload, PAYLOAD_TYPE))),
    ):
        with pytest.raises(SignatureMismatchError):
            card.with_approval(forged, [KEY.public, OTHER.public], NOW)


def test_a_statement_for_another_key(card: ModelCard) -> None:
    """The payload names its key; one that was signed again with another key is refused."""
    approval = approve(card, KEY, approver="Ann", now=NOW)
    with pytest.raises(VerificationError, match="another key"):
        card.with_approval(signed(told(approval), OTHER), [OTHER.public], NOW)


def test_expiry(card: ModelCard) -> None:
    """A decision ends when it says so, and does not begin before it was made."""
    approval = approve(card, KEY, approver="Ann", now=NOW, not_after=NOW + DAY)
    assert card.with_approval(approval, [KEY.public], NOW + DAY).approved
    with pytest.raises(StaleModelError, match="expired"):
        card.with_approval(approval, [KEY.public], NOW + DAY + dt.timedelta(seconds=1))
    assert card.with_approval(approval, [KEY.public], NOW - dt.timedelta(minutes=5)).approved
    with pytest.raises(StaleModelError, match="future"):
        card.with_approval(approval, [KEY.public], NOW - dt.timedelta(minutes=6))


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "maybe"},
        {"decision": True},
        {"decision": []},
        {"card": "ab"},
        {"card": None},
        {"card": "AB" * 32},
        {"key_id": 3},
        {"approver": None},
        {"approver": "two\nlines"},
        {"conditions": 3},
        {"despite": "\u202e"},
        {"decided_at": "yesterday"},
        {"decided_at": "2026-02-31T00:00:00Z"},
        {"decided_at": None},
        {"not_after": "2026-03-04T05:06:07+00:00"},
        {"extra": 1},
    ],
    ids=str,
)
def test_odd_but_signed(card: ModelCard, change: dict[str, object]) -> None:
    """What a trusted key signed by mistake is still refused by type."""
    statement = told(approve(card, KEY, approver="Ann", now=NOW)) | change
    with pytest.raises(BundleFormatError):
        card.with_approval(signed(statement), [KEY.public], NOW)


def test_the_round_trip(card: ModelCard) -> None:
    """An approval is the same after it was a file."""
    approval = approve(card, KEY, approver="Änn", now=NOW, conditions="none")
    assert Approval.from_json(approval.to_json()) == approval
    assert Approval.from_json(approval.to_json().encode()) == approval


def test_odd_envelopes(card: ModelCard) -> None:
    """Further keys, several signatures, other encodings and duplicates are refused."""
    text = approve(card, KEY, approver="Ann", now=NOW).to_json()
    envelope = json.loads(text)
    one = envelope["signatures"][0]
    odd: list[object] = [
        envelope | {"more": 1},
        envelope | {"payloadType": "application/vnd.in-toto+json"},
        envelope | {"signatures": []},
        envelope | {"signatures": [one, one]},
        envelope | {"signatures": one},
        envelope | {"signatures": [one | {"cert": ""}]},
        envelope | {"signatures": [one | {"keyid": "x"}]},
        envelope | {"signatures": [one | {"sig": "!"}]},
        envelope | {"signatures": [one | {"sig": 3}]},
        envelope | {"payload": envelope["payload"] + "\n"},
        envelope | {"payload": base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode()},
        envelope | {"payload": "QR=="},
        {key: envelope[key] for key in ("payload", "signatures")},
        [],
        None,
    ]
    raws = [json.dumps(value) for value in odd]
    raws += [text + text, text.replace('"payload"', '"payload":"","payload"', 1), "[" * 10**5, ""]
    raws += [" " * (1 << 20), "\ud800", "NaN"]
    for raw in raws:
        with pytest.raises(BundleFormatError):
            Approval.from_json(raw)


@given(raw=st.binary(max_size=300) | st.text(max_size=300))
def test_no_envelope(raw: bytes | str) -> None:
    """Whatever else is read is refused by type."""
    with pytest.raises(BundleFormatError):
        Approval.from_json(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"approver": ""},
        {"approver": " "},
        {"approver": "a\nb"},
        {"approver": 3},
        {"approver": "x" * 3000},
        {"conditions": ""},
        {"conditions": b"x"},
        {"despite": "\x00"},
        {"decision": "perhaps"},
        {"decision": None},
        {"now": dt.datetime(2026, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"now": 3},
        {"not_after": NOW},
        {"not_after": "tomorrow"},
    ],
    ids=str,
)
def test_wrong_arguments(card: ModelCard, change: dict[str, Any]) -> None:
    """A decision that cannot be signed is the caller's mistake."""
    with pytest.raises(ConfigurationError):
        approve(card, KEY, **({"approver": "Ann", "now": NOW} | change))


def test_what_cannot_decide_or_be_decided(card: ModelCard) -> None:
    """A public key cannot sign; a mapping is no card; a decision may be any object."""
    with pytest.raises(ConfigurationError):
        approve(card, KEY.public, approver="Ann", now=NOW)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        approve(card, KEY, approver="Ann", now=NOW, decision=[])  # type: ignore[arg-type]
    for value in (None, {}, card.to_dict(), "card"):
        with pytest.raises(ConfigurationError):
            approve(value, KEY, approver="Ann", now=NOW)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError):
            verify_approval(
                value,  # type: ignore[arg-type]
                approve(card, KEY, approver="Ann", now=NOW),
                [KEY.public],
                NOW,
            )


def test_no_approval(card: ModelCard) -> None:
    """Only what was read as an approval is verified as one."""
    for value in (None, {}, True, "approved"):
        with pytest.raises(ConfigurationError):
            card.with_approval(value, [KEY.public], NOW)  # type: ignore[arg-type]


def test_a_document_of_another_make() -> None:
    """A hand-made card is none."""
    for text in (b"{}", b"", "text", {}, b'{"security_review":[]}'):
        with pytest.raises(ConfigurationError):
            CardDocument(text)  # type: ignore[arg-type]


def test_several_decisions(card: ModelCard) -> None:
    """The latest decision that holds wins; of two at once the no."""
    trusted = [KEY.public, OTHER.public]
    yes = approve(card, KEY, approver="Ann", now=NOW)
    no = approve(card, OTHER, approver="Bob", now=NOW + DAY, decision="reject")
    again = approve(card, KEY, approver="Ann", now=NOW + 2 * DAY)
    at_once = approve(card, OTHER, approver="Bob", now=NOW, decision="reject")
    later = NOW + 3 * DAY
    assert card.with_approval([yes], trusted, later).approved
    for several in ([yes, no], [no, yes], [yes, at_once], [at_once, yes]):
        assert not card.with_approval(several, trusted, later).approved
    assert card.with_approval((again, no, yes), trusted, later).approved


def test_decisions_that_do_not_count(card: ModelCard) -> None:
    """Others' decisions, expired ones and those about other cards do not; a broken one refuses."""
    other = make_card(LESSON, now=NOW)
    yes = approve(card, KEY, approver="Ann", now=NOW)
    stale = approve(card, KEY, approver="A", now=NOW, decision="reject", not_after=NOW + DAY)
    stranger = approve(card, OTHER, approver="Eve", now=NOW + DAY, decision="reject")
    about = approve(other, KEY, approver="Ann", now=NOW + DAY, decision="reject")
    several = [stale, stranger, about, yes]
    assert card.with_approval(several, [KEY.public], NOW + 2 * DAY).approved
    with pytest.raises(StaleModelError):
        card.with_approval(several[:3], [KEY.public], NOW + 2 * DAY)
    broken = dataclasses.replace(stale, signature=b"x")
    with pytest.raises(SignatureMismatchError):
        card.with_approval([yes, broken], [KEY.public], NOW)
    for wrong in ([], [yes] * 101, [yes, None], {yes}):
        with pytest.raises(ConfigurationError):
            card.with_approval(wrong, [KEY.public], NOW)  # type: ignore[arg-type]


def test_an_environment(card: ModelCard) -> None:
    """A decision that names an environment holds only there; one that names none anywhere."""
    staging = approve(card, KEY, approver="Ann", now=NOW, environment="staging")
    anywhere = approve(card, KEY, approver="Ann", now=NOW)
    approved = card.with_approval(staging, [KEY.public], NOW, environment="staging")
    assert approved.approved
    assert cast("Any", approved.to_dict())["deployment_approval"]["environment"] == "staging"
    for asked in (None, "production"):
        with pytest.raises(UntrustedSignerError, match="environment"):
            card.with_approval(staging, [KEY.public], NOW, environment=asked)
        assert card.with_approval(anywhere, [KEY.public], NOW, environment=asked).approved
    with pytest.raises(ConfigurationError):
        card.with_approval(anywhere, [KEY.public], NOW, environment="")
    with pytest.raises(ConfigurationError):
        approve(card, KEY, approver="Ann", now=NOW, environment="a\nb")


def test_the_label_of_the_key(card: ModelCard) -> None:
    """What the verifier calls a key comes before what its holder says to be called."""
    approval = approve(card, KEY, approver="The board", now=NOW)
    trusted = [TrustedKey(KEY.public, label="Ann's laptop")]
    told = cast("Any", card.with_approval(approval, trusted, NOW).to_dict())["deployment_approval"]
    assert told["key_label"] == "Ann's laptop"
    assert list(told).index("key_label") < list(told).index("approver")
