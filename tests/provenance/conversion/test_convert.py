import errno
import hashlib
import json
import os
import struct
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelsec.errors import (
    ArtifactError,
    ConfigurationError,
    MalformedArtifactError,
    ResourceLimitError,
    UnsafeArtifactError,
    UnsupportedFormatError,
)
from modelsec.provenance import Conversion, convert
from modelsec.provenance.conversion import transfer
from modelsec.scanning import Limits, scan
from tests.provenance.conversion import torch_files as torch

CODES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U8": "u1", "BOOL": "?", "C64": "c8", "U16": "u2", "U32": "u4", "U64": "u8",
}  # fmt: skip
STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL", "ComplexFloatStorage": "C64",
}  # fmt: skip
NEW_TYPES = {
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0", "uint16": "U16",
    "uint32": "U32", "uint64": "U64",
}  # fmt: skip
WIDTHS = {"F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4} | dict.fromkeys(
    ["F16", "BF16", "I16", "U16"], 2
)
ROW = np.arange(12, dtype="<f4")


def read(path: Path) -> tuple[dict[str, tuple[str, list[int], bytes]], dict[str, str]]:
    """Return a safetensors file's tensors and metadata, read without our own code."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    metadata = table.pop("__metadata__")
    data = content[8 + length :]
    found = {
        name: (item["dtype"], item["shape"], data[slice(*item["data_offsets"])])
        for name, item in table.items()
    }
    return found, metadata


def arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the tensors that numpy has a type for."""
    return {
        name: np.frombuffer(data, CODES[dtype]).reshape(shape)
        for name, (dtype, shape, data) in read(path)[0].items()
    }


def converted(
    tmp_path: Path, root: object, storages: dict[str, bytes], **options: Any
) -> Conversion:
    source = torch.torch_zip(tmp_path / "model.pt", root, storages)
    return convert(source, tmp_path / "model.safetensors", **options)


def row(shape: tuple[int, ...] = (12,), strides: tuple[int, ...] = (1,), offset: int = 0) -> bytes:
    return torch.tensor("0", "FloatStorage", 12, shape, strides, offset)


def test_every_element_type(tmp_path: Path) -> None:
    """Each type keeps its bits, whether its storage or the tensor names it."""
    root, storages, expected = {}, {}, {}
    for number, (kind, dtype) in enumerate(STORAGES.items()):
        data = os.urandom(6 * WIDTHS.get(dtype, 1))
        root[kind] = torch.tensor(str(number), kind, 6, (2, 3), (3, 1))
        storages[str(number)] = data
        expected[kind] = (dtype, [2, 3], data)
    for number, (name, dtype) in enumerate(NEW_TYPES.items(), 100):
        data = os.urandom(6 * WIDTHS.get(dtype, 1))
        root[name] = torch.new_tensor(str(number), len(data), (3, 2), name)
        storages[str(number)] = data
        expected[name] = (dtype, [3, 2], data)
    done = converted(tmp_path, torch.ordered(root), storages)
    found, _ = read(tmp_path / "model.safetensors")
    assert found == expected
    assert {t.name: t.sha256 for t in done.tensors} == {
        name: hashlib.sha256(data).hexdigest() for name, (_, _, data) in expected.items()
    }


def test_record(tmp_path: Path) -> None:
    """The record holds both digests, what was written and under which policy."""
    root = {"w": row((3, 4), (4, 1)), "epoch": 3}
    done = converted(tmp_path, root, {"0": ROW.tobytes()})
    source, target = tmp_path / "model.pt", tmp_path / "model.safetensors"
    assert done.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert done.target_sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert done.target_bytes == target.stat().st_size
    record = json.loads(json.dumps(done.to_dict()))
    assert record["source_format"] == "torch"
    assert record["tensors"][0] == {
        "name": "w", "dtype": "F32", "shape": [3, 4], "nbytes": 48,
        "sha256": hashlib.sha256(ROW.tobytes()).hexdigest(),
    }  # fmt: skip
    assert record["dropped"] == [{"name": "epoch", "kind": "int", "text": "3"}]
    assert record["policy"]
    _, metadata = read(target)
    assert metadata == {"format": "pt", "source_sha256": done.source_sha256}
    report = scan(target)
    assert (report.safe, report.format) == (True, "safetensors")


def test_output_is_deterministic(tmp_path: Path) -> None:
    """The same source gives the same bytes, wide elements first, then by name."""
    root = {"z": row(), "b": torch.tensor("1", "LongStorage", 1, (), ()), "a": row((2,))}
    storages = {"0": ROW.tobytes(), "1": bytes(8)}
    converted(tmp_path, root, storages)
    first = (tmp_path / "model.safetensors").read_bytes()
    converted(tmp_path, root, storages)
    assert (tmp_path / "model.safetensors").read_bytes() == first
    assert list(read(tmp_path / "model.safetensors")[0]) == ["b", "a", "z"]


def test_views(tmp_path: Path) -> None:
    """Transposed, sliced, expanded, empty and single elements are written out as they are seen."""
    root = {
        "transposed": row((4, 3), (1, 4)),
        "sliced": row((2, 2), (8, 2), 1),
        "expanded": row((5, 4), (0, 1), 4),
        "empty": row((0, 7), (7, 1)),
        "scalar": row((), (), 11),
    }
    done = converted(tmp_path, root, {"0": ROW.tobytes()})
    found = arrays(tmp_path / "model.safetensors")
    grid = ROW.reshape(3, 4)
    assert np.array_equal(found["transposed"], grid.T)
    assert np.array_equal(found["sliced"], grid[::2, 1::2])
    assert np.array_equal(found["expanded"], np.tile(grid[1], (5, 1)))
    assert found["empty"].shape == (0, 7)
    assert found["scalar"] == 11
    assert done.aliases == (("expanded", "scalar", "sliced", "transposed"),)


def test_shared_memory(tmp_path: Path) -> None:
    """Tensors that overlap are copied and named, or refused; neighbours do not overlap."""
    root = {"a": row((6,)), "b": row((6,), offset=6), "c": row((2,), offset=5)}
    done = converted(tmp_path, root, {"0": ROW.tobytes()})
    assert done.aliases == (("a", "b", "c"),)
    assert json.loads(read(tmp_path / "model.safetensors")[1]["aliases"]) == [["a", "b", "c"]]
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UnsupportedFormatError, match="share memory: a, b, c"):
        converted(tmp_path, root, {"0": ROW.tobytes()}, on_shared="refuse")
    assert not (tmp_path / "model.safetensors").exists()
    del root["c"]
    assert converted(tmp_path, root, {"0": ROW.tobytes()}, on_shared="refuse").aliases == ()


def test_names(tmp_path: Path) -> None:
    """Nested mappings and sequences give dotted names; numbers as keys become text."""
    root = {
        "model": torch.ordered({"w": row()}, {"_metadata": torch.ordered({"": {"version": 1}})}),
        "optimizer": {"state": {0: {"exp": row(), "step": 7}}, "groups": [{"lr": 0.5}]},
        "pair": (row(), 2.5),
    }
    done = converted(tmp_path, root, {"0": ROW.tobytes()})
    assert {t.name for t in done.tensors} == {"model.w", "optimizer.state.0.exp", "pair.0"}
    assert {(leaf.name, leaf.kind) for leaf in done.dropped} == {
        ("optimizer.state.0.step", "int"),
        ("optimizer.groups", "list"),
        ("pair.1", "float"),
    }


def test_single_tensor_and_parameter(tmp_path: Path) -> None:
    """A tensor alone has the name ``tensor``; a parameter is the tensor within it."""
    parameter = torch.call("torch._utils:_rebuild_parameter", row(), torch.NO_GRADIENT, torch.HOOKS)
    done = converted(tmp_path, parameter, {"0": ROW.tobytes()})
    assert [t.name for t in done.tensors] == ["tensor"]


def test_module(tmp_path: Path) -> None:
    """A whole module gives what its state dict would: no other attributes, no passing buffers."""

    def module(**parts: object) -> bytes:
        state = {"training": True, "_parameters": {}, "_buffers": {}, "_modules": {}} | parts
        linear = torch.named("torch.nn.modules.linear:Linear")
        return linear + b")\x81" + torch.value(state) + b"b"

    passing = torch.call("__builtin__:set", ["cache"])
    inner = module(
        _parameters=torch.ordered({"weight": row()}),
        _buffers={"mean": row((2,)), "cache": row((3,))},
        _non_persistent_buffers_set=passing,
    )
    source = torch.torch_zip(
        tmp_path / "m.pt", module(_modules={"fc": inner}), {"0": ROW.tobytes()}
    )
    done = convert(source, tmp_path / "model.safetensors")
    assert {t.name for t in done.tensors} == {"fc.weight", "fc.mean"}


def test_scalars_are_kept_on_request(tmp_path: Path) -> None:
    """Numbers and texts go into the metadata as JSON; what JSON lacks is text."""
    root = {"w": row(), "epoch": 3, "loss": float("nan"), "name": "x", "flag": True, "no": None}
    converted(tmp_path, root, {"0": ROW.tobytes()}, keep_scalars=True)
    _, metadata = read(tmp_path / "model.safetensors")
    assert json.loads(metadata["scalars"]) == {
        "epoch": 3, "flag": True, "loss": "nan", "name": "x", "no": None,
    }  # fmt: skip


def test_big_endian(tmp_path: Path) -> None:
    """A checkpoint of a big-endian machine is turned round, element by element."""
    root = {"w": row((3, 4), (4, 1)), "b": torch.tensor("1", "ByteStorage", 3, (3,), (1,))}
    storages = {"0": ROW.astype(">f4").tobytes(), "1": b"abc"}
    source = torch.torch_zip(tmp_path / "model.pt", root, storages, order=b"big")
    convert(source, tmp_path / "model.safetensors")
    found = read(tmp_path / "model.safetensors")[0]
    assert found["w"] == ("F32", [3, 4], ROW.tobytes())
    assert found["b"] == ("U8", [3], b"abc")


def test_compressed_members(tmp_path: Path) -> None:
    """Members that are deflated are expanded first."""
    source = torch.torch_zip(
        tmp_path / "model.pt", {"w": row()}, {"0": ROW.tobytes()}, compress=True
    )
    convert(source, tmp_path / "model.safetensors")
    assert np.array_equal(arrays(tmp_path / "model.safetensors")["w"], ROW)


def test_legacy_file(tmp_path: Path) -> None:
    """The stream of five pickles and raw storages."""
    root = torch.ordered(
        {
            "w": torch.tensor("94", "FloatStorage", 12, (4, 3), (1, 4), legacy=True),
            "n": torch.tensor("17", "LongStorage", 1, (), (), legacy=True),
        }
    )
    storages = {"94": (12, ROW.tobytes()), "17": (1, struct.pack("<q", -5))}
    source = torch.torch_legacy(tmp_path / "model.pth", root, storages)
    done = convert(source, tmp_path / "model.safetensors")
    found = arrays(tmp_path / "model.safetensors")
    assert np.array_equal(found["w"], ROW.reshape(3, 4).T)
    assert found["n"] == -5
    assert done.source_format == "torch legacy"


@pytest.mark.parametrize("compressed", [False, True])
def test_npz(tmp_path: Path, compressed: bool) -> None:  # noqa: FBT001
    """Each array under its own name, in any order of dimensions and bytes."""
    want = {
        "a": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "b": np.arange(4, dtype=">i2"),
        "c": np.array(3 + 4j, "c8"),
        "d": np.zeros((0, 2), "?"),
    }
    (np.savez_compressed if compressed else np.savez)(tmp_path / "x.npz", **want)
    convert(tmp_path / "x.npz", tmp_path / "x.safetensors")
    found = arrays(tmp_path / "x.safetensors")
    assert found.keys() == want.keys()
    assert all(np.array_equal(found[name], want[name]) for name in want)


def test_npy(tmp_path: Path) -> None:
    """The only array has the name ``array``."""
    np.save(tmp_path / "x.npy", ROW)
    convert(tmp_path / "x.npy", tmp_path / "x.safetensors")
    assert np.array_equal(arrays(tmp_path / "x.safetensors")["array"], ROW)


@pytest.mark.parametrize("dtype", ["f16", "c16", "S3", "U2", "M8[s]", [("a", "f4")]], ids=str)
def test_arrays_that_safetensors_cannot_hold(tmp_path: Path, dtype: Any) -> None:
    """They are refused by name."""
    np.savez(tmp_path / "x.npz", fine=ROW, odd=np.zeros(2, dtype))
    with pytest.raises(UnsupportedFormatError, match="'odd'"):
        convert(tmp_path / "x.npz", tmp_path / "x.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_several_arrays_in_one_npy_file(tmp_path: Path) -> None:
    """There are no names for them."""
    with (tmp_path / "x.npy").open("wb") as file:
        np.save(file, ROW)
        np.save(file, ROW)
    with pytest.raises(UnsupportedFormatError, match="several arrays"):
        convert(tmp_path / "x.npy", tmp_path / "x.safetensors")


CONJUGATED = torch.call(
    "torch._utils:_rebuild_tensor_v2",
    torch.storage("0", "FloatStorage", 12), 0, (12,), (1,), torch.NO_GRADIENT, torch.HOOKS,
    {"conj": True},
)  # fmt: skip
SPARSE = torch.call(
    "torch._utils:_rebuild_sparse_tensor", torch.named("torch:float32"), (row(), row(), (3, 3))
)
NO_STORAGE = torch.call(
    "torch._utils:_rebuild_meta_tensor_no_storage",
    torch.named("torch:float32"), (3,), (1,), torch.NO_GRADIENT,
)  # fmt: skip


@pytest.mark.parametrize(
    ("root", "match"),
    [
        ({"x": CONJUGATED}, "'x'.*metadata"),
        ({"x": SPARSE}, r"'x'.*_rebuild_sparse_tensor"),
        ({"x": NO_STORAGE}, "'x'.*no_storage"),
        ({"x": torch.storage("0", "FloatStorage", 12)}, "'x'.*bare storage"),
        ({"x": torch.new_tensor("0", 48, (12,), "bits8")}, "'x'"),
        ({"x": torch.tensor("0", "ComplexDoubleStorage", 3, (3,), (1,))}, "'x'.*ComplexDouble"),
        ({"a.b": row(), "a": {"b": row()}}, "'a.b': two tensors"),
        ({"0": row(), 0: row()}, "'0': two tensors"),
        ({"../x": row()}, "a name that would be a path"),
        ({"x\n": row()}, "a name that would be a path"),
        ({"x": {(1, 2): row()}}, "'x' has a key"),
        ({"x": {None: row()}}, "'x' has a key"),
        ({"epoch": 1}, "not a single tensor"),
        ({}, "not a single tensor"),
        (torch.ordered({"w": row()}, {"extra": row()}), "attributes"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_named(tmp_path: Path, root: object, match: str) -> None:
    """Nothing is left out without a word: the conversion ends, and writes nothing."""
    with pytest.raises(ArtifactError) as caught:
        converted(tmp_path, root, {"0": ROW.tobytes()})
    if not isinstance(caught.value, UnsafeArtifactError):  # some are refused by the scan already
        assert isinstance(caught.value, UnsupportedFormatError)
        caught.match(match)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_expanded_beyond_the_limits(tmp_path: Path) -> None:
    """A view that grows enormously is refused before a byte is written."""
    root = {"x": row((1 << 20, 12), (0, 1))}
    with pytest.raises(ResourceLimitError, match=r"'x'.*expanded_bytes"):
        converted(tmp_path, root, {"0": ROW.tobytes()}, limits=Limits(expanded_bytes=1 << 20))
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_deep_nesting(tmp_path: Path) -> None:
    """The walk ends at a hundred levels."""
    root: object = row()
    for _ in range(120):
        root = {"x": root}
    with pytest.raises(ResourceLimitError, match="100 deep"):
        converted(tmp_path, root, {"0": ROW.tobytes()})


@pytest.mark.parametrize(
    ("root", "storages"),
    [
        ({"x": row((13,))}, {"0": ROW.tobytes()}),
        ({"x": row()}, {"0": ROW.tobytes()[:-1]}),
        ({"x": row()}, {"0": ROW.tobytes() + b"?"}),
        ({"x": row()}, {}),
        ({"x": torch.call("no_such_module:anything", row())}, {"0": ROW.tobytes()}),
    ],
)
def test_unsafe_source_is_refused(tmp_path: Path, root: object, storages: dict[str, bytes]) -> None:
    """What the scan does not find safe is not converted; the message says why."""
    with pytest.raises(ArtifactError):
        converted(tmp_path, root, storages)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_refusal_names_the_finding(tmp_path: Path) -> None:
    """The message holds the verdict, the rule and the member."""
    root = {"x": torch.call("no_such_module:anything", 1)}
    with pytest.raises(UnsafeArtifactError, match=r"not safe to convert \(unknown.*MS-.*data\.pkl"):
        converted(tmp_path, root, {})


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02N.", b'{"a": 1}'])
def test_files_without_tensors(tmp_path: Path, content: bytes) -> None:
    """Other files are refused, whatever they are called."""
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(ArtifactError):
        convert(tmp_path / "x.pt", tmp_path / "x.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]


def test_zip_of_something_else(tmp_path: Path) -> None:
    """An archive that is neither a checkpoint nor arrays is refused."""
    import zipfile  # noqa: PLC0415 - for this test only

    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("readme.txt", "hello\n")
    with pytest.raises(UnsupportedFormatError, match="neither"):
        convert(tmp_path / "x.pt", tmp_path / "x.safetensors")


def test_paths_that_are_wrong(tmp_path: Path) -> None:
    """A missing source, a folder, a pipe, a missing target folder, and the source itself."""
    source = torch.torch_zip(tmp_path / "m.pt", {"w": row()}, {"0": ROW.tobytes()})
    before = source.read_bytes()
    target = tmp_path / "m.safetensors"
    os.mkfifo(tmp_path / "pipe")
    for wrong in (tmp_path / "none.pt", tmp_path, tmp_path / "pipe", "a\0b"):
        with pytest.raises(ConfigurationError):
            convert(wrong, target)
    with pytest.raises(ConfigurationError, match="cannot write"):
        convert(source, tmp_path / "none" / "m.safetensors")
    (tmp_path / "link").symlink_to(source)
    for same in (source, tmp_path / "link"):
        with pytest.raises(ConfigurationError, match="onto itself"):
            convert(source, same)
    with pytest.raises(ConfigurationError, match="on_shared"):
        convert(source, target, on_shared="maybe")  # type: ignore[arg-type]
    assert source.read_bytes() == before
    assert not target.exists()


def test_old_output_survives_a_failure(tmp_path: Path) -> None:
    """What stood under the name stays until the new file is complete."""
    target = tmp_path / "model.safetensors"
    target.write_bytes(b"old")
    with pytest.raises(ArtifactError):
        converted(tmp_path, {"x": row((13,))}, {"0": ROW.tobytes()})
    assert target.read_bytes() == b"old"


def test_source_that_changes_meanwhile(tmp_path: Path) -> None:
    """A source that is written to during the conversion gives no output."""
    source = torch.torch_zip(tmp_path / "m.pt", {"w": row()}, {"0": ROW.tobytes()})

    def meddle(done: int, total: int) -> None:
        del done, total
        os.utime(source)

    with pytest.raises(MalformedArtifactError, match="changed"):
        convert(source, tmp_path / "m.safetensors", on_progress=meddle)
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt"]


@pytest.mark.parametrize("code", [errno.EXDEV, errno.ENOSYS, None])
def test_without_kernel_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    """Where the kernel cannot copy, or stops half-way, reading and writing takes its place."""

    def broken(*_: object) -> int:
        if code is None:
            return 0
        raise OSError(code, "no")

    monkeypatch.setattr(os, "copy_file_range", broken, raising=False)
    converted(tmp_path, {"w": row()}, {"0": ROW.tobytes()})
    assert np.array_equal(arrays(tmp_path / "model.safetensors")["w"], ROW)


def test_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error of ours, and leaves nothing behind."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "copy_file_range", full, raising=False)
    with pytest.raises(ConfigurationError, match="No space left"):
        converted(tmp_path, {"w": row()}, {"0": ROW.tobytes()})
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_output_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a byte arrives wrongly, there is no output."""

    def wrong(_: int, target: int, size: int, __: int, position: int) -> int:
        return os.pwrite(target, b"\1" * size, position)

    monkeypatch.setattr(os, "copy_file_range", wrong, raising=False)
    with pytest.raises(ArtifactError, match="'w' is not in the output"):
        converted(tmp_path, {"w": row()}, {"0": ROW.tobytes()})
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_progress(tmp_path: Path) -> None:
    """Progress rises to the total, whatever digests are computed."""
    for digests in (False, True):
        told: list[tuple[int, int]] = []
        converted(
            tmp_path,
            {"w": row(), "t": row((4, 3), (1, 4))},
            {"0": ROW.tobytes()},
            digests=digests,
            on_progress=lambda done, total, told=told: told.append((done, total)),
        )
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1]


def test_digests_on_request(tmp_path: Path) -> None:
    """Without them the source's is still there."""
    done = converted(tmp_path, {"w": row()}, {"0": ROW.tobytes()}, digests=False)
    assert done.target_sha256 is None
    assert done.tensors[0].sha256 is None
    assert len(done.source_sha256) == 64


def test_header_never_begins_as_a_pickle(tmp_path: Path) -> None:
    """The header's length is the file's first byte: readers must not take it for a pickle."""
    seen = set()
    for length in range(1, 120, 8):
        converted(tmp_path, {"n" * length: row()}, {"0": ROW.tobytes()})
        first = (tmp_path / "model.safetensors").read_bytes()[0]
        seen.add(first)
        assert first % 8 == 0
    assert 0x80 not in seen
    assert len(seen) > 8


def test_conversions_run_side_by_side(tmp_path: Path) -> None:
    """Two threads that convert the same file do not meet."""
    source = torch.torch_zip(tmp_path / "m.pt", {"w": row((4, 3), (1, 4))}, {"0": ROW.tobytes()})
    threads = [
        threading.Thread(target=convert, args=(source, tmp_path / f"{n}.safetensors"))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({(tmp_path / f"{n}.safetensors").read_bytes() for n in range(4)}) == 1


def test_file_that_shrinks(tmp_path: Path) -> None:
    """Reading beyond the end is an error of ours, not an endless loop."""
    (tmp_path / "x").write_bytes(b"abc")
    with (tmp_path / "x").open("rb") as file, pytest.raises(MalformedArtifactError, match="shrank"):
        transfer.digest(transfer.Range(file.fileno(), 0, 10))
