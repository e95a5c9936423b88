"""One writer at a time, and nobody waits for ever."""

from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError
from modelsec.signing.file_lock import locked


def test_a_lock_that_is_held_ends_the_wait(tmp_path: Path) -> None:
    """After 200 pauses the caller is told which file it waited for."""
    pauses: list[float] = []
    path = tmp_path / "store.json"
    with (
        locked(path),
        pytest.raises(ConfigurationError, match="stays locked"),
        locked(path, wait=pauses.append),
    ):
        pytest.fail("two hold one lock")
    assert len(pauses) == 200
    with locked(path, wait=pauses.append):
        assert len(pauses) == 200


def test_a_lock_that_becomes_free_is_taken(tmp_path: Path) -> None:
    """The one who waits goes on as soon as the other one is done."""
    path = tmp_path / "store.json"
    holder = locked(path)
    holder.__enter__()
    with locked(path, wait=lambda _: holder.__exit__(None, None, None) and None):
        assert (tmp_path / ".store.json.lock").exists()


def test_a_lock_needs_a_place(tmp_path: Path) -> None:
    """A folder that is missing, or a link in the lock's place, is told."""
    (tmp_path / ".b.lock").symlink_to("elsewhere")
    for path in (tmp_path / "none" / "a", tmp_path / "b"):
        with pytest.raises(ConfigurationError, match="cannot lock"), locked(path):
            pytest.fail("there is no lock")
