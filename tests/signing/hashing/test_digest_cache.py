"""What a digest cache remembers, and when it refuses to."""

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ConfigurationError
from modelsec.signing.hashing import digest_cache
from modelsec.signing.hashing.digest_cache import DigestCache

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
OLD = NOW_NS - 10**10
FILE = (65024, 4711, 1000, OLD, OLD)
DIGEST = hashlib.sha256(b"x").digest()


def cache_at(path: Path, now: datetime = NOW) -> DigestCache:
    return DigestCache(path, lambda: now)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "digests"


@pytest.fixture
def saved(path: Path) -> Path:
    """A cache of one digest."""
    cache = cache_at(path)
    cache.put(FILE, "sha256", 0, 1000, DIGEST, cache.now())
    cache.save()
    return path


@pytest.fixture
def loose_mask() -> Iterator[None]:
    """Files of this process are writable for everybody unless they say otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_digest_is_remembered_at_once_and_in_the_next_process(path: Path) -> None:
    """What was put is found, before and after saving."""
    cache = cache_at(path)
    assert cache.get(FILE, "sha256", 0, 1000) is None
    cache.put(FILE, "sha256", 0, 1000, DIGEST, cache.now())
    cache.put(FILE, "blake2b", 0, 1000, b"b" * 64, cache.now())
    assert cache.get(FILE, "sha256", 0, 1000) == DIGEST
    cache.save()
    for again in (cache, cache_at(path), DigestCache(str(path))):
        assert again.get(FILE, "sha256", 0, 1000) == DIGEST
        assert again.get(FILE, "blake2b", 0, 1000) == b"b" * 64


@pytest.mark.parametrize("place", range(5))
def test_any_change_of_the_identity_is_another_file(saved: Path, place: int) -> None:
    """Device, inode, size, modification and change: each one counts."""
    other = list(FILE)
    other[place] -= 1
    assert cache_at(saved).get(tuple(other), "sha256", 0, 1000) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("algorithm", "start", "end"),
    [("blake3", 0, 1000), ("blake2b", 0, 1000), ("sha256", 1, 1000), ("sha256", 0, 999)],
)
def test_another_range_or_algorithm_is_another_digest(
    saved: Path, algorithm: str, start: int, end: int
) -> None:
    """A digest answers only the question that was asked."""
    assert cache_at(saved).get(FILE, algorithm, start, end) is None


@pytest.mark.parametrize("field", [3, 4])
@pytest.mark.parametrize("age", [1_999_999_999, 0, -1, -(10**15)])
def test_a_file_that_was_just_written_is_not_remembered(path: Path, field: int, age: int) -> None:
    """Less than two seconds old, or from the future: a write could be invisible."""
    fresh = list(FILE)
    fresh[field] = NOW_NS - age
    cache = cache_at(path)
    cache.put(tuple(fresh), "sha256", 0, 1000, DIGEST, cache.now())  # type: ignore[arg-type]
    assert cache.get(tuple(fresh), "sha256", 0, 1000) is None  # type: ignore[arg-type]
    cache.save()
    assert not path.exists()


def test_two_seconds_are_enough(path: Path) -> None:
    """The limit itself is old enough."""
    cache = cache_at(path)
    settled = (1, 2, 3, NOW_NS - 2 * 10**9, OLD)
    cache.put(settled, "sha256", 0, 3, DIGEST, cache.now())
    assert cache.get(settled, "sha256", 0, 3) == DIGEST


def test_only_the_owner_may_read_and_write_it(path: Path, loose_mask: None) -> None:
    """Whatever the mask of the process, the file is made with mode 600."""
    assert loose_mask is None
    cache = cache_at(path)
    cache.put(FILE, "sha256", 0, 1000, DIGEST, cache.now())
    cache.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    cache_at(path)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_refused(saved: Path, mode: int) -> None:
    """They could put any digest there."""
    saved.chmod(mode)
    with pytest.raises(ConfigurationError, match="others may write"):
        cache_at(saved)


def test_a_file_of_somebody_else_is_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may write it whenever they like."""
    monkeypatch.setattr(os, "geteuid", lambda: saved.stat().st_uid + 1)
    with pytest.raises(ConfigurationError, match="owned by somebody else"):
        cache_at(saved)


def test_a_system_without_owners_and_modes_is_served(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has neither ``fchmod`` (before 3.13) nor user numbers."""
    monkeypatch.delattr(os, "fchmod")
    monkeypatch.delattr(os, "geteuid")
    cache = cache_at(path)
    cache.put(FILE, "sha256", 0, 1000, DIGEST, cache.now())
    cache.save()
    assert cache_at(path).get(FILE, "sha256", 0, 1000) == DIGEST


def test_a_link_a_folder_and_a_pipe_are_refused(saved: Path, tmp_path: Path) -> None:
    """A cache is a regular file under its own name."""
    link = tmp_path / "link"
    link.symlink_to(saved)
    with pytest.raises(ConfigurationError, match="must not be a link"):
        cache_at(link)
    with pytest.raises(ConfigurationError, match="no regular file"):
        cache_at(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="no regular file"):
        cache_at(tmp_path / "pipe")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: data[:0],
    "cut heading": lambda data: data[:10],
    "cut": lambda data: data[:-1],
    "longer": lambda data: data + b"x",
    "a record less": lambda data: data[:-104],
    "a record twice": lambda data: data + data[-104:],
    "another version": lambda data: data.replace(b"cache 1", b"cache 2"),
    "another format": lambda data: b"SQLite format 3\x00" + data,
    "a digest changed": lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
    "a key changed": lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused(saved: Path, damage: str) -> None:
    """It is neither trusted nor silently thrown away: the message says to delete it."""
    saved.write_bytes(DAMAGES[damage](saved.read_bytes()))
    with pytest.raises(ConfigurationError, match="delete it"):
        cache_at(saved)


def test_a_huge_file_is_refused_unread(saved: Path) -> None:
    """A sparse terabyte costs no memory."""
    with saved.open("r+b") as file:
        file.truncate(10**12)
    with pytest.raises(ConfigurationError, match="delete it"):
        cache_at(saved)


@pytest.mark.parametrize("value", [None, 3, b"x", ["x"]])
def test_the_path_must_be_one(value: object) -> None:
    """Anything else is the caller's fault."""
    with pytest.raises(ConfigurationError, match="is a path"):
        DigestCache(value)  # type: ignore[arg-type]


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    """NUL characters and overlong names are told, not thrown."""
    for name in ("a\0b", "x" * 300):
        with pytest.raises(ConfigurationError, match="cannot read the digest cache"):
            DigestCache(tmp_path / name)


@pytest.mark.parametrize("told", [datetime(2026, 1, 1), 1.5, None])  # noqa: DTZ001 - naive
def test_the_clock_must_tell_an_aware_time(path: Path, told: object) -> None:
    """A naive time could be hours away from the time stamps."""
    with pytest.raises(ConfigurationError, match="aware"):
        DigestCache(path, lambda: told).now()  # type: ignore[arg-type, return-value]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Nothing is lost but speed, but the user asked for it."""
    cache = cache_at(tmp_path / "absent" / "digests")
    cache.put(FILE, "sha256", 0, 1000, DIGEST, cache.now())
    with pytest.raises(ConfigurationError, match="cannot write"):
        cache.save()


def test_nothing_new_writes_nothing(saved: Path) -> None:
    """A cache may lie where it can only be read."""
    before = saved.stat()
    cache_at(saved).save()
    assert saved.stat() == before


def test_the_newest_digests_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file does not grow without bound."""
    monkeypatch.setattr(digest_cache, "MAX_RECORDS", 3)
    for hour in range(5):
        cache = cache_at(path, NOW + timedelta(hours=hour))
        cache.put((1, hour, 3, OLD, OLD), "sha256", 0, 3, DIGEST, cache.now())
        cache.save()
    cache = cache_at(path)
    kept = [cache.get((1, hour, 3, OLD, OLD), "sha256", 0, 3) is not None for hour in range(5)]
    assert kept == [False, False, True, True, True]


def test_many_digests_are_found(path: Path) -> None:
    """A hundred thousand entries are written, opened and looked up."""
    cache = cache_at(path)
    began = cache.now()
    for inode in range(100_000):
        cache.put((1, inode, 3, OLD, OLD), "sha256", 0, 3, inode.to_bytes(32, "big"), began)
    cache.save()
    again = cache_at(path)
    for inode in (0, 1, 4711, 99_999):
        assert again.get((1, inode, 3, OLD, OLD), "sha256", 0, 3) == inode.to_bytes(32, "big")
    assert again.get((1, 100_000, 3, OLD, OLD), "sha256", 0, 3) is None


def test_processes_that_write_at_once_leave_a_whole_file(path: Path) -> None:
    """The last writer wins, and no reader sees half of a file."""
    program = (
        "import sys; from datetime import *\n"
        "from modelsec.signing.hashing.digest_cache import DigestCache\n"
        "for turn in range(20):\n"
        "    cache = DigestCache(sys.argv[1], lambda: datetime(2026, 1, 1, tzinfo=timezone.utc))\n"
        "    cache.put((int(sys.argv[2]), turn, 0, 0, 0), 'sha256', 0, 9, b'd' * 32, cache.now())\n"
        "    cache.save()\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(number)])
        for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    cache = cache_at(path)
    assert any(cache.get((n, 19, 0, 0, 0), "sha256", 0, 9) == b"d" * 32 for n in range(3))
    assert not list(path.parent.glob("*.tmp"))


def test_a_cache_beside_a_model_is_permitted(tmp_path: Path) -> None:
    """Inside it is not, whatever the spelling."""
    model = tmp_path / "model"
    model.mkdir()
    alias = tmp_path / "alias"
    alias.symlink_to(model)
    cache_at(tmp_path / "model.cache").refuse_inside(model)
    for inside in (model / "c", alias / "c", model / "x" / ".." / "c"):
        with pytest.raises(ConfigurationError, match="inside the model"):
            cache_at(inside).refuse_inside(model)


IDENTITIES = st.tuples(
    st.integers(0, 2**64), st.integers(0, 2**128), st.integers(0, 2**63), *[st.integers(0, OLD)] * 2
)


@given(st.dictionaries(IDENTITIES, st.binary(min_size=32, max_size=32), max_size=20))
def test_whatever_is_put_is_found_again(
    tmp_path_factory: pytest.TempPathFactory,
    digests: dict[tuple[int, int, int, int, int], bytes],
) -> None:
    """Identities of any size round-trip through the file."""
    path = tmp_path_factory.mktemp("cache") / "digests"
    cache = cache_at(path)
    for identity, digest in digests.items():
        cache.put(identity, "sha256", 0, identity[2], digest, cache.now())
    cache.save()
    again = cache_at(path)
    for identity, digest in digests.items():
        assert again.get(identity, "sha256", 0, identity[2]) == digest


@given(st.binary(max_size=300))
def test_no_bytes_are_taken_for_a_cache(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Only what the cache has written is one."""
    path = tmp_path_factory.mktemp("cache") / "digests"
    path.touch(mode=0o600)
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match="delete it"):
        cache_at(path)
