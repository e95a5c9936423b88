import os
from pathlib import Path

import pytest

from modelsec import encryption
from modelsec.encryption import EncryptedFolder, LocalKeyWrapper, encrypt_folder
from modelsec.errors import ConfigurationError, DecryptionError, UnsafeTreeError
from tests.encryption.samples import CONTEXT, Odd, wrapper

NAMES = ("a.bin", "below/b.bin", "config.json")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model" / "below").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "model" / name).write_bytes(os.urandom(20_000))
    return tmp_path / "model"


@pytest.fixture
def sealed(model: Path, tmp_path: Path) -> Path:
    encrypt_folder(model, tmp_path / "sealed", wrapper(), context=CONTEXT, segment_size=4096)
    return tmp_path / "sealed"


def test_reading(model: Path, sealed: Path) -> None:
    """Names, whole files and parts of files, each with one question to the wrapper."""
    asked: list[bytes] = []

    def unwrap(blob: bytes, context: bytes) -> bytes:
        asked.append(blob)
        return wrapper().unwrap(blob, context)

    folder = EncryptedFolder(sealed, Odd(unwrap=unwrap), context=CONTEXT)
    assert folder.names == NAMES
    assert len(asked) == 1
    for name in NAMES:
        content = (model / name).read_bytes()
        assert bytes(folder.buffer(name)) == content
        with folder.open(name) as file:
            assert file.read_at(9_000, 500) == content[9_000:9_500]
            assert file.read() == content
    assert len(asked) == 1 + 2 * len(NAMES)
    assert repr(folder) == f"EncryptedFolder({str(sealed)!r}, files=3)"


def test_no_such_file(sealed: Path) -> None:
    """A name that is not in the folder leads nowhere, above all not out of it."""
    folder = EncryptedFolder(sealed, wrapper(), context=CONTEXT)
    for name in ("missing", "../model/a.bin", "/etc/passwd", "", "below", 3, None):
        with pytest.raises(ConfigurationError, match="there is no file"):
            folder.buffer(name)  # type: ignore[arg-type]  # the test
        with pytest.raises(ConfigurationError, match="there is no file"):
            folder.open(name)  # type: ignore[arg-type]  # idem


@pytest.mark.parametrize("how", ["added", "missing", "renamed", "context", "key", "plain"])
def test_another_folder(sealed: Path, how: str) -> None:
    """Names, context and key are proved before the folder can be used."""
    context, key = CONTEXT, wrapper()
    if how == "added":
        (sealed / "more").write_bytes(b"x")
    elif how == "missing":
        (sealed / "below/b.bin").unlink()
    elif how == "renamed":
        (sealed / "below/b.bin").rename(sealed / "below/c.bin")
    elif how == "context":
        context = CONTEXT | {"version": "4"}
    elif how == "key":
        key = wrapper(bytes(32))
    else:
        (sealed / "a.bin").write_bytes(b"plain")
    with pytest.raises(DecryptionError):
        EncryptedFolder(sealed, key, context=context)


def test_files_of_others(model: Path, sealed: Path, tmp_path: Path) -> None:
    """A file under another name, or of another encryption, is refused when it is read."""
    encrypt_folder(model, tmp_path / "other", wrapper(), context=CONTEXT)
    (tmp_path / "other" / "config.json").replace(sealed / "config.json")
    folder = EncryptedFolder(sealed, wrapper(), context=CONTEXT)
    with pytest.raises(DecryptionError, match=r"modelsec\.set"):
        folder.buffer("config.json")
    (sealed / "a.bin").replace(sealed / "config.json")
    (sealed / "below/b.bin").replace(sealed / "a.bin")
    with pytest.raises(DecryptionError):
        folder.open("config.json")
    with pytest.raises(DecryptionError):
        folder.buffer("a.bin")


def test_changed_since_it_was_listed(model: Path, sealed: Path) -> None:
    """A file that was replaced, or became a link, after the folder was opened is refused."""
    folder = EncryptedFolder(sealed, wrapper(), context=CONTEXT)
    assert bytes(folder.buffer("a.bin")) == (model / "a.bin").read_bytes()
    (sealed / "a.bin").rename(sealed / "moved")
    (sealed / "a.bin").symlink_to("moved")
    with pytest.raises(DecryptionError, match="cannot be opened now"):
        folder.buffer("a.bin")
    (sealed / "config.json").write_bytes(b"")
    with pytest.raises(DecryptionError, match="since the folder was listed"):
        folder.open("config.json")


def test_arguments(sealed: Path, tmp_path: Path) -> None:
    """What cannot be is told."""
    with pytest.raises(ConfigurationError, match="is no folder"):
        EncryptedFolder(sealed / "a.bin", wrapper())
    with pytest.raises(ConfigurationError, match="is no folder"):
        EncryptedFolder(tmp_path / "missing", wrapper())
    with pytest.raises(ConfigurationError, match="must be a path"):
        EncryptedFolder(3, wrapper())  # type: ignore[arg-type]  # the test
    with pytest.raises(ConfigurationError, match=r"begin with 'modelsec\.'"):
        EncryptedFolder(sealed, wrapper(), context={"modelsec.set": "x"})
    with pytest.raises(ConfigurationError, match="an instance, not the class LocalKeyWrapper"):
        EncryptedFolder(sealed, LocalKeyWrapper)  # type: ignore[arg-type]  # the test
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnsafeTreeError, match="no files"):
        EncryptedFolder(tmp_path / "empty", wrapper())


def test_public_names_show() -> None:
    """Completion in a shell shows the public names before they are used."""
    assert set(encryption.__all__) <= set(dir(encryption))
