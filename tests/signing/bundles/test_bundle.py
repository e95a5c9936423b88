import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    UnsupportedBundleError,
    VerificationError,
)
from modelsec.signing.bundles.bundle import (
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
    MEDIA_TYPE,
    PAYLOAD_TYPE,
    ChainMaterial,
    KeylessMaterial,
    KeyMaterial,
    pae,
    parse_bundle,
    write_bundle,
)
from modelsec.signing.keys import PrivateKey, TrustedKeys

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = PrivateKey.generate("ecdsa-p256")
TRUST = TrustedKeys([KEY.public])
PAYLOAD = b'{"_type": "https://in-toto.io/Statement/v1"}'
SIGNED = write_bundle(PAYLOAD, KEY.sign(pae(PAYLOAD)), KEY.material())
CERTIFICATE = {"rawBytes": "AAAA"}

Edit = Callable[[dict[str, Any]], object]


def document() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(SIGNED)
    return parsed


def edited(edit: Edit) -> bytes:
    parsed = document()
    edit(parsed)
    return json.dumps(parsed).encode()


def with_material(material: object) -> bytes:
    return edited(lambda d: d.update(verificationMaterial=material))


def envelope(**changes: object) -> Edit:
    return lambda d: d["dsseEnvelope"].update(changes)


def signature(**changes: object) -> Edit:
    return lambda d: d["dsseEnvelope"]["signatures"][0].update(changes)


def test_round_trip() -> None:
    """What is written is read: payload, signature, method; and it verifies."""
    bundle = parse_bundle(SIGNED)
    assert bundle.raw == SIGNED
    assert bundle.payload == PAYLOAD
    assert bundle.material == KeyMaterial(hint=KEY.key_id)
    assert TRUST.authenticate(bundle, now=NOW).key_id == KEY.key_id


def test_writing_is_deterministic() -> None:
    """The same parts give the same bytes, whatever the order of the material's members."""
    parts = {"tlogEntries": [], "publicKey": {"hint": KEY.key_id}}
    assert write_bundle(PAYLOAD, b"s", parts) == write_bundle(PAYLOAD, b"s", KEY.material())
    assert write_bundle(PAYLOAD, b"s", parts).endswith(b"}\n")


def test_the_pre_authentication_encoding() -> None:
    """It is the example of the DSSE specification."""
    assert pae(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


OTHER_VERSIONS = ("v0.1", "v0.2", "v0.4")


@pytest.mark.parametrize(
    "media_type",
    [
        MEDIA_TYPE,
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
    ],
)
def test_media_types(media_type: str) -> None:
    """All versions up to 0.3 are read, each in the notation that Sigstore gave it."""
    parse_bundle(edited(lambda d: d.update(mediaType=media_type)))


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "application/json",
        MEDIA_TYPE + " ",
        *(MEDIA_TYPE.replace("v0.3", v) for v in OTHER_VERSIONS),
    ],
)
def test_other_media_types(media_type: str) -> None:
    """A version that is not known is not guessed at."""
    with pytest.raises(UnsupportedBundleError, match="media type"):
        parse_bundle(edited(lambda d: d.update(mediaType=media_type)))


@pytest.mark.parametrize(
    ("material", "expected"),
    [
        ({"publicKey": {"hint": "ab"}}, KeyMaterial(hint="ab")),
        ({"publicKey": {}}, KeyMaterial()),
        ({"publicKey": {"hint": "", "rawBytes": ""}, "tlogEntries": []}, KeyMaterial()),
        ({"publicKey": {"rawBytes": "AAAA", "keyDetails": "X"}}, KeyMaterial(None, bytes(3))),
        ({"publicKey": {"hint": "ab"}, "tlogEntries": [{"logIndex": "1"}]}, KeyMaterial("ab")),
        (
            {"x509CertificateChain": {"certificates": [CERTIFICATE] * 2}},
            ChainMaterial((bytes(3), bytes(3))),
        ),
        (
            {
                "certificate": CERTIFICATE,
                "tlogEntries": [{}],
                "timestampVerificationData": {"rfc3161Timestamps": []},
            },
            KeylessMaterial(bytes(3)),
        ),
    ],
    ids=range(7),
)
def test_methods(material: object, expected: object) -> None:
    """Each method is told from the others by its own member."""
    assert parse_bundle(with_material(material)).material == expected


@pytest.mark.parametrize("keyid", ["", None, "anything"])
def test_the_key_id_of_the_envelope_is_never_used(keyid: str | None) -> None:
    """It may be anything, or absent: the signature decides."""
    bundle = parse_bundle(edited(signature(keyid=keyid)))
    assert TRUST.authenticate(bundle, now=NOW).key_id == KEY.key_id
    parse_bundle(edited(lambda d: d["dsseEnvelope"]["signatures"][0].pop("keyid")))


BAD_MATERIAL: list[object] = [
    None,
    [],
    {},
    {"tlogEntries": []},
    {"publicKey": None},
    {"publicKey": []},
    {"publicKey": {"hint": 3}},
    {"publicKey": {"hint": None}},
    {"publicKey": {"rawBytes": "A"}},
    {"publicKey": {"rawBytes": "A" * 200_000}},
    {"publicKey": {"hint": "a"}, "certificate": CERTIFICATE},
    {"publicKey": {"hint": "a"}, "x509CertificateChain": {"certificates": [CERTIFICATE]}},
    {"publicKey": {"hint": "a"}, "public_key": {"hint": "b"}},
    {"publicKey": {"hint": "a"}, "tlogEntries": None},
    {"publicKey": {"hint": "a"}, "tlogEntries": [1]},
    {"publicKey": {"hint": "a"}, "timestampVerificationData": []},
    {"x509CertificateChain": {}},
    {"x509CertificateChain": {"certificates": []}},
    {"x509CertificateChain": {"certificates": [{}]}},
    {"x509CertificateChain": {"certificates": [{"rawBytes": ""}]}},
    {"x509CertificateChain": {"certificates": ["AAAA"]}},
    {"x509CertificateChain": {"certificates": [CERTIFICATE] * (MAX_CERTIFICATES + 1)}},
    {
        "x509CertificateChain": {
            "certificates": [
                {"rawBytes": base64.b64encode(bytes(MAX_CERTIFICATE_BYTES + 1)).decode()}
            ]
        }
    },
    {"certificate": CERTIFICATE},
    {"certificate": CERTIFICATE, "tlogEntries": []},
    {"certificate": {}, "tlogEntries": [{}]},
]


@pytest.mark.parametrize("material", BAD_MATERIAL, ids=range(len(BAD_MATERIAL)))
def test_bad_material(material: object) -> None:
    """Two methods, none, wrong types, and what is too large, are refused; on writing, too."""
    with pytest.raises(BundleFormatError):
        parse_bundle(with_material(material))
    with pytest.raises(ConfigurationError, match="do not make a bundle"):
        write_bundle(PAYLOAD, b"s", material)  # type: ignore[arg-type]  # hostile on purpose


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.clear(),
        lambda d: d.update(extra=1),
        lambda d: d.pop("mediaType"),
        lambda d: d.pop("verificationMaterial"),
        lambda d: d.pop("dsseEnvelope"),
        lambda d: d.update(mediaType=3),
        lambda d: d.update(dsseEnvelope=None),
        lambda d: d.update(messageSignature={}),
        envelope(extra=1),
        envelope(payloadType="application/json"),
        envelope(payloadType=PAYLOAD_TYPE + "; charset=utf-8"),
        envelope(payloadType=None),
        envelope(payload=""),
        envelope(payload=None),
        envelope(signatures=[]),
        envelope(signatures=None),
        envelope(signatures={}),
        envelope(signatures=[1]),
        lambda d: d["dsseEnvelope"]["signatures"].append({"sig": "AAAA"}),
        lambda d: d["dsseEnvelope"]["signatures"].insert(0, {"sig": "AAAA"}),
        signature(extra=1),
        signature(keyid=3),
        signature(keyid={}),
        signature(sig=None),
        signature(sig=""),
        signature(sig="A" * 100_000),
        lambda d: d["dsseEnvelope"]["signatures"][0].pop("sig"),
    ],
    ids=range(27),
)
def test_bad_forms(edit: Edit) -> None:
    """Missing and unknown members, wrong types, and any number of signatures but one."""
    with pytest.raises(BundleFormatError):
        parse_bundle(edited(edit))


@pytest.mark.parametrize(
    "text",
    [
        "AAA",
        "AAAA=",
        "AA==AA==",
        "AAAA\n",
        " AAAA",
        "A-/A",
        "AB==",
        "AAB=",
        "====",
        "\u0410AAA",
        "A",
    ],
)
def test_only_one_base64(text: str) -> None:
    """Whitespace, other alphabets, missing padding and loose bits are other readers' bytes."""
    with pytest.raises(BundleFormatError, match="base64"):
        parse_bundle(edited(signature(sig=text)))
    with pytest.raises(BundleFormatError, match="base64"):
        parse_bundle(edited(envelope(payload=text)))


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"x"', b"1", b"true", b"{", None, "{}", 2.5])
def test_not_even_an_object(raw: Any) -> None:
    """Other JSON, other types and garbage are refused alike."""
    with pytest.raises(BundleFormatError):
        parse_bundle(raw)


@pytest.mark.parametrize(
    ("payload", "sig", "material"),
    [
        ("text", b"s", {}),
        (b"p", None, {}),
        (b"", b"s", {"publicKey": {}}),
        (b"p", b"", {"publicKey": {}}),
        (b"p", b"s", {"publicKey": {"hint": b"bytes"}}),
        (b"p", b"s", {"publicKey": {"hint": "\ud800"}}),
        (b"p", b"s", {1: 2, "a": 3}),
        (b"p", b"s", object()),
    ],
    ids=range(8),
)
def test_writing_wrong_parts(payload: Any, sig: Any, material: Any) -> None:
    """A signer that gives something else is told so before a file is written."""
    with pytest.raises(ConfigurationError):
        write_bundle(payload, sig, material)


def test_a_material_that_contains_itself() -> None:
    """A cycle is refused, not followed."""
    cycle: dict[str, object] = {}
    cycle["publicKey"] = cycle
    with pytest.raises(ConfigurationError, match="not JSON"):
        write_bundle(PAYLOAD, b"s", cycle)


def test_a_bundle_does_not_print_its_content() -> None:
    """A payload of megabytes does not end up in a log line."""
    assert "_type" not in repr(parse_bundle(SIGNED))


def test_truncation_at_every_byte() -> None:
    """No prefix is a bundle, but the one that lacks the last line end only."""
    for length in range(len(SIGNED) - 1):
        with pytest.raises(VerificationError):
            parse_bundle(SIGNED[:length])
    assert parse_bundle(SIGNED[:-1]).payload == PAYLOAD


@given(st.data())
def test_mutations_never_change_what_is_verified(data: st.DataObject) -> None:
    """Bytes that are flipped, inserted or cut out never verify another payload."""
    mutated = bytearray(SIGNED)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        cut = data.draw(st.integers(0, 3))
        mutated[place : place + cut] = data.draw(st.binary(max_size=3))
    try:
        bundle = parse_bundle(bytes(mutated))
        TRUST.authenticate(bundle, now=NOW)
    except VerificationError:
        return
    assert bundle.payload == PAYLOAD


@given(st.data())
def test_a_changed_payload_never_verifies(data: st.DataObject) -> None:
    """Nor does it behind perfect base64 and JSON."""
    payload = bytearray(PAYLOAD)
    payload[data.draw(st.integers(0, len(PAYLOAD) - 1))] ^= data.draw(st.integers(1, 255))
    raw = edited(envelope(payload=base64.b64encode(payload).decode()))
    with pytest.raises(VerificationError):
        TRUST.authenticate(parse_bundle(raw), now=NOW, legacy=True)
