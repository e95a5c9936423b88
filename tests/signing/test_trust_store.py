import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from modelsec.errors import ConfigurationError, ModelSecError, StaleModelError
from modelsec.signing import ReleaseMemory, TrustStore

FIRST, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return TrustStore(tmp_path / "releases.json")


def test_it_is_a_release_memory(store: TrustStore) -> None:
    """What a fleet puts in its place has the same two methods."""
    assert isinstance(store, ReleaseMemory)


def test_an_unknown_model_is_admitted_and_leaves_no_trace(
    store: TrustStore, tmp_path: Path
) -> None:
    """Asking writes nothing."""
    store.admit("churn", 3, FIRST)
    assert list(tmp_path.iterdir()) == []


def test_newer_releases_replace_older_ones(store: TrustStore) -> None:
    """Serials go up, by whatever steps."""
    for serial in (0, 1, 7, 2**63 - 1):
        store.admit("churn", serial, FIRST)
        store.remember("churn", serial, FIRST)
    with pytest.raises(StaleModelError, match="older than release"):
        store.admit("churn", 8, FIRST)


def test_an_older_release_is_refused_by_both_methods(store: TrustStore) -> None:
    """Also when another process remembered a newer one in between."""
    store.remember("churn", 7, FIRST)
    for method in (store.admit, store.remember):
        with pytest.raises(StaleModelError, match="release 6 of 'churn' is older than release 7"):
            method("churn", 6, FIRST)


def test_a_serial_is_used_once(store: TrustStore) -> None:
    """The same release may come again, other content under its serial may not."""
    store.remember("churn", 7, FIRST)
    store.remember("churn", 7, FIRST)
    for method in (store.admit, store.remember):
        with pytest.raises(StaleModelError, match="other content"):
            method("churn", 7, OTHER)


def test_models_do_not_know_each_other(store: TrustStore) -> None:
    """Each name counts by itself."""
    store.remember("churn", 7, FIRST)
    store.remember("fraud", 1, OTHER)
    store.admit("fraud", 1, OTHER)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 2, "models": {}}',
        b'{"version": 1}',
        b'{"version": 1, "models": []}',
        b'{"version": 1, "models": {"churn": 7}}',
        b'{"version": 1, "models": {"churn": {"serial": 7}}}',
        b'{"version": 1, "models": {"churn": {"serial": true, "tree_digest": "a"}}}',
        b'{"version": 1, "models": {"churn": {"serial": -1, "tree_digest": "a"}}}',
        b'{"version": 1, "models": {"churn": {"serial": 1e3, "tree_digest": "a"}}}',
        b'{"version": 1, "models": {}, "models": {}}',
        b"\xff" * 100,
        b"[" * 100_000,
    ],
)
def test_a_damaged_store_is_not_an_empty_one(content: bytes, tmp_path: Path) -> None:
    """It is refused, by both methods, and kept as it is."""
    path = tmp_path / "releases.json"
    path.write_bytes(content)
    for method in (TrustStore(path).admit, TrustStore(path).remember):
        with pytest.raises(ConfigurationError, match="damaged"):
            method("churn", 1, FIRST)
    assert path.read_bytes() == content


def test_a_store_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, and a link to nowhere, which a careless test would take for nothing yet."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "dangling"):
        with pytest.raises(ConfigurationError, match="cannot"):
            TrustStore(tmp_path / name).admit("churn", 1, FIRST)


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Not remembering is not permitted either."""
    with pytest.raises(ConfigurationError, match="cannot"):
        TrustStore(tmp_path / "missing" / "releases.json").remember("churn", 1, FIRST)


def test_concurrent_writers_lose_nothing(store: TrustStore, tmp_path: Path) -> None:
    """Each thread remembers a model of its own; all are there in the end, and no serial fell."""
    failures: list[ModelSecError] = []

    def remember(number: int) -> None:
        try:
            for serial in range(10):
                store.remember(f"model-{number}", serial, FIRST)
        except ModelSecError as error:
            failures.append(error)

    threads = [threading.Thread(target=remember, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    models = json.loads((tmp_path / "releases.json").read_text("utf-8"))["models"]
    assert {name: entry["serial"] for name, entry in models.items()} == {
        f"model-{number}": 9 for number in range(8)
    }


def test_it_works_where_there_are_no_file_locks(
    store: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has no fcntl; replacing the file stays atomic."""
    monkeypatch.setitem(__import__("sys").modules, "fcntl", None)
    store.remember("churn", 7, FIRST)
    store.admit("churn", 7, FIRST)


def test_its_lock_is_not_a_link(tmp_path: Path) -> None:
    """Somebody else's link in the place of the lock file is not followed."""
    (tmp_path / ".releases.json.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="cannot lock"):
        TrustStore(tmp_path / "releases.json").remember("churn", 1, FIRST)
    assert not os.path.lexists(tmp_path / "elsewhere")


def test_what_is_known_needs_no_write(store: TrustStore, tmp_path: Path) -> None:
    """A store on storage that cannot be written still serves the release that it knows."""
    store.remember("churn", 7, FIRST)
    (tmp_path / ".releases.json.lock").unlink()
    before = sorted(tmp_path.iterdir())
    store.remember("churn", 7, FIRST)
    assert sorted(tmp_path.iterdir()) == before


def test_a_store_does_not_outgrow_what_it_reads(
    store: TrustStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one model more than fits: it would lock out all of them."""
    monkeypatch.setattr("modelsec.signing.trust_store._LIMIT", 200)
    store.remember("a", 1, FIRST)
    with pytest.raises(ConfigurationError, match="would have more than 200 bytes"):
        store.remember("b", 1, OTHER)
    store.admit("a", 1, FIRST)
    (tmp_path / "releases.json").write_bytes(b" " * 201)
    with pytest.raises(ConfigurationError, match="damaged"):
        store.admit("a", 1, FIRST)


@pytest.mark.parametrize(
    ("name", "serial", "digest"),
    [
        *(("", 1, FIRST), ("n" * 1025, 1, FIRST), (5, 1, FIRST), (None, 1, FIRST)),
        *(("m", True, FIRST), ("m", None, FIRST), ("m", 2**63, FIRST)),
        *(("m", 1, ""), ("m", 1, None), ("m", 1, "\udcff"), ("m", 1, "a" * 1025)),
    ],
)
def test_only_releases_are_asked_for(
    store: TrustStore, tmp_path: Path, name: Any, serial: Any, digest: Any
) -> None:
    """By both methods, and nothing is written."""
    for method in (store.admit, store.remember):
        with pytest.raises(ConfigurationError, match="of a release"):
            method(name, serial, digest)
    assert list(tmp_path.iterdir()) == []
