"""OMS v1.0, sections 8.1 to 8.5: reading, signature, statement, files."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelsec.errors import (
    BundleFormatError,
    DigestMismatchError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
    VerificationError,
)
from tests.signing.conformance import spec_signer
from tests.signing.conformance.workbench import Bench, KeyPair

MEDIA = "application/vnd.dev.sigstore.bundle"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b'"x"',
        b"1",
        b"garbage",
        b"<xml/>",
        b"\x00" * 100,
        b"\xff\xfe{}",
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"mediaType": NaN}',
        b"\x28\xb5\x2f\xfd",
    ],
    ids=lambda raw: ascii(raw[:8]),
)
def test_no_json_and_no_bundle(bench: Bench, raw: bytes) -> None:
    """8.1: the file is parsed as JSON, and is an object with the members of a bundle."""
    bench.bundle.write_bytes(raw)
    bench.refused(BundleFormatError)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.999])
def test_truncated(bench: Bench, share: float) -> None:
    """8.1: a bundle that was cut off is no bundle."""
    bench.forge()
    raw = bench.bundle.read_bytes()
    bench.bundle.write_bytes(raw[: int(len(raw) * share)])
    bench.refused(BundleFormatError)


def test_text_behind(bench: Bench) -> None:
    """8.1: nor is one with something behind it; white space is JSON."""
    bench.forge()
    raw = bench.bundle.read_bytes()
    bench.bundle.write_bytes(b" \r\n\t" + raw + b"\n \n")
    bench.accepted()
    bench.bundle.write_bytes(raw + b"{}")
    bench.refused(BundleFormatError)


def test_duplicate_members(bench: Bench) -> None:
    """8.1: of two members of one name readers take either: refused, outside and inside."""
    bench.forge()
    raw = bench.bundle.read_bytes()
    bench.bundle.write_bytes(b'{"mediaType": "x", ' + raw[1:])
    bench.refused(BundleFormatError, oracle=False)
    statement = spec_signer.statement(bench.model)
    payload = b'{"predicateType": "x", ' + json.dumps(statement).encode()[1:]
    key = bench.pair.key
    document = spec_signer.sealed(payload, key, spec_signer.by_hint(key))
    bench.bundle.write_text(json.dumps(document), "utf-8")
    bench.refused(BundleFormatError, oracle=False)


@pytest.mark.parametrize("kind", [".v0.3+json", *(f"+json;version=0.{n}" for n in (1, 2, 3))])
def test_media_types(bench: Bench, kind: str) -> None:
    """8.1: the current media type, and the older ones that Sigstore asks clients to accept."""
    bench.forge(envelope=lambda d: d.update(mediaType=MEDIA + kind))
    assert bench.verify() == 0


@pytest.mark.parametrize(
    "kind",
    [
        "",
        ".v0.4+json",
        ".v1.0+json",
        ".v0.3",
        ".v0.3+JSON",
        ".v0.3+json ",
        ".v0.3+json\n",
        ".v0.3+json;version=0.3",
        "+json",
        "+json;version=0.4",
        "+json; version=0.1",
        "+json;version=0.10",
        ".V0.3+json",
    ],
    ids=repr,
)
def test_wrong_media_types(bench: Bench, kind: str) -> None:
    """8.1: ``mediaType`` MUST be validated; the schema's pattern alone would pass most of these."""
    bench.forge(envelope=lambda d: d.update(mediaType=MEDIA + kind))
    bench.refused(UnsupportedBundleError, "media type")


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_media_types_that_never_were(bench: Bench, version: str) -> None:
    """8.1: the short spelling came with 0.3; for older versions it is no media type."""
    bench.forge(envelope=lambda d: d.update(mediaType=f"{MEDIA}.v{version}+json"))
    bench.refused(UnsupportedBundleError, "media type")


def test_wrong_key(bench: Bench, other_pair: KeyPair) -> None:
    """8.2: the signature MUST verify with the key given, whatever the bundle names."""
    bench.forge()
    assert bench.verify(pair=other_pair) == 1
    for material in (spec_signer.by_hint(other_pair.key), spec_signer.by_bytes(other_pair.key)):
        bench.forge(material=material)
        assert bench.verify(pair=other_pair) == 1
    own = bench.pair
    bench.pair = KeyPair(other_pair.key, own.private, own.public)
    bench.forge()
    bench.pair = own
    bench.refused(UntrustedSignerError)


def _flip(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(bytes(data)).decode()


def test_tampered_payload(bench: Bench) -> None:
    """8.2: one bit of the payload, or another payload, and the signature does not fit."""
    bench.forge(
        envelope=lambda d: d["dsseEnvelope"].update(payload=_flip(d["dsseEnvelope"]["payload"]))
    )
    bench.refused(SignatureMismatchError)
    first = bench.forge()
    bench.put("config.json", b"changed by somebody without the key")
    second = bench.forge()
    first["dsseEnvelope"]["payload"] = second["dsseEnvelope"]["payload"]
    bench.bundle.write_text(json.dumps(first), "utf-8")
    bench.refused(SignatureMismatchError)


def test_tampered_signature(bench: Bench) -> None:
    """8.2: one bit of the signature, and it does not fit."""

    def edit(document: dict[str, Any]) -> None:
        (entry,) = document["dsseEnvelope"]["signatures"]
        entry["sig"] = _flip(entry["sig"])

    bench.forge(envelope=edit)
    bench.refused(SignatureMismatchError)


@pytest.mark.parametrize("payload", [b"null", b"[]", b"{}", b"x", b"\xff", b"{", b" "], ids=repr)
def test_signed_nonsense(bench: Bench, payload: bytes) -> None:
    """8.3: a payload that is no statement is refused, although it is signed."""
    key = bench.pair.key
    document = spec_signer.sealed(payload, key, spec_signer.by_hint(key))
    bench.bundle.write_text(json.dumps(document), "utf-8")
    bench.refused(BundleFormatError)


def test_the_signature_comes_first(bench: Bench, other_pair: KeyPair) -> None:
    """8.3: the statement is validated after the signature: a stranger's nonsense is his."""
    key = other_pair.key
    document = spec_signer.sealed(b"x", key, spec_signer.by_hint(bench.pair.key))
    bench.bundle.write_text(json.dumps(document), "utf-8")
    bench.refused(SignatureMismatchError)


def test_missing_file(bench: Bench) -> None:
    """8.4(8): every listed file MUST exist."""
    bench.forge()
    (bench.model / "sub" / "adapter.bin").unlink()
    bench.refused(DigestMismatchError, "adapter")
    assert bench.verify("--ignore-unsigned-files") == 1


def _bit(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


@pytest.mark.parametrize(
    "spoil",
    [_bit, lambda c: c[:-1], lambda c: c + b"\0", lambda _: b"", lambda c: c[::-1]],
    ids=["bit", "shorter", "longer", "empty", "reversed"],
)
@pytest.mark.parametrize("shard_size", [None, 100], ids=["files", "shards"])
def test_changed_file(
    bench: Bench, spoil: Callable[[bytes], bytes], shard_size: int | None
) -> None:
    """8.4(8): every hash MUST be that of the manifest."""
    bench.forge(shard_size=shard_size)
    path = bench.model / "weights.bin"
    path.write_bytes(spoil(path.read_bytes()))
    bench.refused(DigestMismatchError, "weights.bin")
    assert bench.verify("--ignore-unsigned-files") == 1


@pytest.mark.parametrize(
    "name", ["injected.bin", "sub/x", "new/x", ".hidden", "model.sig.bak", "~"]
)
def test_extra_file(bench: Bench, name: str) -> None:
    """8.4(9), 8.5: a file that is not listed MUST cause failure, unless all are ignored."""
    bench.forge()
    bench.put(name)
    bench.refused(DigestMismatchError, "not signed")
    assert bench.verify("--ignore-unsigned-files") == 0


def test_extra_folder(bench: Bench) -> None:
    """8.4(9): folders are no files: an empty one disturbs nobody."""
    bench.forge()
    (bench.model / "empty" / "folder").mkdir(parents=True)
    bench.accepted()


def test_replaced_by_another_kind(bench: Bench) -> None:
    """8.4(8): a folder in the place of a file is no file."""
    bench.forge()
    (bench.model / "config.json").unlink()
    (bench.model / "config.json").mkdir()
    bench.refused(DigestMismatchError, "config.json")
    bench.put("config.json/x")
    assert bench.verify("--ignore-unsigned-files") == 1


def test_renamed(bench: Bench) -> None:
    """8.4: the right bytes under another name are one missing and one extra file."""
    bench.forge()
    (bench.model / "config.json").rename(bench.model / "config.jsn")
    bench.refused(DigestMismatchError, "config.js")
    assert bench.verify("--ignore-unsigned-files") == 1


@pytest.mark.parametrize("shard_size", [None, 100], ids=["files", "shards"])
def test_ignore_unsigned(bench: Bench, shard_size: int | None) -> None:
    """8.5: listed files MUST be verified, unlisted ones MUST NOT be the reason of a refusal."""
    bench.forge(shard_size=shard_size)
    for name in ("more", "sub/more", "new/folder/more", ".more", "MORE"):
        bench.put(name)
    assert bench.verify("--ignore-unsigned-files") == 0
    bench.put("sub/adapter.bin", b"changed")
    assert bench.verify("--ignore-unsigned-files") == 1


def test_ignore_unsigned_with_ignored_paths(bench: Bench) -> None:
    """8.5: both options together, as the suite uses them."""
    bench.put("ignore-me")
    assert bench.sign(ignore=[bench.model / "ignore-me"]) == 0
    bench.put("injected.bin")
    assert bench.verify("--ignore-unsigned-files", ignore=[bench.model / "ignore-me"]) == 0
    assert bench.verify("--ignore-unsigned-files") == 0
    assert bench.verify() == 1


def test_model_that_is_not_there(bench: Bench) -> None:
    """8.4(6): there is nothing to list; the exit code is that of wrong usage."""
    bench.forge()
    assert bench.verify(model=bench.folder / "nowhere") == 2
    assert bench.verify(bundle=bench.folder / "nowhere") == 2
    assert bench.sign(model=bench.folder / "nowhere", bundle=bench.folder / "new.sig") == 2
    assert not (bench.folder / "new.sig").exists()


def test_every_byte_of_a_bundle(bench: Bench) -> None:
    """8: whatever one byte of a bundle is changed to, it is refused, or means the same."""
    bench.forge()
    raw = bench.bundle.read_bytes()
    statement = bench.signed()
    for place in range(0, len(raw), 29):
        changed = raw[:place] + bytes([raw[place] ^ 0x10]) + raw[place + 1 :]
        bench.bundle.write_bytes(changed)
        if bench.verify() == 0:
            assert bench.signed() == statement


def test_the_error_is_one_line(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """8.4: a failure is reported: on the error stream, in one line, without a traceback."""
    bench.forge()
    bench.put("config.json", b"")
    assert bench.verify() == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "config.json" in printed.err


def test_vectors(bench: Bench, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """8.1, 8.3: all vectors that must be refused are, each by itself and without a crash."""
    vectors = shared_data / "oms" / "spec" / "test-vectors"
    found = sorted(vectors.glob("invalid*/*.json"))
    assert len(found) == 5
    for vector in found:
        assert bench.verify(bundle=vector) == 1
        assert capsys.readouterr().err.startswith("modelsec: ")


def test_errors_have_one_root() -> None:
    """8: a caller catches one type."""
    for error in (
        BundleFormatError,
        DigestMismatchError,
        SignatureMismatchError,
        UnsupportedBundleError,
        UntrustedSignerError,
    ):
        assert issubclass(error, VerificationError)
