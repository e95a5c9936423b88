import os
from pathlib import Path

import pytest

from modelsec.encryption import (
    LocalKeyWrapper,
    Rewrapped,
    decrypt_to_buffer,
    rewrap,
    unverified_header,
)
from modelsec.encryption.header import Header
from modelsec.errors import ConfigurationError, DecryptionError, KeyServiceError
from tests.encryption.samples import CONTEXT, Odd, encrypted, fails, wrapper

NEW = bytes(range(1, 33))


def body(path: Path) -> bytes:
    raw = path.read_bytes()
    return raw[Header.parse(raw)[1] :]


def test_in_place(tmp_path: Path) -> None:
    """The new key opens it, the old one does not; the stream has not changed by a bit."""
    path, content = encrypted(tmp_path, 50_000, context=CONTEXT)
    path.chmod(0o640)
    before, stream = unverified_header(path), body(path)
    done = rewrap(path, wrapper(), wrapper(NEW), context=CONTEXT)
    assert done == Rewrapped(
        source=str(path),
        target=str(path),
        old_key_id=wrapper().key_id,
        new_key_id=wrapper(NEW).key_id,
        context=tuple(sorted(CONTEXT.items())),
    )
    assert done.to_dict()["new_key_id"] == wrapper(NEW).key_id
    assert body(path) == stream
    after = unverified_header(path)
    assert after.bound == before.bound
    assert after.commitment == before.commitment
    assert after.wrapped_key != before.wrapped_key
    assert bytes(decrypt_to_buffer(path, wrapper(NEW), context=CONTEXT)) == content
    with pytest.raises(DecryptionError, match="not among those given"):
        decrypt_to_buffer(path, wrapper(), context=CONTEXT)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [found.name for found in tmp_path.iterdir()] == ["model.enc"]


def test_to_another_file(tmp_path: Path) -> None:
    """The source stays as it is."""
    path, content = encrypted(tmp_path, 3_000_000, segment_size=1_048_576)
    raw = path.read_bytes()
    rewrap(path, wrapper(), Odd(key_id="another, longer name"), target=tmp_path / "new")
    assert path.read_bytes() == raw
    assert bytes(decrypt_to_buffer(tmp_path / "new", Odd())) == content
    with pytest.raises(ConfigurationError, match="is the source itself"):
        rewrap(path, wrapper(), wrapper(NEW), target=path)


def test_through_a_link(tmp_path: Path) -> None:
    """A link stays a link to what was rewrapped."""
    path, content = encrypted(tmp_path, 100)
    link = tmp_path / "link"
    link.symlink_to(path)
    rewrap(link, wrapper(), wrapper(NEW))
    assert link.is_symlink()
    assert bytes(decrypt_to_buffer(path, wrapper(NEW))) == content


def test_rotated_key_file(tmp_path: Path) -> None:
    """After a key file was rotated, files of the old key still open, and can be rewrapped."""
    keys = tmp_path / "keys"
    old = LocalKeyWrapper.generate(keys)
    path, content = encrypted(tmp_path, 100)
    rewrap(path, wrapper(), old)
    both = LocalKeyWrapper.rotate(keys)
    assert bytes(decrypt_to_buffer(path, both)) == content
    done = rewrap(path, both, both)
    assert (done.old_key_id, done.new_key_id) == (old.key_id, both.key_id)
    assert bytes(decrypt_to_buffer(path, both)) == content
    with pytest.raises(DecryptionError):
        decrypt_to_buffer(path, old)


def test_refusals_leave_the_file(tmp_path: Path) -> None:
    """Another context, another key, a failing service, a cut file: nothing is replaced."""
    path, _ = encrypted(tmp_path, 50_000, context=CONTEXT)
    raw = path.read_bytes()
    bad = Odd(wrap=fails(OSError("away")))
    for old, new, context, error in (
        (wrapper(), wrapper(NEW), {}, DecryptionError),
        (wrapper(NEW), wrapper(), CONTEXT, DecryptionError),
        (wrapper(), bad, CONTEXT, KeyServiceError),
        (wrapper(), None, CONTEXT, ConfigurationError),
    ):
        with pytest.raises(error):
            rewrap(path, old, new, context=context)  # type: ignore[arg-type]  # None is the test
        assert path.read_bytes() == raw
    path.write_bytes(raw[:-4096])
    with pytest.raises(DecryptionError, match=r"does not verify|no whole number"):
        rewrap(path, wrapper(), wrapper(NEW), context=CONTEXT)
    assert [found.name for found in tmp_path.iterdir()] == ["model.enc"]


def test_changed_meanwhile(tmp_path: Path) -> None:
    """A source that somebody writes to meanwhile is not replaced by what was read before."""
    path, _ = encrypted(tmp_path, 50_000)

    def meddle(key: bytes, _context: bytes) -> bytes:
        os.utime(path, (1, 1))
        return key + b"w"

    with pytest.raises(DecryptionError, match="was changed while it was read"):
        rewrap(path, wrapper(), Odd(wrap=meddle))
    assert unverified_header(path).key_id == wrapper().key_id
    assert [found.name for found in tmp_path.iterdir()] == ["model.enc"]
