import errno
import os
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from modelsec.errors import ConfigurationError
from modelsec.files import atomic_binary, atomic_text, regular_file

Writer = Callable[[Path], AbstractContextManager[Any]]

both = pytest.mark.parametrize(
    ("writer", "new"), [(atomic_text, "new"), (atomic_binary, b"new")], ids=["text", "binary"]
)


@both
def test_file_appears_whole(tmp_path: Path, writer: Writer, new: str | bytes) -> None:
    """The new content replaces the old, and no temporary file stays."""
    target = tmp_path / "report.json"
    target.write_text("old")
    with writer(target) as file:
        file.write(new)
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@both
def test_failure_leaves_the_old_file(tmp_path: Path, writer: Writer, new: str | bytes) -> None:
    """Nothing is half-written."""
    target = tmp_path / "report.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), writer(target) as file:
        file.write(new * (1 // (file.tell())))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@both
def test_missing_folder_is_named(tmp_path: Path, writer: Writer, new: str | bytes) -> None:
    """The error says which file could not be written and why."""
    with (
        pytest.raises(ConfigurationError, match=r"cannot write .*nowhere.*No such file"),
        writer(tmp_path / "nowhere" / "x") as file,
    ):
        file.write(new)


@both
def test_target_that_is_a_folder_is_refused(
    tmp_path: Path, writer: Writer, new: str | bytes
) -> None:
    """A folder is not replaced by a file."""
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(ConfigurationError, match="cannot write"),
        writer(tmp_path / "folder") as file,
    ):
        file.write(new)
    assert (tmp_path / "folder").is_dir()
    assert len(list(tmp_path.iterdir())) == 1


def test_binary_file_can_be_read_again(tmp_path: Path) -> None:
    """What was written can be checked before it appears."""
    with atomic_binary(tmp_path / "x") as file:
        file.write(b"abc")
        file.seek(0)
        assert file.read() == b"abc"


def test_a_regular_file_is_opened_once_and_closed(tmp_path: Path) -> None:
    """The descriptor reads the file, and is closed afterwards."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"content")
    with regular_file(path) as descriptor:
        assert os.read(descriptor, 7) == b"content"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_what_is_not_a_regular_file_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe (without waiting for its writer), a missing file and an impossible name."""
    os.mkfifo(tmp_path / "pipe")
    for name, reason in {
        ".": "a folder",
        "pipe": "not a regular file",
        "missing": "No such file",
        "nul\0": "null byte",
    }.items():
        with (
            pytest.raises(ConfigurationError, match=reason),
            regular_file(tmp_path / name),
        ):
            pass


def test_a_private_file(tmp_path: Path) -> None:
    """Only its owner may open it before it is complete; then it has the usual mode."""
    target = tmp_path / "x"
    before = os.umask(0o022)
    try:
        with atomic_binary(target, private=True) as file:
            file.write(b"new")
            assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o600]
        assert target.stat().st_mode & 0o777 == 0o644
        for mode in (0o600, 0o640, 0o400):
            target.chmod(mode)
            with atomic_binary(target, private=True) as file:
                file.write(b"newer")
            assert target.stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@both
def test_long_names(tmp_path: Path, writer: Writer, new: str | bytes) -> None:
    """Every name that the system takes can be written, of one byte a character or of four."""
    for name in ("n" * 255, "\N{GRINNING FACE}" * 63):
        with writer(tmp_path / name) as file:
            file.write(new)
        assert (tmp_path / name).is_file()
    with (
        pytest.raises(ConfigurationError, match="too long"),
        writer(tmp_path / ("n" * 256)) as file,
    ):
        file.write(new)
    assert len(list(tmp_path.iterdir())) == 2


def failing(new: str | bytes, error: OSError) -> str | bytes:
    """What the caller does while the file is open, and fails to."""
    if new:
        raise error
    return new


@both
def test_errors_of_the_caller_pass(tmp_path: Path, writer: Writer, new: str | bytes) -> None:
    """An OSError that is not of this disk is the caller's, and reaches him as it is."""
    for error in (TimeoutError("slow"), ConnectionResetError(104, "reset"), FileNotFoundError(2)):
        with pytest.raises(type(error)) as raised, writer(tmp_path / "x") as file:
            file.write(failing(new, error))
        assert raised.value is error
    assert list(tmp_path.iterdir()) == []


@both
def test_a_full_disk(tmp_path: Path, writer: Writer, new: str | bytes) -> None:
    """A disk that is full is told as such, and nothing stays."""
    with (
        pytest.raises(ConfigurationError, match=r"cannot write .*No space left"),
        writer(tmp_path / "x") as file,
    ):
        file.write(failing(new, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses to sync folders still has the file."""
    fsync = os.fsync

    def refusing(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refusing)
    with atomic_binary(tmp_path / "x") as file:
        file.write(b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
