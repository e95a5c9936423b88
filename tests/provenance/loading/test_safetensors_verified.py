import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy as reference
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import (
    ArtifactError,
    ConfigurationError,
    DigestMismatchError,
    MalformedArtifactError,
    ResourceLimitError,
    UnsafeArtifactError,
    UnsupportedFormatError,
    VerificationError,
)
from modelsec.provenance.loading.safetensors_arrays import read_arrays
from modelsec.provenance.loading.verified_safetensors import INDEX, load_safetensors_verified
from modelsec.scanning.formats.safetensors import MAX_HEADER
from modelsec.signing.pinned_digest import PinnedDigest
from tests.provenance.loading.claimed import Claimed, manifest_of, tensors, write_model

DTYPES = ["?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8", "c8"]


def built(table: Any, data: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a file with any header, right or wrong."""
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: Any = "U8", shape: Any = (4,), offsets: Any = (0, 4), **extra: Any) -> Any:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **extra}


def read(content: bytes, *, raw: bool = False) -> dict[str, Any]:
    return read_arrays(memoryview(content), raw=raw)


def loaded(root: Path, files: dict[str, bytes], **options: Any) -> dict[str, Any]:
    path = write_model(root / "model", files)
    return load_safetensors_verified(path, Claimed(manifest_of(files)), **options)


def test_every_type_that_numpy_has() -> None:
    """Values, shapes and types are those of the reference reader."""
    rng = np.random.default_rng(7)
    given_ = {
        f"{code}{shape}": rng.integers(0, 2, shape).astype(code)
        for code in DTYPES
        for shape in [(), (0,), (3,), (2, 3), (2, 0, 3), (1, 1, 1, 5)]
    }
    content = reference.save(given_, {"made": "by a test"})
    found, wanted = read(content), reference.load(content)
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        assert array.dtype == wanted[name].dtype
        assert array.shape == wanted[name].shape
        assert np.array_equal(array, wanted[name])
        assert not array.flags.writeable
        with pytest.raises(ValueError, match=r"WRITEABLE|writeable"):
            array.flags.writeable = True


def test_nothing_is_copied() -> None:
    """All arrays lie in the one buffer, odd offsets included."""
    data = bytes(range(13))
    table = {"odd": entry("U8", [1], [0, 1]), "wide": entry("F32", [3], [1, 13])}
    content = bytearray(built(table, data))
    with memoryview(content) as view:
        found = read_arrays(view.toreadonly())
        whole = np.frombuffer(view, "u1")
        assert all(np.shares_memory(array, whole) for array in found.values())
        assert found["wide"].tobytes() == data[1:]
        content[-1] = 255
        assert found["wide"].tobytes()[-1] == 255
        del found, whole


@pytest.mark.parametrize(
    ("dtype", "size", "raw"),
    [
        ("BF16", 8, "uint16"),
        ("F8_E4M3", 4, "uint8"),
        ("F8_E5M2", 4, "uint8"),
        ("F8_E8M0", 4, "uint8"),
        ("F8_E4M3FNUZ", 4, "uint8"),
        ("F8_E5M2FNUZ", 4, "uint8"),
    ],
)
def test_types_that_numpy_lacks(dtype: str, size: int, raw: str) -> None:
    """They are refused with the way out, or given as their bits."""
    content = built({"t": entry(dtype, [2, 2], [0, size])}, bytes(range(size)))
    with pytest.raises(UnsupportedFormatError, match=rf"'t' is {dtype}.*raw=True"):
        read(content)
    found = read(content, raw=True)["t"]
    assert (str(found.dtype), found.shape) == (raw, (2, 2))
    assert found.tobytes() == bytes(range(size))
    assert not found.flags.writeable


@pytest.mark.parametrize(("dtype", "shape", "size"), [("F4", [2, 3], 3), ("F6_E2M3", [4], 3)])
def test_types_of_less_than_a_byte(dtype: str, shape: list[int], size: int) -> None:
    """Packed elements come as their bytes in one dimension."""
    content = built({"t": entry(dtype, shape, [0, size])}, b"abc")
    with pytest.raises(UnsupportedFormatError):
        read(content)
    assert read(content, raw=True)["t"].tobytes() == b"abc"
    with pytest.raises(MalformedArtifactError):
        read(built({"t": entry(dtype, [3], [0, 2])}, b"ab"), raw=True)


WRONG: dict[str, bytes] = {
    "empty": b"",
    "no length": b"\x02\0\0",
    "no header": struct.pack("<Q", 2),
    "header beyond the end": built(b"{}", length=3),
    "length of 2**64": b"\xff" * 8 + b"{}",
    "length of 2**63": struct.pack("<Q", 1 << 63) + b"{}",
    "header of nothing": built(b""),
    "blank first": built(b" {}"),
    "list": built(b"[]"),
    "number": built(b"{1:2}"),
    "not JSON": built(b"{nothing}"),
    "two documents": built(b"{}{}"),
    "NaN": built(b'{"t": NaN}'),
    "not UTF-8": built(b'{"\xff": 1}'),
    "UTF-16": built('{"a": 1}'.encode("utf-16-le")),
    "mark": built(b"\xef\xbb\xbf{}"),
    "surrogate": built(b'{"\\ud800": {"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
    "deep": built(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "twice": built(b'{"a": %s, "a": %s}' % ((json.dumps(entry()).encode(),) * 2), b"abcd"),
    "twice within": built(
        b'{"a": {"dtype":"U8","dtype":"I8","shape":[4],"data_offsets":[0,4]}}', b"abcd"
    ),
    "bytes without tensors": built({}, b"x"),
    "metadata of numbers": built({"__metadata__": {"a": 1}}),
    "metadata as text": built({"__metadata__": "a"}),
    "entry as list": built({"a": [1]}),
    "entry null": built({"a": None}),
    "field missing": built({"a": {"dtype": "U8", "shape": [4]}}, b"abcd"),
    "field too many": built({"a": entry(more=1)}, b"abcd"),
    "unknown type": built({"a": entry("U7")}, b"abcd"),
    "type as list": built({"a": entry(["U8"])}, b"abcd"),
    "type in lower case": built({"a": entry("u8")}, b"abcd"),
    "shape as number": built({"a": entry(shape=4)}, b"abcd"),
    "shape negative": built({"a": entry(shape=[-4])}, b"abcd"),
    "shape negative twice": built({"a": entry(shape=[-2, -2])}, b"abcd"),
    "shape true": built({"a": entry(shape=[True, 4])}, b"abcd"),
    "shape of a fraction": built({"a": entry(shape=[4.0])}, b"abcd"),
    "shape of text": built({"a": entry(shape=["4"])}, b"abcd"),
    "shape overflows": built({"a": entry(shape=[1 << 32, 1 << 32], offsets=[0, 0])}),
    "shape of long digits": built(b'{"a":{"dtype":"U8","shape":[1%s],"data_offsets":[0,4]}}' % (
        b"0" * 5000), b"abcd"),
    "shape of many dimensions": built({"a": entry(shape=[1] * 65, offsets=[0, 1])}, b"a"),
    "shape of a million dimensions": built({"a": entry(shape=[1 << 62] * 100_000)}, b"abcd"),
    "empty beyond numpy": built({"a": entry(shape=[0, 1 << 62, 1 << 62], offsets=[0, 0])}),
    "too small for its shape": built({"a": entry(shape=[5])}, b"abcd"),
    "too large for its shape": built({"a": entry(shape=[3])}, b"abcd"),
    "offsets negative": built({"a": entry(offsets=[-4, 0])}, b"abcd"),
    "offsets of three": built({"a": entry(offsets=[0, 4, 4])}, b"abcd"),
    "offsets reversed": built({"a": entry(offsets=[4, 0])}, b"abcd"),
    "offsets beyond the end": built({"a": entry(offsets=[1, 5])}, b"abcd"),
    "offsets of 2**63": built({"a": entry(shape=[0], offsets=[1 << 63, 1 << 63])}, b""),
    "overlap": built({"a": entry(), "b": entry(offsets=[2, 6])}, b"abcdef"),
    "same range": built({"a": entry(), "b": entry()}, b"abcd"),
    "hole first": built({"a": entry(offsets=[1, 5])}, b"abcde"),
    "hole between": built({"a": entry(), "b": entry(offsets=[5, 9])}, b"abcdefghi"),
    "bytes behind": built({"a": entry()}, b"abcde"),
    "cut": built({"a": entry()}, b"abc"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_malformed(what: str) -> None:
    """Whatever is wrong with a file, however small, refuses all of it with a typed error."""
    for raw in (False, True):
        with pytest.raises(ArtifactError):
            read(WRONG[what], raw=raw)


def test_a_header_has_an_end() -> None:
    """A header longer than the format permits is a limit, whatever the file holds."""
    with pytest.raises(ResourceLimitError):
        read(struct.pack("<Q", MAX_HEADER + 1) + b"{}")


def test_no_tensors_at_all() -> None:
    """A file without tensors is valid, and so is one with metadata only."""
    assert read(built({})) == {}
    assert read(built({"__metadata__": {"format": "pt"}})) == {}
    assert read(built(b"{}      ")) == {}


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a good file with a few bytes changed, removed or put in."""
    content = bytearray(tensors(rows=1))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        match draw(st.sampled_from(["change", "cut", "insert", "remove"])):
            case "change":
                content[place : place + 1] = [draw(st.integers(0, 255))]
            case "cut":
                del content[place:]
            case "insert":
                content[place:place] = draw(st.binary(min_size=1, max_size=9))
            case "remove":
                del content[place : place + 1]
    return bytes(content)


@given(mutated())
def test_never_more_lenient_than_the_reference(content: bytes) -> None:
    """What is accepted here is accepted by the reference reader, with the same tensors."""
    try:
        found = read(content)
    except ArtifactError:
        return
    wanted = reference.load(content)
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        assert array.tobytes() == wanted[name].tobytes()
        assert (array.dtype, array.shape) == (wanted[name].dtype, wanted[name].shape)


@given(st.binary(max_size=200), st.integers(0, 100))
def test_any_bytes(content: bytes, length: int) -> None:
    """No input ends in anything but arrays or a typed error."""
    for whole in (content, struct.pack("<Q", length) + b"{" + content):
        try:
            read(whole)
        except ArtifactError:
            continue
        reference.load(whole)


def test_single_file(tmp_path: Path) -> None:
    """One signed file gives its tensors, which live on without file or model."""
    content = tensors(fill=3.0)
    path = write_model(tmp_path, {"model.safetensors": content}) / "model.safetensors"
    manifest = manifest_of({"model.safetensors": content}, single_file=True)
    arrays = load_safetensors_verified(str(path), Claimed(manifest))
    path.unlink()
    assert arrays["weight"].sum() == 3 * 64 * 64
    assert arrays["bias"].tolist() == [0, 3, 6, 9]


def test_directory_without_index(tmp_path: Path) -> None:
    """All files at the top are merged; those of other components are not."""
    files = {
        "a.safetensors": reference.save({"a": np.ones(2, "f4")}),
        "b.safetensors": reference.save({"b": np.ones(3, "f4")}),
        "config.json": b"{}",
        "vae/c.safetensors": reference.save({"c": np.ones(4, "f4")}),
    }
    assert loaded(tmp_path, files).keys() == {"a", "b"}


def test_the_same_tensor_in_two_files(tmp_path: Path) -> None:
    """Two files that hold one name are refused: which of them counts depends on the reader."""
    files = {"a.safetensors": tensors(1), "b.safetensors": tensors(2)}
    with pytest.raises(MalformedArtifactError, match=r"'bias' of b\.safetensors"):
        loaded(tmp_path, files)


def shards(**change: Any) -> dict[str, bytes]:
    """Return a model in two files with an index, and a third file that the index leaves out."""
    homes = {"a": "model-1.safetensors", "b": "model-2.safetensors", **change}
    return {
        INDEX: json.dumps({"metadata": {}, "weight_map": homes}).encode(),
        "consolidated.safetensors": reference.save({"a": np.zeros(2, "f4")}),
        "model-1.safetensors": reference.save({"a": np.ones(2, "f4")}),
        "model-2.safetensors": reference.save({"b": np.ones(3, "f4")}),
    }


def test_index(tmp_path: Path) -> None:
    """The index says which files count, and each tensor comes from its own."""
    arrays = loaded(tmp_path, shards())
    assert {name: array.sum() for name, array in arrays.items()} == {"a": 2, "b": 3}


@pytest.mark.parametrize(
    "change",
    [
        {"a": "consolidated.safetensors", "b": "consolidated.safetensors"},
        {"c": "model-1.safetensors"},
        {"b": "model-1.safetensors"},
        {"b": "model-3.safetensors"},
        {"b": "../model-2.safetensors"},
        {"b": "/etc/passwd"},
        {"b": "config.json"},
        {"b": 3},
        {"b": None},
    ],
)
def test_index_that_does_not_fit(tmp_path: Path, change: dict[str, Any]) -> None:
    """An index that tells of other tensors, or of files that nobody signed, is refused."""
    for number, scan in enumerate((True, False)):
        with pytest.raises(ArtifactError, match="index") as refused:
            loaded(tmp_path / str(number), shards(**change), scan=scan)
        assert scan or isinstance(refused.value, MalformedArtifactError)


@pytest.mark.parametrize(
    "index",
    [b"[]", b"{}", b'{"weight_map": []}', b'{"weight_map": {}}', b"{", b'{"weight_map": NaN}',
     b'{"weight_map": {"a": "model-1.safetensors"}, "weight_map": {"b": "model-2.safetensors"}}'],
)  # fmt: skip
def test_index_that_is_none(tmp_path: Path, index: bytes) -> None:
    """A malformed index is refused, with the scan and without it."""
    files = {**shards(), INDEX: index}
    for number, scan in enumerate((True, False)):
        with pytest.raises(ArtifactError):
            loaded(tmp_path / str(number), files, scan=scan)


def test_nothing_to_load(tmp_path: Path) -> None:
    """A model without safetensors is told apart from a broken one."""
    with pytest.raises(UnsupportedFormatError, match="open_verified"):
        loaded(tmp_path, {"config.json": b"{}", "unet/model.safetensors": tensors()})


def test_header_is_read_only_after_the_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with a wrong digest is refused as such: its header is neither scanned nor parsed."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    content = tensors()
    path = write_model(tmp_path / "model", {"model.safetensors": b"\xff" * len(content)})
    monkeypatch.setattr("modelsec.provenance.loading.verified_model.read_arrays", never)
    monkeypatch.setattr("modelsec.provenance.loading.inspection.scan", never)
    with pytest.raises(DigestMismatchError):
        load_safetensors_verified(path, Claimed(manifest_of({"model.safetensors": content})))


def test_scan_refuses_what_the_format_permits(tmp_path: Path) -> None:
    """A signed file of another format under this name is unsafe, or no safetensors file."""
    files = {"model.safetensors": b"cos\nsystem\n(S'true'\ntR."}
    with pytest.raises(UnsafeArtifactError):
        loaded(tmp_path / "scanned", files)
    with pytest.raises(ArtifactError):
        loaded(tmp_path / "not", files, scan=False)


def test_raw_and_limits(tmp_path: Path) -> None:
    """Options reach the files."""
    content = built({"t": entry("BF16", [2], [0, 4])}, b"\x80\x3f\0\0")
    files = {"model.safetensors": content}
    with pytest.raises(UnsupportedFormatError, match="raw=True"):
        loaded(tmp_path, files)
    assert loaded(tmp_path, files, raw=True)["t"].tolist() == [0x3F80, 0]
    with pytest.raises(ResourceLimitError):
        loaded(tmp_path, files, raw=True, max_bytes=10)
    seen: list[tuple[int, int]] = []
    loaded(tmp_path, files, raw=True, on_progress=lambda *told: seen.append(told))
    assert seen == [(len(content), len(content))]


def test_pinned_digest(tmp_path: Path) -> None:
    """A digest that was written down elsewhere is enough to load safely."""
    content = tensors()
    path = write_model(tmp_path / "model", {"model.safetensors": content})
    manifest = manifest_of({"model.safetensors": content})
    file_digest = manifest.resources[0].digest.hex()
    for where, digest in ((path, manifest.tree_digest), (path / "model.safetensors", file_digest)):
        assert load_safetensors_verified(where, PinnedDigest(digest))["weight"].size == 64 * 64
        other = ("0" if digest[0] != "0" else "1") + digest[1:]
        with pytest.raises(VerificationError):
            load_safetensors_verified(where, PinnedDigest(other))


def test_arguments(tmp_path: Path) -> None:
    """Wrong arguments are the caller's mistake."""
    manifest = manifest_of({"a": b"x"})
    for path, verifier in ((tmp_path, None), (tmp_path / "none", Claimed(manifest)), (3, 3)):
        with pytest.raises(ConfigurationError):
            load_safetensors_verified(path, verifier)  # type: ignore[arg-type]
