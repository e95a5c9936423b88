"""OMS v1.0, section 4: the bundle, its method, and the fields of the signature."""

import base64
import json
import re
from typing import Any

import pytest

from modelsec.errors import (
    BundleFormatError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
)
from tests.signing.conformance import spec_signer
from tests.signing.conformance.workbench import Bench, Edit, KeyPair

MEDIA = "application/vnd.dev.sigstore.bundle"


def top(**changes: Any) -> Edit:
    return lambda document: document.update(changes)


def without(*path: str) -> Edit:
    """Remove a member of the bundle."""

    def edit(document: dict[str, Any]) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return edit


def material(**changes: Any) -> Edit:
    return lambda document: document["verificationMaterial"].update(changes)


def envelope(**changes: Any) -> Edit:
    return lambda document: document["dsseEnvelope"].update(changes)


def signature(**changes: Any) -> Edit:
    return lambda document: document["dsseEnvelope"]["signatures"][0].update(changes)


def test_produced_structure(bench: Bench) -> None:
    """4: a bundle MUST follow the Sigstore structure: the three members, and the media type."""
    assert bench.sign() == 0
    document = bench.document()
    assert document.keys() == {"mediaType", "verificationMaterial", "dsseEnvelope"}
    assert document["mediaType"] == f"{MEDIA}.v0.3+json"
    assert document["dsseEnvelope"].keys() == {"payload", "payloadType", "signatures"}
    assert document["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"
    assert len(document["dsseEnvelope"]["signatures"]) == 1


@pytest.mark.parametrize("member", ["mediaType", "verificationMaterial", "dsseEnvelope"])
def test_missing_member(bench: Bench, member: str) -> None:
    """4: without any one of the three it is no bundle."""
    bench.forge(envelope=without(member))
    bench.refused(BundleFormatError, member)


@pytest.mark.parametrize("member", ["payload", "payloadType", "signatures"])
def test_missing_envelope_member(bench: Bench, member: str) -> None:
    """4: ``dsseEnvelope`` is as DSSE defines it: three members, all required."""
    bench.forge(envelope=without("dsseEnvelope", member))
    bench.refused(BundleFormatError, member)


@pytest.mark.parametrize(
    "edit",
    [top(more=1), envelope(more=1), signature(more=1), material(more=1)],
    ids=["bundle", "envelope", "signature", "material"],
)
def test_extra_member(bench: Bench, edit: Edit) -> None:
    """4: the schemas forbid members that the upstream formats do not know."""
    bench.forge(envelope=edit)
    bench.refused(BundleFormatError, "more", oracle=False)


@pytest.mark.parametrize(
    "value", [None, 1, "", [], {}, "application/json"], ids=["null", "1", "''", "[]", "{}", "json"]
)
@pytest.mark.parametrize("member", ["mediaType", "verificationMaterial", "dsseEnvelope"])
def test_wrong_type(bench: Bench, member: str, value: Any) -> None:
    """4: a member of another type, or empty, is refused."""
    bench.forge(envelope=top(**{member: value}))
    wrong_media_type = member == "mediaType" and isinstance(value, str)
    bench.refused(UnsupportedBundleError if wrong_media_type else BundleFormatError)


@pytest.mark.parametrize(
    "value",
    ["", "application/vnd.in-toto", "application/vnd.in-toto+JSON", "application/json", None, 7],
)
def test_wrong_payload_type(bench: Bench, value: Any) -> None:
    """4, 6.7: ``payloadType`` MUST be that of in-toto, even where the signature is over another."""
    key = bench.pair.key
    statement = spec_signer.statement(bench.model)
    kind = value if isinstance(value, str) else "x"
    document = spec_signer.sealed(statement, key, spec_signer.by_hint(key), payload_type=kind)
    document["dsseEnvelope"]["payloadType"] = value
    bench.bundle.write_text(json.dumps(document), "utf-8")
    bench.refused(BundleFormatError, "payloadType")


def test_hint(bench: Bench) -> None:
    """4.1: producers of the key method MUST give ``hint``, a fingerprint in hex."""
    assert bench.sign() == 0
    hint = bench.document()["verificationMaterial"]["publicKey"]
    assert hint.keys() == {"hint"}
    assert re.fullmatch("[0-9a-f]{64}", hint["hint"])
    assert hint == spec_signer.by_hint(bench.pair.key)["publicKey"]


def test_hint_names_another_key(bench: Bench, other_pair: KeyPair) -> None:
    """4.1: the key is identified through the material: a hint of an unknown key is refused."""
    bench.forge(material=spec_signer.by_hint(other_pair.key))
    bench.refused(UntrustedSignerError, oracle=False)


def test_raw_bytes(bench: Bench) -> None:
    """4.1: verifiers SHOULD accept ``rawBytes``, with and without ``keyDetails`` and a hint."""
    brought = spec_signer.by_bytes(bench.pair.key)
    bench.forge(material=brought)
    bench.accepted()
    del brought["publicKey"]["keyDetails"]
    bench.forge(material=brought)
    bench.accepted()
    brought["publicKey"].update(spec_signer.by_hint(bench.pair.key)["publicKey"])
    bench.forge(material=brought)
    bench.accepted()


def test_raw_bytes_of_another_key(bench: Bench, other_pair: KeyPair) -> None:
    """4.1: a key in the bundle never grants trust."""
    bench.forge(material=spec_signer.by_bytes(other_pair.key))
    bench.refused(UntrustedSignerError, oracle=False)


@pytest.mark.parametrize(
    "publicly",
    [{"hint": 1}, {"rawBytes": 1}, {"rawBytes": "%"}, {"hint": None}, [], "x", None],
    ids=str,
)
def test_wrong_public_key(bench: Bench, publicly: Any) -> None:
    """4.1: ``publicKey`` holds texts; anything else is refused."""
    bench.forge(material={"publicKey": publicly})
    bench.refused(BundleFormatError, oracle=False)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"tlogEntries": []},
        {"tlogEntries": [{"logIndex": "1", "logId": {"keyId": "AA=="}}]},
        {"timestampVerificationData": {}},
        {"tlogEntries": [], "timestampVerificationData": {"rfc3161Timestamps": []}},
    ],
    ids=["absent", "empty", "entries", "timestamps", "both"],
)
def test_optional_material_of_a_key(bench: Bench, more: dict[str, Any]) -> None:
    """4.1: log entries and timestamps are optional with a key, and not applicable."""
    bench.forge(envelope=material(**more))
    bench.accepted()


@pytest.mark.parametrize("entries", [None, {}, "x", [1]], ids=str)
def test_wrong_log_entries(bench: Bench, entries: Any) -> None:
    """4.1: ``tlogEntries`` is a list of objects."""
    bench.forge(envelope=material(tlogEntries=entries))
    bench.refused(BundleFormatError, "tlogEntries", oracle=False)


@pytest.mark.parametrize("entries", [{}, {"tlogEntries": []}], ids=["absent", "empty"])
def test_sigstore_needs_log_entries(bench: Bench, entries: dict[str, Any]) -> None:
    """4.1: ``tlogEntries`` of the sigstore method MUST contain at least one entry."""
    bench.forge(material={"certificate": {"rawBytes": "MA=="}, **entries})
    bench.refused(BundleFormatError, "tlogEntries")


@pytest.mark.parametrize(
    "methods",
    [
        {},
        {"tlogEntries": []},
        {"publicKey": {"hint": "00"}, "certificate": {"rawBytes": "MA=="}},
        {"publicKey": {"hint": "00"}, "x509CertificateChain": {"certificates": []}},
    ],
    ids=["none", "entries only", "two", "key and chain"],
)
def test_exactly_one_method(bench: Bench, methods: dict[str, Any]) -> None:
    """4.1: the method determines the material; it is one of three (a oneof in protobuf)."""
    bench.forge(material=methods)
    bench.refused(BundleFormatError, oracle=False)


@pytest.mark.parametrize("keyid", [..., "", None, "anything", "0" * 64], ids=str)
def test_key_id(bench: Bench, keyid: Any) -> None:
    """4.1: ``keyid`` absent, empty or null MUST be accepted, and is not used for verification."""
    bench.forge(envelope=(lambda _: None) if keyid is ... else signature(keyid=keyid))
    bench.accepted()


@pytest.mark.parametrize("keyid", [1, [], {}, True], ids=str)
def test_wrong_key_id(bench: Bench, keyid: Any) -> None:
    """4.1: ``keyid`` is text or null."""
    bench.forge(envelope=signature(keyid=keyid))
    bench.refused(BundleFormatError, "keyid", oracle=False)


@pytest.mark.parametrize("sig", [None, "", 1, "%%%", "MA"], ids=str)
def test_wrong_signature_text(bench: Bench, sig: Any) -> None:
    """4: ``sig`` is base64 text that is not empty."""
    bench.forge(envelope=signature(sig=sig))
    bench.refused(BundleFormatError)


@pytest.mark.parametrize("count", [0, 2])
def test_signatures(bench: Bench, count: int) -> None:
    """4: at least one signature is needed; of several, readers disagree which counts."""
    bench.forge(
        envelope=lambda document: document["dsseEnvelope"].update(
            signatures=document["dsseEnvelope"]["signatures"] * count
        )
    )
    bench.refused(BundleFormatError, f"{count} signatures")


@pytest.mark.parametrize("curve", ["p256", "p384", "p521"])
def test_curves(bench: Bench, pairs: dict[str, KeyPair], curve: str) -> None:
    """4.2: keys on P-256, P-384 and P-521 MUST be supported, to sign and to verify."""
    bench.pair = pairs[curve]
    bench.forge()
    bench.accepted()
    assert bench.sign() == 0
    bench.checked_by_the_oracle()
    bench.accepted()


def test_curve_of_another_key(bench: Bench, pairs: dict[str, KeyPair]) -> None:
    """4.2: a key on another curve verifies nothing, whatever it is named."""
    bench.forge(material={"publicKey": {}})
    bench.pair = pairs["p384"]
    bench.refused(SignatureMismatchError)


@pytest.mark.parametrize("size", [0, 1, 20, 71])
def test_cut_signature(bench: Bench, size: int) -> None:
    """4: a signature that is not one is refused as such, and as nothing else."""
    bench.forge(envelope=signature(sig=base64.b64encode(b"0" * size).decode()))
    bench.refused(BundleFormatError if size == 0 else SignatureMismatchError)
