import os
import secrets
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from modelsec.encryption import (
    Encrypted,
    decrypt_file,
    decrypt_to_buffer,
    encrypt_file,
    unverified_header,
)
from modelsec.errors import ConfigurationError, KeyServiceError, MalformedArtifactError
from tests.encryption.samples import CONTEXT, KEY, Odd, fails, wrapper


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain"
    path.write_bytes(os.urandom(10_000))
    return path


@pytest.mark.parametrize("size", [0, 1, 4040, 4041, 100_000, 3_000_000])
@pytest.mark.parametrize("segment", [4096, 1_048_576])
def test_round_trip(tmp_path: Path, size: int, segment: int) -> None:
    """What was encrypted comes back, and the receipt says what was done."""
    content = os.urandom(size)
    source, target = tmp_path / "plain", tmp_path / "sealed"
    source.write_bytes(content)
    done = encrypt_file(
        source, target, wrapper(), context=CONTEXT, segment_size=segment, digest=True
    )
    assert done == Encrypted(
        source=str(source),
        target=str(target),
        key_id=wrapper().key_id,
        context=tuple(sorted(CONTEXT.items())),
        plaintext_size=size,
        ciphertext_size=target.stat().st_size,
        segment_size=segment,
        plaintext_sha256=sha256(content).hexdigest(),
    )
    assert done.to_dict()["context"] == CONTEXT
    assert bytes(decrypt_to_buffer(target, wrapper(), context=CONTEXT)) == content
    back = decrypt_file(target, tmp_path / "back", wrapper(), context=CONTEXT, digest=True)
    assert (tmp_path / "back").read_bytes() == content
    assert back.plaintext_sha256 == done.plaintext_sha256
    assert back.to_dict()["plaintext_size"] == size


def test_nothing_repeats(tmp_path: Path, plain: Path) -> None:
    """Two encryptions of one file share their public part and nothing else."""
    for name in ("a", "b"):
        encrypt_file(plain, tmp_path / name, wrapper())
    one, two = (tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()
    assert len(one) == len(two)
    assert one != two
    assert one[-9_000:] != two[-9_000:]


def test_the_key_is_nowhere(tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the data key nor the plaintext is in the file, in the receipt or in the header."""
    drawn: list[bytes] = []

    def recorded(size: int | None = None) -> bytes:
        drawn.append(os.urandom(size or 32))
        return drawn[-1]

    monkeypatch.setattr(secrets, "token_bytes", recorded)
    done = encrypt_file(plain, tmp_path / "sealed", wrapper())
    data_key = drawn[0]
    raw = (tmp_path / "sealed").read_bytes()
    header = unverified_header(tmp_path / "sealed")
    assert data_key not in raw
    assert plain.read_bytes()[:32] not in raw
    for shown in (repr(done), repr(header), str(done.to_dict())):
        assert data_key.hex() not in shown
        assert repr(data_key) not in shown
        assert repr(header.wrapped_key) not in shown


def test_header_needs_no_key(tmp_path: Path, plain: Path) -> None:
    """Which key a file needs and what it says it is can be read without one."""
    encrypt_file(plain, tmp_path / "sealed", wrapper(), context=CONTEXT, segment_size=4096)
    header = unverified_header(tmp_path / "sealed")
    assert header.key_id == wrapper().key_id
    assert dict(header.context) == CONTEXT
    assert header.segment_size == 4096


def test_progress(tmp_path: Path) -> None:
    """Progress ends with everything, in the calling thread, whatever the number of workers."""
    (tmp_path / "plain").write_bytes(bytes(5_000_000))
    for workers in (1, 3):
        told: list[tuple[int, int]] = []
        threads = set()

        def tell(done: int, total: int) -> None:
            told.append((done, total))  # noqa: B023 - called in this round
            threads.add(threading.current_thread())  # noqa: B023 - idem

        encrypt_file(
            tmp_path / "plain", tmp_path / "sealed", wrapper(), workers=workers, on_progress=tell
        )
        assert told[-1] == (5_000_000, 5_000_000)
        assert [done for done, _ in told] == sorted(done for done, _ in told)
        assert threads == {threading.current_thread()}


@pytest.mark.parametrize("workers", [1, 3])
def test_cancelled(tmp_path: Path, workers: int) -> None:
    """Raising from the callback stops all threads and leaves nothing behind."""
    (tmp_path / "plain").write_bytes(bytes(8_000_000))
    before = threading.active_count()

    def cancel(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encrypt_file(
            tmp_path / "plain", tmp_path / "sealed", wrapper(), workers=workers, on_progress=cancel
        )
    assert threading.active_count() == before
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


@pytest.mark.parametrize("size", [2_500_000, 1_000_000])
def test_source_changes(tmp_path: Path, size: int) -> None:
    """A source that grows, shrinks or is rewritten meanwhile is refused."""
    source = tmp_path / "plain"
    for change in ("grow", "cut", "rewrite"):
        source.write_bytes(bytes(2_500_000))
        os.utime(source, (1, 1))

        def meddle(_done: int, _total: int) -> None:
            with source.open("r+b") as file:
                if change == "cut":  # noqa: B023 - called in this round
                    file.truncate(size)
                    return
                file.seek(0, os.SEEK_END if change == "grow" else os.SEEK_SET)  # noqa: B023 - idem
                file.write(b"x")

        with pytest.raises(MalformedArtifactError, match="while it was read"):
            encrypt_file(
                source, tmp_path / "sealed", wrapper(), segment_size=4096, on_progress=meddle
            )
        assert [path.name for path in tmp_path.iterdir()] == ["plain"]


def test_target_is_the_source(tmp_path: Path, plain: Path) -> None:
    """A plaintext is not encrypted over itself, under whichever name."""
    (tmp_path / "link").symlink_to(plain)
    os.link(plain, tmp_path / "twin")
    before = plain.read_bytes()
    for name in ("plain", "link", "twin", "./plain"):
        with pytest.raises(ConfigurationError, match="is the source itself"):
            encrypt_file(plain, tmp_path / name, wrapper())
    assert plain.read_bytes() == before


def test_target_exists(tmp_path: Path, plain: Path) -> None:
    """An existing target is replaced when all is done, and kept when something fails."""
    target = tmp_path / "sealed"
    target.write_bytes(b"before")
    with pytest.raises(KeyServiceError):
        encrypt_file(plain, target, Odd(wrap=fails(OSError("no"))))
    assert target.read_bytes() == b"before"
    encrypt_file(plain, target, wrapper())
    assert unverified_header(target).key_id == wrapper().key_id


def test_unwritable_targets(tmp_path: Path, plain: Path) -> None:
    """A folder, a pipe, a device, a folder that does not exist, a file as a folder."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for target in ("folder", "pipe", "null", "nowhere/sealed", "plain/sealed", "x" * 400):
        with pytest.raises(ConfigurationError, match="cannot write"):
            encrypt_file(plain, tmp_path / target, wrapper())
    names = ["folder", "null", "pipe", "plain"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert (tmp_path / "null").is_char_device()


@pytest.mark.parametrize("path", [None, 3, b"plain", "", "/", "a\0b", ["plain"]])
def test_what_is_no_path(tmp_path: Path, plain: Path, path: object) -> None:
    """Sources and targets are names of files."""
    for source, target in ((path, tmp_path / "sealed"), (plain, path)):
        with pytest.raises(ConfigurationError):
            encrypt_file(source, target, wrapper())  # type: ignore[arg-type]  # the test


def test_special_sources(tmp_path: Path) -> None:
    """A pipe does not hang, a folder and a missing file are told."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "missing", "pipe/below"):
        with pytest.raises(ConfigurationError, match=r"cannot (read|open)"):
            encrypt_file(tmp_path / name, tmp_path / "sealed", wrapper())
    assert not (tmp_path / "sealed").exists()


@pytest.mark.parametrize("workers", [0, -1, 65, 1.5, "2", True, 2**80])
def test_workers(tmp_path: Path, plain: Path, workers: object) -> None:
    """From 1 to 64."""
    with pytest.raises(ConfigurationError, match="workers must be"):
        encrypt_file(plain, tmp_path / "sealed", wrapper(), workers=workers)  # type: ignore[arg-type]  # the test


def test_callback(tmp_path: Path, plain: Path) -> None:
    """A callback is callable."""
    with pytest.raises(ConfigurationError, match="on_progress must be callable"):
        encrypt_file(plain, tmp_path / "sealed", wrapper(), on_progress=3)  # type: ignore[arg-type]  # the test
    assert not (tmp_path / "sealed").exists()


@pytest.mark.parametrize("odd", [None, "key", KEY, object()], ids=range(4))
def test_no_wrapper(tmp_path: Path, plain: Path, odd: object) -> None:
    """A key is not a key wrapper; the refusal does not show it."""
    with pytest.raises(ConfigurationError, match="a key wrapper has") as refused:
        encrypt_file(plain, tmp_path / "sealed", odd)  # type: ignore[arg-type]  # the test
    assert "\\x01" not in str(refused.value)


@pytest.mark.parametrize("result", [b"", bytes(8193), "text", None, bytearray(5)], ids=range(5))
def test_odd_wraps(tmp_path: Path, plain: Path, result: object) -> None:
    """What cannot be stored as a wrapped key is the wrapper's fault."""
    odd = Odd(wrap=lambda key, context: result)  # noqa: ARG005 - the protocol
    with pytest.raises(KeyServiceError, match="as the wrapped key"):
        encrypt_file(plain, tmp_path / "sealed", odd)


@pytest.mark.parametrize(
    "error", [OSError("no route"), ValueError("x"), RecursionError()], ids=repr
)
def test_failing_wraps(tmp_path: Path, plain: Path, error: Exception) -> None:
    """Foreign errors do not escape, not even as context: they may hold the key."""
    with pytest.raises(
        KeyServiceError, match=f"could not wrap.* {type(error).__name__}"
    ) as refused:
        encrypt_file(plain, tmp_path / "sealed", Odd(wrap=fails(error)))
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


@pytest.mark.parametrize("key_id", ["", "x" * 2049, "\ud800", 7, None, b"id"], ids=ascii)
def test_odd_key_ids(tmp_path: Path, plain: Path, key_id: object) -> None:
    """A key id is text of 1 to 2048 bytes."""
    with pytest.raises(ConfigurationError, match="key_id must be text"):
        encrypt_file(plain, tmp_path / "sealed", Odd(key_id=key_id))
    with pytest.raises(KeyServiceError, match="could not name"):
        encrypt_file(plain, tmp_path / "sealed", Odd(key_id=OSError("no")))


def test_own_errors_pass(tmp_path: Path, plain: Path) -> None:
    """A typed refusal of the wrapper reaches the caller as it is."""
    error = KeyServiceError("the service is closed")
    for odd in (Odd(wrap=fails(error)), Odd(key_id=error)):
        with pytest.raises(KeyServiceError) as refused:
            encrypt_file(plain, tmp_path / "sealed", odd)
        assert refused.value is error
