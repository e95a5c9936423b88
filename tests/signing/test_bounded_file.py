"""Small files: read whole, with one descriptor, and never more than the limit."""

import os
from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError
from modelsec.signing.bounded_file import read_at_most


def test_the_limit_itself_is_permitted(tmp_path: Path) -> None:
    """A file of exactly the limit is read, one byte more is too many."""
    (tmp_path / "a").write_bytes(b"12345")
    assert read_at_most(tmp_path / "a", 5) == b"12345"
    assert read_at_most(tmp_path / "a", 4) is None


def test_what_is_no_readable_file_is_told(tmp_path: Path) -> None:
    """Folders, pipes and nothing at all are a ConfigurationError."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("", "pipe", "nothing"):
        with pytest.raises(ConfigurationError):
            read_at_most(tmp_path / name, 5)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that cannot be read")
def test_an_error_while_reading_is_told() -> None:
    """The first page of a process's memory opens and does not read."""
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_at_most("/proc/self/mem", 5)
