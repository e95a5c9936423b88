"""OMS v1.0, section 6.1.2: names are canonical, and compared byte by byte."""

import json
import os
from functools import partial
from pathlib import Path

import pytest

from modelsec.errors import BundleFormatError, DigestMismatchError
from tests.signing.conformance import spec_signer
from tests.signing.conformance.workbench import Bench

GOOD = [
    "with space",
    "file (copy).bin",
    "path with spaces/model.bin",
    "a:b",
    "a:0:5",
    "C:weights",
    "模型.bin",
    "cafe\u0301",
    "caf\u00e9",
    "\U0001f600.bin",
    "Σίσυφος",
    "%2e%2e",
    "~",
    "#x",
    "$HOME",
    "'quoted'",
    '"',
    "a&b;c|d",
    "..a",
    "a..",
    "...",
    "sub/..hidden/x",
    "-rf",
    "--help",
    "{}",
    "x" * 255,
]
UNPORTABLE = ["a..", "..."]


@pytest.mark.parametrize("name", GOOD, ids=ascii)
@pytest.mark.parametrize("shard_size", [None, 10], ids=["files", "shards"])
def test_names(empty: Bench, name: str, shard_size: int | None) -> None:
    """6.1.2: whatever is valid UTF-8 and relative is a name, and travels unchanged."""
    empty.put(name)
    empty.forge(shard_size=shard_size)
    empty.accepted(strict=name not in UNPORTABLE)
    assert empty.sign() == 0
    assert empty.names() == [name]
    empty.checked_by_the_oracle()
    empty.accepted(strict=name not in UNPORTABLE)


@pytest.mark.parametrize(
    "name", ["a\nb", "a\tb", "a\\b", "\u202ebin.x", "con", "x ", "\x7f"], ids=ascii
)
def test_names_that_only_the_text_permits(empty: Bench, name: str) -> None:
    """6.1.2: the text forbids none of these; the strict profile does."""
    empty.put(name)
    empty.forge()
    empty.accepted(strict=False)
    assert empty.sign() == 0
    assert empty.names() == [name]


BAD = {
    "absolute": "/weights.bin",
    "two slashes": "//weights.bin",
    "parent": "../weights.bin",
    "parent inside": "sub/../weights.bin",
    "parent at the end": "sub/..",
    "only parent": "..",
    "dot slash": "./weights.bin",
    "dot inside": "sub/./adapter.bin",
    "dot at the end": "sub/.",
    "doubled": "sub//adapter.bin",
    "trailing": "weights.bin/",
    "trailing two": "weights.bin//",
    "slash": "/",
    "dot": ".",
    "NUL": "weights.bin\0",
    "surrogate": "\ud800",
    "too long": "x" * 256,
    "too deep": "x/" * 2048 + "x",
}


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_names_that_are_not_canonical(bench: Bench, name: str) -> None:
    """6.1.2(2-4, 7): absolute, with ``..``, ``.``, ``//`` or a trailing ``/``: refused."""
    bench.forge(lambda s: s["predicate"]["resources"][-1].update(name=name))
    unicode = name in {"\ud800", "weights.bin\0"} or len(name) > 255
    bench.refused(BundleFormatError, oracle=not unicode)


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_shards_of_names_that_are_not_canonical(bench: Bench, name: str) -> None:
    """6.1.2, 6.3.2: the same for the path before the range."""
    bench.forge(
        lambda s: s["predicate"]["resources"][-1].update(name=f"{name}:0:256"), shard_size=256
    )
    bench.refused(BundleFormatError, oracle=False)


def _append(entry: spec_signer.Document, statement: spec_signer.Document) -> None:
    statement["predicate"]["resources"].append(entry)


def test_names_that_lead_out_of_the_model(bench: Bench) -> None:
    """6.1.2(2): a path that leaves the model is refused before any file outside is touched."""
    secret = bench.folder / "secret"
    secret.write_bytes(b"x")
    entry = {"digest": spec_signer.digest(b"x").hex(), "algorithm": "sha256"}
    for name in ("../secret", str(secret)):
        outside = {"name": name, **entry}
        bench.forge(partial(_append, outside))
        bench.refused(BundleFormatError, "absolute|component")
        assert bench.verify("--ignore-unsigned-files") == 1


@pytest.mark.parametrize("spelling", ["{}", "{}/", "{}//", "{}/.", "{}/../model"])
def test_names_do_not_depend_on_the_path_typed(bench: Bench, spelling: str) -> None:
    """6.1.2(2): names are relative to the model's root, however that is spelt."""
    typed = spelling.format(bench.model)
    assert bench.sign(model=typed) == 0
    assert bench.names() == ["config.json", "sub/adapter.bin", "weights.bin"]
    assert bench.verify(model=typed) == 0
    assert bench.verify() == 0


def test_single_file(bench: Bench) -> None:
    """6.1.2(5): the name MUST be the basename, without any folder; so is the subject's (6.5)."""
    single = bench.model / "sub" / "adapter.bin"
    assert bench.sign(model=single) == 0
    assert bench.names() == ["adapter.bin"]
    assert bench.signed()["subject"][0]["name"] == "adapter.bin"
    bench.accepted(model=single)
    single.write_bytes(b"changed")
    assert bench.verify(model=single) == 1


@pytest.mark.parametrize("shard_size", [None, 5], ids=["files", "shards"])
def test_single_file_of_others(bench: Bench, shard_size: int | None) -> None:
    """6.1.2(5): bundles by the text are read, and those of the reference, which writes ``.``."""
    single = bench.model / "weights.bin"
    bench.forge(model=single, shard_size=shard_size)
    bench.accepted(model=single)

    def dot(statement: spec_signer.Document) -> None:
        for entry in statement["predicate"]["resources"]:
            entry["name"] = entry["name"].replace("weights.bin", ".")

    bench.forge(dot, model=single, shard_size=shard_size)
    assert bench.verify(model=single) == 0
    assert bench.verify() == 1


def test_single_file_under_another_name(bench: Bench) -> None:
    """6.1.2(5), 8.4: the name is part of what was signed."""
    bench.forge(model=bench.model / "weights.bin")
    renamed = bench.folder / "renamed.bin"
    renamed.write_bytes((bench.model / "weights.bin").read_bytes())
    assert bench.verify(model=renamed) == 1


def test_single_file_with_a_folder_in_its_name(bench: Bench) -> None:
    """6.1.2(5): ``sub/adapter.bin`` is no name of a model that is one file."""
    single = bench.model / "sub" / "adapter.bin"
    bench.forge(
        lambda s: s["predicate"]["resources"][0].update(name="sub/adapter.bin"), model=single
    )
    assert bench.verify(model=single) == 1


def test_case_is_kept(empty: Bench) -> None:
    """6.1.2(6): names that differ in case only are two files; comparison is byte-exact."""
    empty.put("Model.bin", b"one")
    empty.put("model.bin", b"two")
    assert empty.sign() == 0
    assert empty.names() == ["Model.bin", "model.bin"]
    empty.accepted(strict=False)
    empty.forge()
    empty.accepted(strict=False)
    empty.put("Model.bin", b"two")
    empty.put("model.bin", b"one")
    empty.refused(DigestMismatchError, "2 changed")


@pytest.mark.parametrize(
    ("signed", "found"),
    [("Model.bin", "model.bin"), ("caf\u00e9", "cafe\u0301"), ("a", "\uff41")],
    ids=ascii,
)
def test_similar_names_are_others(empty: Bench, signed: str, found: str) -> None:
    """6.1.2(6): neither case nor Unicode form is folded: a renamed file is missing."""
    path = empty.put(signed, b"x")
    empty.forge()
    path.rename(empty.model / found)
    empty.refused(DigestMismatchError, "1 gone|missing")


def test_names_that_are_not_utf_8(bench: Bench) -> None:
    """6.1.2(7): the signer MUST reject a name that is not valid UTF-8; no verifier passes it."""
    bench.forge()
    path = os.fsencode(bench.model) + b"/caf\xe9"
    try:
        Path(os.fsdecode(path)).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes valid UTF-8 only")
    assert bench.sign(bundle=bench.folder / "new.sig") == 1
    assert not (bench.folder / "new.sig").exists()
    assert bench.verify() == 1


def test_escapes_in_json_mean_the_same_name(empty: Bench) -> None:
    """6.1.2(6): names are compared after JSON is read, not as it is written."""
    empty.put("\U0001f600")
    statement = spec_signer.statement(empty.model)
    key = empty.pair.key
    for plain in (True, False):
        payload = json.dumps(statement, ensure_ascii=not plain).encode()
        document = spec_signer.sealed(payload, key, spec_signer.by_hint(key))
        empty.bundle.write_text(json.dumps(document), "utf-8")
        empty.accepted()
