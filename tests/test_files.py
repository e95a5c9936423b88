from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError
from modelsec.files import atomic_text


def test_file_appears_whole(tmp_path: Path) -> None:
    """The new content replaces the old, and no temporary file stays."""
    target = tmp_path / "report.json"
    target.write_text("old")
    with atomic_text(target) as file:
        file.write("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    """Nothing is half-written."""
    target = tmp_path / "report.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_text(target) as file:
        file.write(f"half {1 / 0}")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """The error says which file could not be written and why."""
    with (
        pytest.raises(ConfigurationError, match=r"cannot write .*nowhere.*No such file"),
        atomic_text(tmp_path / "nowhere" / "x"),
    ):
        pass


def test_target_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder is not replaced by a file."""
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(ConfigurationError, match="cannot write"),
        atomic_text(tmp_path / "folder") as file,
    ):
        file.write("x")
    assert (tmp_path / "folder").is_dir()
    assert len(list(tmp_path.iterdir())) == 1
