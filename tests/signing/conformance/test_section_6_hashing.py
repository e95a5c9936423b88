"""OMS v1.0, sections 6.3 to 6.8 and 7: digests, the subject, and what is signed."""

import base64
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from modelsec.cli import main
from modelsec.errors import (
    BundleFormatError,
    DigestMismatchError,
    SignatureMismatchError,
    UnsupportedBundleError,
)
from tests.signing.conformance import spec_signer
from tests.signing.conformance.workbench import Bench

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


ALGORITHMS = {"sha256": 64, "blake2b": 128, "blake3": 64}


def sign(bench: Bench, *options: str, profile: str = "oms") -> int:
    """Sign with options that the public suite does not know."""
    call = ["sign", str(bench.model), "--key", str(bench.pair.private), "--profile", profile]
    return main([*call, *options])


def entries(bench: Bench) -> list[dict[str, str]]:
    found: list[dict[str, str]] = bench.signed()["predicate"]["resources"]
    return found


@pytest.mark.parametrize(("algorithm", "length"), ALGORITHMS.items())
def test_one_digest_per_file(bench: Bench, algorithm: str, length: int) -> None:
    """6.3.1: each file is one descriptor with the lowercase hex hash of all its bytes."""
    bench.put("empty", b"")
    assert sign(bench, "--algorithm", algorithm) == 0
    assert bench.serialization()["method"] == "files"
    assert bench.serialization()["hash_type"] == algorithm
    for entry in entries(bench):
        assert entry.keys() == {"name", "digest", "algorithm"}
        assert entry["algorithm"] == algorithm
        assert len(entry["digest"]) == length
        content = (bench.model / entry["name"]).read_bytes()
        assert entry["digest"] == spec_signer.digest(content, algorithm).hex()


def test_empty_file(bench: Bench) -> None:
    """6.3.1: a file without bytes is a file, with the hash of nothing."""
    bench.put("empty", b"")
    assert bench.sign() == 0
    assert {"name": "empty", "digest": EMPTY, "algorithm": "sha256"} in entries(bench)
    bench.forge()
    bench.accepted()
    (bench.model / "empty").unlink()
    bench.refused(DigestMismatchError, "empty")


def test_two_files_exchanged(bench: Bench) -> None:
    """6.3.1: a digest belongs to its name."""
    bench.forge()
    one, two = bench.model / "config.json", bench.model / "weights.bin"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    bench.refused(DigestMismatchError, "2 changed")


@pytest.mark.parametrize(
    "spoil",
    [str.upper, lambda d: d[:-2], lambda d: d + "00", lambda d: f"0x{d}", lambda d: f" {d[1:]}"],
    ids=["upper", "short", "long", "0x", "space"],
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_wrong_digest_text(bench: Bench, algorithm: str, spoil: Any) -> None:
    """6.3.1(3), 7: lowercase hex of the algorithm's own length, and nothing else."""

    def edit(statement: dict[str, Any]) -> None:
        entry = statement["predicate"]["resources"][0]
        entry["digest"] = spoil(entry["digest"].replace(entry["digest"][0], "a"))

    bench.forge(edit, algorithm=algorithm)
    bench.refused(BundleFormatError, "hex digits")


def test_subject(bench: Bench) -> None:
    """6.5: exactly one subject; its name is the basename of the model's path."""
    for spelling in (f"{bench.model}", f"{bench.model}/", f"{bench.model}/sub/.."):
        assert bench.sign(model=spelling) == 0
        (subject,) = bench.signed()["subject"]
        assert subject["name"] == "model"
        assert subject["digest"].keys() == {"sha256"}


def test_subject_of_the_working_folder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """6.5: ``.`` has a basename, too: that of the folder that it means."""
    monkeypatch.chdir(bench.model)
    assert bench.sign(model=".") == 0
    assert bench.signed()["subject"][0]["name"] == "model"


def test_subject_of_a_link(bench: Bench) -> None:
    """6.5: producers MUST use the basename of the model's path, also where that is a link."""
    link = bench.folder / "release"
    link.symlink_to(bench.model)
    assert bench.sign(model=link) == 0
    assert bench.signed()["subject"][0]["name"] == "release"


@pytest.mark.parametrize("count", [0, 2])
def test_number_of_subjects(bench: Bench, count: int) -> None:
    """6.5: ``subject`` MUST contain exactly one entry."""
    bench.forge(lambda s: s.update(subject=s["subject"] * count))
    bench.refused(BundleFormatError, f"{count} subjects")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("options", [[], ["--shards", "100"]], ids=["files", "shards"])
def test_root_digest(bench: Bench, algorithm: str, options: list[str]) -> None:
    """6.5.1: SHA-256 over the raw digests in order, whatever the files are hashed with."""
    assert sign(bench, "--algorithm", algorithm, *options) == 0
    joined = b"".join(bytes.fromhex(entry["digest"]) for entry in entries(bench))
    assert bench.signed()["subject"][0]["digest"] == {"sha256": sha256(joined).hexdigest()}


@pytest.mark.parametrize(
    "digest",
    [{}, {"sha512": "00"}, {"sha256": "0" * 64}, {"sha256": ""}, {"sha256": "0" * 63}, None, []],
    ids=str,
)
def test_wrong_root_digest(bench: Bench, digest: Any) -> None:
    """6.5.1: it MUST be recorded as ``sha256``; one that is not that of the list is refused."""
    bench.forge(lambda s: s["subject"][0].update(digest=digest), rooted=False)
    bench.refused(BundleFormatError, "digest")


def test_upper_case_root_digest(bench: Bench) -> None:
    """6.5.1(5): lowercase, as the schema's pattern says."""
    bench.forge(
        lambda s: s["subject"][0]["digest"].update(
            sha256=s["subject"][0]["digest"]["sha256"].upper()
        ),
        rooted=False,
    )
    bench.refused(BundleFormatError, "hex")


def test_more_digests(bench: Bench) -> None:
    """6.5.1: an in-toto digest set may hold others beside it."""
    bench.forge(lambda s: s["subject"][0]["digest"].update(sha512="00", gitTree="0" * 40))
    bench.accepted()


@pytest.mark.parametrize(
    "name", ["model", ".", "/a/b", "x" * 5000, "模型", " ", "\n", "a\\b"], ids=ascii
)
def test_any_subject_name(bench: Bench, name: str) -> None:
    """6.5.1: verifiers MUST accept any non-empty string: it is informational only."""
    bench.forge(subject=name)
    bench.accepted()


@pytest.mark.parametrize("name", ["", None, 1, [], ...], ids=str)
def test_no_subject_name(bench: Bench, name: Any) -> None:
    """6.5: but a string it is, and not empty."""

    def edit(statement: dict[str, Any]) -> None:
        statement["subject"][0]["name"] = name
        if name is ...:
            del statement["subject"][0]["name"]

    bench.forge(edit)
    bench.refused(BundleFormatError, "name", oracle=not isinstance(name, int | None))


def test_more_in_the_subject(bench: Bench) -> None:
    """6.5: the schema permits other members of a subject, in-toto's among them."""
    more = {"uri": "pkg:x", "annotations": {"other": {"a": 1}}, "mediaType": "x", "x": None}
    bench.forge(lambda s: s["subject"][0].update(more))
    bench.accepted()


def test_deterministic(bench: Bench) -> None:
    """6.4: signing twice states the same."""
    assert bench.sign() == 0
    first = bench.document()["dsseEnvelope"]["payload"]
    assert bench.sign() == 0
    assert bench.document()["dsseEnvelope"]["payload"] == first


@pytest.mark.parametrize("curve", ["p256", "p384", "p521"])
def test_pae(bench: Bench, pairs: dict[str, Any], curve: str) -> None:
    """6.7(3): the signature is over the pre-authentication encoding of DSSE v1, to the byte."""
    bench.pair = pairs[curve]
    assert bench.sign() == 0
    envelope = bench.document()["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    message = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    key = bench.pair.key
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    key.public_key().verify(signature, message, ec.ECDSA(spec_signer.hash_of(key.curve)))


ENCODINGS = {
    "payload alone": lambda payload: payload,
    "lower case": lambda p: b"dssev1 28 application/vnd.in-toto+json %d %b" % (len(p), p),
    "of 0.2.0": lambda p: f"DSSEV1 28 application/vnd.in-toto+json {len(p)} {p!r}".encode(),
    "base64": lambda p: (
        b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(p), base64.b64encode(p))
    ),
    "no type": lambda p: b"DSSEv1 0  %d %b" % (len(p), p),
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_another_encoding(bench: Bench, encoding: Any) -> None:
    """6.7(3): a signature over anything else does not count."""
    document = bench.forge()
    payload = base64.b64decode(document["dsseEnvelope"]["payload"])
    signature = bench.pair.key.sign(encoding(payload), ec.ECDSA(hashes.SHA256()))
    document["dsseEnvelope"]["signatures"][0]["sig"] = spec_signer.encoded(signature)
    bench.bundle.write_text(json.dumps(document), "utf-8")
    bench.refused(SignatureMismatchError)


@pytest.mark.parametrize("alphabet", ["urlsafe", "no padding", "line breaks", "spaces"])
def test_payload_is_base64(bench: Bench, alphabet: str) -> None:
    """6.7(4): the payload is base64 per RFC 4648, in either alphabet (DSSE), in one form."""
    bench.put("\u00bf\u00bf\u00bf???>>>")

    def edit(document: dict[str, Any]) -> None:
        text = document["dsseEnvelope"]["payload"]
        document["dsseEnvelope"]["payload"] = {
            "urlsafe": text.replace("+", "-").replace("/", "_"),
            "no padding": text.rstrip("="),
            "line breaks": "\n".join([text[:76], text[76:]]),
            "spaces": f"{text} ",
        }[alphabet]

    for length in range(6):  # so that there is padding, and one of + and /
        statement = spec_signer.statement(bench.model, subject="x" * length + "?>?>")
        payload = json.dumps(statement, ensure_ascii=False).encode()
        key = bench.pair.key
        document = spec_signer.sealed(payload, key, spec_signer.by_hint(key))
        before = document["dsseEnvelope"]["payload"]
        edit(document)
        if document["dsseEnvelope"]["payload"] != before:
            break
    else:
        pytest.fail("the edit changed nothing")
    bench.bundle.write_text(json.dumps(document), "utf-8")
    if alphabet == "urlsafe":
        assert bench.verify() == 0
    else:
        bench.refused(BundleFormatError, "base64", oracle=False)


@pytest.mark.parametrize("indent", [None, 0, 4])
@pytest.mark.parametrize("sort", [True, False])
def test_the_form_of_the_json_is_free(bench: Bench, indent: int | None, *, sort: bool) -> None:
    """6.7(1): the statement is any JSON byte string; only its bytes are signed."""
    statement = spec_signer.statement(bench.model)
    payload = json.dumps(statement, indent=indent, sort_keys=sort).encode() + b"\n"
    key = bench.pair.key
    document = spec_signer.sealed(payload, key, spec_signer.by_hint(key))
    bench.bundle.write_text(json.dumps(document, indent=indent, sort_keys=sort), "utf-8")
    bench.accepted()


@pytest.mark.parametrize(
    "name",
    ["SHA256", "sha-256", "sha2-256", "sha512", "sha1", "md5", "blake2s", "BLAKE3", "", "x" * 999],
)
def test_identifiers(bench: Bench, name: str) -> None:
    """7: algorithms MUST be named as in the registry; another is refused by its name."""

    def edit(statement: dict[str, Any]) -> None:
        statement["predicate"]["serialization"]["hash_type"] = name
        for entry in statement["predicate"]["resources"]:
            entry["algorithm"] = name

    bench.forge(edit)
    bench.refused(UnsupportedBundleError, "sha256, blake2b, blake3")


def test_default_algorithm(bench: Bench) -> None:
    """Registry: ``sha256`` is REQUIRED and the default."""
    assert bench.sign() == 0
    assert bench.serialization()["hash_type"] == "sha256"


def test_large_file(empty: Bench, tmp_path: Path) -> None:
    """6.3: digests do not depend on how a file is cut into buffers."""
    content = bytes(range(256)) * 5000
    for shift in (-1, 0, 1):
        (tmp_path / "model" / f"{shift}").write_bytes(content[: 1_048_576 + shift])
    empty.forge()
    empty.accepted()
    empty.forge(shard_size=262_144 + 1)
    empty.accepted()
