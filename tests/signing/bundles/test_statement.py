import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing import Resource as SchemaResource

from modelsec.errors import BundleFormatError, ConfigurationError, VerificationError
from modelsec.signing.bundles.bundle import OWN_PREDICATE, write_bundle
from modelsec.signing.bundles.statement import build_statement, parse_statement
from modelsec.signing.manifest import Layout, Manifest, Resource
from modelsec.signing.profile import OMS, STRICT
from modelsec.signing.receipt import Release
from tests.support.statements import BY_THE_TEXT, FILES, RELEASE, SHARDS, built, digest


@pytest.mark.parametrize("manifest", [FILES, SHARDS], ids=["files", "shards"])
@pytest.mark.parametrize("release", [None, RELEASE, Release("x")], ids=["none", "full", "name"])
def test_round_trip(manifest: Manifest, release: Release | None) -> None:
    """What is built is read: files, shards, empty files and the release."""
    payload = build_statement(manifest, subject="model", release=release)
    statement = parse_statement(payload, profile=STRICT)
    assert statement.manifest.tree_digest == manifest.tree_digest
    assert statement.manifest.empty_files == manifest.empty_files
    assert statement.manifest.layout == manifest.layout
    assert statement.release == release
    assert (statement.subject, statement.legacy) == ("model", False)


def test_order_does_not_matter() -> None:
    """The same files in another order give the same bytes, sorted by code points."""
    backwards = replace(FILES, resources=FILES.resources[::-1])
    payload = build_statement(FILES, subject="model")
    assert build_statement(backwards, subject="model") == payload
    names = [each["name"] for each in json.loads(payload)["predicate"]["resources"]]
    assert names == ["a-b.bin", "a/b.bin", "caf\u00e9"]
    assert payload.isascii()


def test_an_annotation_only_where_there_is_something_to_say() -> None:
    """Without release and empty files, the subject is as every OMS signer writes it."""
    assert "annotations" not in built()["subject"][0]
    assert set(built(SHARDS)["subject"][0]["annotations"]["modelsec"]) == {"tree", "empty_files"}
    assert built(release=RELEASE)["subject"][0]["annotations"]["modelsec"] == {
        **RELEASE.to_dict(),
        "tree": FILES.tree_digest,
    }


@pytest.fixture(scope="module")
def schemas(shared_data: Path) -> Registry[Any]:
    folder = shared_data / "oms" / "spec" / "schemas"
    contents = [json.loads(path.read_text()) for path in folder.glob("*.schema.json")]
    assert len(contents) == 4
    return [SchemaResource.from_contents(content) for content in contents] @ Registry()


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("sharded", [False, True], ids=["files", "shards"])
def test_the_schemas_of_oms(schemas: Registry[Any], algorithm: Any, sharded: bool) -> None:  # noqa: FBT001 - a parameter
    """Bundle, envelope, statement and predicate are valid against the schemas of OMS v1.0."""
    length = 64 if algorithm == "blake2b" else 32
    base = SHARDS if sharded else FILES
    manifest = replace(
        base,
        resources=tuple(replace(each, digest=digest(1, length)) for each in base.resources),
        layout=replace(base.layout, algorithm=algorithm),
    )
    payload = build_statement(manifest, subject="model", release=RELEASE)
    bundle = write_bundle(payload, b"s", {"publicKey": {"hint": "ab"}, "tlogEntries": []})
    for kind, document in [
        ("bundle", json.loads(bundle)),
        ("envelope", json.loads(bundle)["dsseEnvelope"]),
        ("statement", json.loads(payload)),
        ("predicate", json.loads(payload)["predicate"]),
    ]:
        schema = schemas.contents(f"https://model_signing/{kind}/v1.0/schema")
        Draft202012Validator(schema, registry=schemas).validate(document)
    assert parse_statement(payload, profile=BY_THE_TEXT).manifest.layout.algorithm == algorithm


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"manifest": replace(FILES, resources=())}, "no resource"),
        ({"manifest": replace(FILES, layout=Layout(allow_symlinks=True))}, "allow_symlinks"),
        ({"manifest": replace(FILES, layout=Layout(ignore_paths=(".",)))}, "cannot be signed"),
        ({"manifest": replace(FILES, layout=Layout(shard_size=10))}, "path:start:end"),
        ({"manifest": replace(FILES, empty_files=("e",))}, "only directories in shards"),
        ({"manifest": replace(SHARDS, empty_files=("x",))}, "as an empty file"),
        ({"manifest": replace(SHARDS, empty_files=("x/y",))}, "as a folder"),
        ({"manifest": Manifest((Resource("../a", digest(1)),))}, "'..'"),
        ({"manifest": Manifest((Resource("a", b"short"),))}, "64 lowercase hex"),
        ({"manifest": Manifest((Resource("a", "text"),))}, "cannot be signed"),
        ({"manifest": Manifest((Resource("\ud800", digest(1)),))}, "not valid UTF-8"),
        ({"manifest": Manifest((Resource("a", digest(1)),) * 2)}, "twice"),
        ({"manifest": None}, "Manifest"),
        ({"subject": ""}, "subject"),
        ({"subject": "\ud800"}, "cannot be signed"),
        ({"subject": 3}, "subject"),
        ({"predicate_type": "https://model_signing/Digests/v0.1"}, "predicate type"),
        ({"release": {"name": "x"}}, "must be a Release"),
        ({"release": Release("")}, "name must have"),
        ({"release": Release(None)}, "name must be text"),
        ({"release": Release("a\nb")}, "printed"),
        ({"release": Release("a\u202eb")}, "printed"),
        ({"release": Release("\ud800")}, "UTF-8"),
        ({"release": Release("x" * 1025)}, "1 to 1024"),
        ({"release": Release("x", serial=-1)}, "serial"),
        ({"release": Release("x", serial=2**63)}, "serial"),
        ({"release": Release("x", serial=True)}, "serial"),
        ({"release": Release("x", version="")}, "version"),
        ({"release": Release("x", supersedes="AB" * 32)}, "supersedes"),
        ({"release": Release("x", not_after=datetime(2027, 1, 1))}, "time zone"),  # noqa: DTZ001
        ({"release": Release("x", not_after="2027-01-01T00:00:00Z")}, "time zone"),
        (
            {
                "release": Release(
                    "x", not_after=datetime.max.replace(tzinfo=timezone(-timedelta(1) / 2))
                )
            },
            "cannot be signed",
        ),
    ],
    ids=range(32),
)
def test_what_is_not_signed(options: dict[str, Any], reason: str) -> None:
    """Nothing is signed that a verifier would refuse, or that says less than it seems to."""
    with pytest.raises(ConfigurationError, match=reason):
        build_statement(**{"manifest": FILES, "subject": "model", **options})


def test_the_predicate_of_our_own() -> None:
    """Keys that OMS does not know sign the same body under another type."""
    payload = build_statement(FILES, subject="model", predicate_type=OWN_PREDICATE)
    assert parse_statement(payload, profile=STRICT).predicate_type == OWN_PREDICATE


@pytest.mark.parametrize("change", ["root", "tree", "digest"])
def test_a_statement_that_contradicts_itself(change: str) -> None:
    """Root and tree digest are computed again; signed or not, both must be right."""
    document = built(release=RELEASE)
    subject = document["subject"][0]
    if change == "root":
        subject["digest"]["sha256"] = "00" * 32
    elif change == "tree":
        subject["annotations"]["modelsec"]["tree"] = "00" * 32
    else:
        subject["digest"] = {"sha512": "00" * 64}
    with pytest.raises(BundleFormatError, match=r"contradicts itself|sha256"):
        parse_statement(json.dumps(document).encode(), profile=OMS)


def test_a_swap_of_names_shows_in_the_tree_digest() -> None:
    """The root digest binds no names, the annotation of ours does."""
    document = built(release=RELEASE)
    first, second = document["predicate"]["resources"][:2]
    first["name"], second["name"] = second["name"], first["name"]
    with pytest.raises(BundleFormatError, match="its tree digest"):
        parse_statement(json.dumps(document).encode(), profile=OMS)


@given(st.data())
def test_mutations_raise_nothing_else(data: st.DataObject) -> None:
    """A signed statement of any bytes is read or refused, never crashed on."""
    payload = bytearray(build_statement(SHARDS, subject="model", release=RELEASE))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(payload) - 1))
        payload[place : place + data.draw(st.integers(0, 4))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"null", b"[]", b"{}", b"-1", b'""', b"1e3"])
        )
    try:
        statement = parse_statement(
            bytes(payload), profile=data.draw(st.sampled_from([STRICT, OMS]))
        )
    except VerificationError:
        return
    assert statement.manifest.tree_digest == SHARDS.tree_digest
