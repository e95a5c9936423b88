"""Manifests of trees, and what is noticed while they are made."""

import hashlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelsec.errors import (
    ConfigurationError,
    DigestMismatchError,
    UnsafeTreeError,
    UnsupportedBundleError,
)
from modelsec.signing.hashing import parallel
from modelsec.signing.hashing import survey as survey_module
from modelsec.signing.hashing.digest_cache import DigestCache
from modelsec.signing.hashing.survey import Survey, survey
from modelsec.signing.manifest import Layout, Manifest
from modelsec.signing.profile import OMS, STRICT
from modelsec.signing.trees import walk
from modelsec.signing.trees.tree import open_tree

MIB = 1_048_576


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No test may leave a thread or a descriptor behind."""
    before = _open_descriptors()
    yield
    assert not [thread for thread in threading.enumerate() if "modelsec" in thread.name]
    assert _open_descriptors() <= before


def _open_descriptors() -> int:
    table = Path("/proc/self/fd")
    return len(list(table.iterdir())) if table.exists() else 0


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Small files, one of them empty."""
    root = tmp_path / "model"
    (root / "unet").mkdir(parents=True)
    (root / "config.json").write_bytes(b"{}")
    (root / "empty").write_bytes(b"")
    (root / "unet" / "w.bin").write_bytes(bytes(range(250)))
    return root


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Files that are worth threads: 9 MiB in five files."""
    root = tmp_path / "large"
    root.mkdir()
    for number, size in enumerate((4 * MIB, 3 * MIB, MIB, MIB - 1, 7)):
        (root / f"w{number}.bin").write_bytes(bytes([number]) * size)
    return root


def surveyed(path: Path, layout: Layout | None = None, **options: object) -> Survey:
    with open_tree(path, profile=STRICT) as tree:
        return survey(tree, layout or Layout(), **options)  # type: ignore[arg-type]


def labels(manifest: Manifest) -> dict[str, str]:
    return {resource.label: resource.digest.hex() for resource in manifest.resources}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_every_file_is_listed_with_its_digest(model: Path) -> None:
    """Whole files, empty ones too, in the order of their labels."""
    found = surveyed(model)
    assert labels(found.manifest) == {
        "config.json": sha256(b"{}"),
        "empty": sha256(b""),
        "unet/w.bin": sha256(bytes(range(250))),
    }
    assert [resource.end for resource in found.manifest.resources] == [None] * 3
    assert found.manifest.empty_files == ()
    assert not found.manifest.single_file
    assert found.cached == ()


def test_shards_are_ranges_and_leave_empty_files_out(model: Path) -> None:
    """The last range may be shorter; empty files are listed apart (OMS v1.0, section 6.3.2)."""
    layout = Layout(shard_size=100)
    found = surveyed(model, layout).manifest
    data = bytes(range(250))
    assert labels(found) == {
        "config.json:0:2": sha256(b"{}"),
        "unet/w.bin:0:100": sha256(data[:100]),
        "unet/w.bin:100:200": sha256(data[100:200]),
        "unet/w.bin:200:250": sha256(data[200:]),
    }
    assert found.empty_files == ("empty",)
    assert found.layout == layout
    assert found.names == ("config.json", "empty", "unet/w.bin")


def test_shards_are_ordered_as_text(tmp_path: Path) -> None:
    """OMS sorts labels: ``f:10:12`` stands before ``f:2:4``."""
    (tmp_path / "f").write_bytes(b"x" * 12)
    found = surveyed(tmp_path / "f", Layout(shard_size=2)).manifest
    assert [resource.label for resource in found.resources] == sorted(labels(found))
    assert found.resources[1].label == "f:10:12"
    assert found.single_file


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("shard_size", [None, MIB, 3_000_000, 10**12])
def test_threads_and_order_change_nothing(
    large: Path, algorithm: str, shard_size: int | None
) -> None:
    """One thread, three, or as many as cores: the same manifest."""
    layout = Layout(algorithm, shard_size)  # type: ignore[arg-type]
    manifests = [surveyed(large, layout, workers=workers).manifest for workers in (1, 3, None)]
    assert manifests[0] == manifests[1] == manifests[2]
    assert manifests[0].tree_digest == manifests[2].tree_digest


def test_a_small_model_needs_no_threads(
    model: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads are started, and their module imported, only where they pay."""
    monkeypatch.setitem(sys.modules, "modelsec.signing.hashing.parallel", None)
    surveyed(model, workers=8)
    surveyed(large, workers=1)
    with pytest.raises(ImportError):
        surveyed(large, workers=8)


def test_only_named_files_are_read(model: Path) -> None:
    """The others may change, and be anything."""

    def spoil(_done: int, _total: int) -> None:
        (model / "config.json").write_bytes(b"changed")

    found = surveyed(model, only=["unet/w.bin"], on_progress=spoil)
    assert found.manifest.names == ("unet/w.bin",)
    assert surveyed(model, Layout(shard_size=9), only={"empty"}).manifest.empty_files == ("empty",)


def test_a_named_file_that_is_missing_or_changes_is_refused(model: Path) -> None:
    """Naming a file is asking for it."""
    with pytest.raises(DigestMismatchError, match=r"no file '\.\./config\.json'") as caught:
        surveyed(model, only=["absent", "config.json", "../config.json"])
    assert caught.value.missing == ("../config.json", "absent")

    def spoil(_done: int, _total: int) -> None:
        (model / "config.json").unlink()

    with pytest.raises(DigestMismatchError) as caught:
        surveyed(model, only=["config.json"], on_progress=spoil)
    assert caught.value.missing == ("config.json",)


@pytest.mark.parametrize("workers", [1, 3])
def test_progress_is_told_in_the_callers_thread_and_ends_at_the_total(
    large: Path, workers: int
) -> None:
    """It never goes back, is not told too often, and its last word is the total."""
    told: list[tuple[int, int]] = []
    threads: set[threading.Thread] = set()

    def tell(done: int, total: int) -> None:
        told.append((done, total))
        threads.add(threading.current_thread())

    surveyed(large, workers=workers, on_progress=tell)
    size = sum(file.stat().st_size for file in large.iterdir())
    assert told[-1] == (size, size)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert {total for _, total in told} == {size}
    assert len(told) <= 10
    assert threads == {threading.current_thread()}


def test_progress_of_an_empty_file_is_told_once(tmp_path: Path) -> None:
    """Nothing to read is done at once."""
    (tmp_path / "f").write_bytes(b"")
    told: list[tuple[int, int]] = []
    surveyed(tmp_path / "f", on_progress=lambda *both: told.append(both))
    assert told == [(0, 0)]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_exception_from_progress_ends_the_survey(
    large: Path, workers: int, kind: type[BaseException]
) -> None:
    """It passes through as it is; ``nothing_left`` sees that no thread remains."""

    def cancel(_done: int, _total: int) -> None:
        raise kind("enough")

    with pytest.raises(kind, match="enough"):
        surveyed(large, workers=workers, on_progress=cancel)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="sends a signal to this thread")
def test_an_interrupt_ends_all_threads(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C while the caller waits for its threads."""
    caller = threading.get_ident()
    original = survey_module.hash_descriptor
    release, both = threading.Event(), threading.Barrier(2)

    def interrupted(*arguments: object) -> bytes:
        if both.wait(5) == 0:
            signal.pthread_kill(caller, signal.SIGINT)
        release.wait(5)
        return original(*arguments)  # type: ignore[arg-type]

    def cleanly(thread: threading.Thread, timeout: float | None = None) -> None:
        release.set()
        join(thread, timeout)

    join = threading.Thread.join
    monkeypatch.setattr(survey_module, "hash_descriptor", interrupted)
    monkeypatch.setattr(threading.Thread, "join", cleanly)
    with pytest.raises(KeyboardInterrupt):
        surveyed(large, workers=2)


def _change_after(path: Path, change: Callable[[], object]) -> Callable[[int, int], None]:
    """Do something when the first bytes have been read."""
    changed: list[Path] = []

    def tell(_done: int, _total: int) -> None:
        if not changed:
            changed.append(path)
            change()

    return tell


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("target", ["w0.bin", "w4.bin"])
@pytest.mark.parametrize("act", ["rewrite", "truncate", "replace", "remove", "touch", "link"])
def test_a_file_that_changes_while_any_is_hashed_is_noticed(
    large: Path, workers: int, target: str, act: str
) -> None:
    """Whether it was read already, is being read, or is yet to be: the survey fails."""
    file = large / target
    os.utime(file, ns=(0, 0))
    size = file.stat().st_size

    def change() -> None:
        if act == "rewrite":
            file.write_bytes(b"Z" * size)
        if act == "truncate":
            os.truncate(file, size // 2)
        if act == "replace":
            (large.parent / "new").write_bytes(file.read_bytes())
            (large.parent / "new").replace(file)
        if act == "remove":
            file.unlink()
        if act == "touch":
            os.utime(file, ns=(1, 1))
        if act == "link":
            file.rename(large.parent / "aside")
            file.symlink_to(large.parent / "aside")

    with pytest.raises((DigestMismatchError, UnsafeTreeError)) as caught:
        surveyed(large, workers=workers, on_progress=_change_after(file, change))
    assert target in str(caught.value)
    if act in {"rewrite", "truncate", "touch"}:
        assert isinstance(caught.value, DigestMismatchError)
        assert caught.value.changed == (target,)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_file_that_is_added_while_hashing_is_noticed(large: Path, workers: int) -> None:
    """The tree is listed again at the end."""
    tell = _change_after(large, lambda: (large / "evil.py").write_bytes(b"x"))
    with pytest.raises(DigestMismatchError) as caught:
        surveyed(large, workers=workers, on_progress=tell)
    assert caught.value.added == ("evil.py",)


def test_a_file_that_is_cut_within_one_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the times do not tell, the missing bytes do."""
    file = tmp_path / "f"
    file.write_bytes(b"x" * 100)
    original = survey_module.hash_descriptor

    def short(descriptor: int, start: int, end: int, *rest: object) -> bytes:
        return original(descriptor, start, end + 1, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(survey_module, "hash_descriptor", short)
    with pytest.raises(DigestMismatchError, match="'f': the file ends at byte 100") as caught:
        surveyed(file)
    assert caught.value.changed == ("f",)


def test_a_file_with_bytes_behind_its_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems tell a size of 0 and give bytes: a loader would read them."""
    file = tmp_path / "f"
    file.write_bytes(b"x" * 100)
    os.utime(file, ns=(0, 0))
    original = walk.identity_of

    def smaller(status: os.stat_result) -> tuple[int, ...]:
        identity = original(status)
        return (*identity[:2], 0, *identity[3:])

    with open_tree(file, profile=STRICT) as tree:
        entry = tree.entries[0]
        lying = replace(entry, size=0, identity=smaller(file.stat()))  # type: ignore[arg-type]
        monkeypatch.setattr("modelsec.signing.trees.tree.identity_of", smaller)
        tree.entries = (lying,)
        with pytest.raises(DigestMismatchError, match="bytes behind its end") as caught:
            survey(tree, Layout())
    assert caught.value.changed == ("f",)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_read_error_names_its_file(
    large: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails is told with the file's name; the first error is the one that is raised."""

    def failing(*_arguments: object) -> bytes:
        raise UnsafeTreeError("cannot read at byte 0: Input/output error")

    monkeypatch.setattr(survey_module, "hash_descriptor", failing)
    with pytest.raises(UnsafeTreeError, match=r"'w\d\.bin': cannot read at byte 0"):
        surveyed(large, workers=workers)


def test_a_system_without_threads_is_served_by_one(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no thread can be started, the caller's does the work; if some can, they do."""
    expected = surveyed(large, workers=1)
    start = threading.Thread.start
    permitted = 1

    def refused(thread: threading.Thread) -> None:
        nonlocal permitted
        if not permitted:
            raise RuntimeError("can't start new thread")
        permitted -= 1
        start(thread)

    monkeypatch.setattr(parallel.threading.Thread, "start", refused)
    assert surveyed(large, workers=4) == expected
    assert surveyed(large, workers=4) == expected


def test_a_sparse_file_is_hashed_in_shards(tmp_path: Path) -> None:
    """Holes are zeros, and ranges of one file are shared among threads."""
    file = tmp_path / "sparse"
    with file.open("wb") as opened:
        opened.truncate(40 * MIB)
        opened.seek(25 * MIB)
        opened.write(b"data")
    found = surveyed(file, Layout(shard_size=16 * MIB), workers=2).manifest
    assert labels(found)[f"sparse:0:{16 * MIB}"] == sha256(bytes(16 * MIB))
    assert labels(found)[f"sparse:{32 * MIB}:{40 * MIB}"] == sha256(bytes(8 * MIB))
    assert len(found.resources) == 3


def test_too_many_ranges_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    """A hostile size of shards costs nothing, however large the file is."""
    file = tmp_path / "sparse"
    with file.open("wb") as opened:
        opened.truncate(8 * 10**12)
    for size in (1, 1000, 7_999_999):
        with pytest.raises(UnsupportedBundleError, match="larger shards"):
            surveyed(file, Layout(shard_size=size))


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "9", float("nan")])
def test_the_size_of_shards_must_be_a_positive_integer(model: Path, size: object) -> None:
    """Anything else is the caller's fault."""
    with pytest.raises(ConfigurationError, match="shard_size"):
        surveyed(model, Layout(shard_size=size))  # type: ignore[arg-type]


def test_shards_of_empty_files_alone_sign_nothing(tmp_path: Path) -> None:
    """A manifest without resources would fit any model."""
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(UnsafeTreeError, match="all files are empty"):
        surveyed(tmp_path, Layout(shard_size=10))


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 0},
        {"workers": -1},
        {"workers": True},
        {"workers": "2"},
        {"workers": 1.0},
        {"only": "config.json"},
        {"only": []},
        {"only": 3},
        {"only": [3]},
        {"only": [["config.json"]]},
        {"layout": "sha256"},
        {"layout": None},
        {"layout": Layout("md5")},  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_the_callers_fault(model: Path, options: dict[str, object]) -> None:
    """They are refused before a byte is read."""
    layout = options.pop("layout", Layout())
    with (
        open_tree(model, profile=STRICT) as tree,
        pytest.raises(ConfigurationError),
    ):
        survey(tree, layout, **options)  # type: ignore[arg-type]


def test_links_are_hashed_under_their_own_names(model: Path) -> None:
    """Where the profile permits links, each is a resource."""
    (model / "link.bin").symlink_to("unet/w.bin")
    with open_tree(model, profile=OMS, allow_symlinks=True) as tree:
        found = survey(tree, Layout(allow_symlinks=True)).manifest
    assert labels(found)["link.bin"] == labels(found)["unet/w.bin"]


def test_a_survey_with_a_cache_reads_nothing_twice(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second survey is equal, says what it did not read, and a change is read again."""
    later = datetime.now(UTC) + timedelta(seconds=10)
    cache = DigestCache(tmp_path / "cache", lambda: later)
    layout = Layout(shard_size=100)
    first = surveyed(model, layout, cache=cache)
    assert first.cached == ()
    told: list[tuple[int, int]] = []
    with monkeypatch.context() as patch:
        patch.setattr(survey_module, "hash_descriptor", None)
        again = surveyed(
            model,
            layout,
            cache=DigestCache(tmp_path / "cache"),
            on_progress=lambda *both: told.append(both),
        )
    assert again.manifest == first.manifest
    assert again.cached == ("config.json", "unet/w.bin")
    assert told == [(252, 252)]
    (model / "config.json").write_bytes(b"{ }")
    third = surveyed(model, layout, cache=DigestCache(tmp_path / "cache", lambda: later))
    assert third.cached == ("unet/w.bin",)
    assert labels(third.manifest)["config.json:0:3"] == sha256(b"{ }")


def test_a_cached_file_that_changes_meanwhile_is_noticed(model: Path, tmp_path: Path) -> None:
    """Not reading a file does not excuse it from being looked at again, alone or with all."""
    later = datetime.now(UTC) + timedelta(seconds=10)
    cache = DigestCache(tmp_path / "cache", lambda: later)
    surveyed(model, cache=cache)
    for options in ({}, {"only": ["config.json"]}):
        os.utime(model / "config.json", ns=(0, 0))
        surveyed(model, cache=cache)
        with pytest.raises(DigestMismatchError) as caught:
            surveyed(
                model,
                cache=cache,
                on_progress=lambda *_: (model / "config.json").write_bytes(b"[]"),
                **options,
            )
        assert caught.value.changed == ("config.json",)


def test_a_survey_that_fails_remembers_nothing(large: Path, tmp_path: Path) -> None:
    """Digests are kept only when the whole tree was the same at the end."""
    later = datetime.now(UTC) + timedelta(seconds=10)
    cache = DigestCache(tmp_path / "cache", lambda: later)
    tell = _change_after(large, lambda: (large / "evil.py").write_bytes(b"x"))
    with pytest.raises(DigestMismatchError):
        surveyed(large, cache=cache, on_progress=tell)
    assert not (tmp_path / "cache").exists()


def test_a_cache_inside_the_model_is_refused(model: Path) -> None:
    """It would be an unsigned file there, and change with every survey."""
    with pytest.raises(ConfigurationError, match="inside the model"):
        surveyed(model, cache=DigestCache(model / "unet" / "cache"))
    assert not (model / "unet" / "cache").exists()


@pytest.mark.parametrize(
    ("missing", "expected"),
    [((), 3), (("process_cpu_count",), 2), (("process_cpu_count", "sched_getaffinity"), 5)],
)
def test_one_thread_is_taken_for_each_core_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], expected: int
) -> None:
    """The cores of this process count, not those of the machine, where the system tells."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    for name in missing:
        monkeypatch.delattr(os, name)
    assert survey_module._threads(None) == expected
