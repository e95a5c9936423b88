import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelsec.encryption import (
    decrypt_file,
    decrypt_folder,
    decrypt_to_buffer,
    encrypt_file,
    encrypt_folder,
    unverified_header,
)
from modelsec.errors import (
    ConfigurationError,
    DecryptionError,
    KeyServiceError,
    MalformedArtifactError,
    ModelSecError,
    UnsafeTreeError,
)
from tests.encryption.samples import Odd, fails, wrapper

CONTEXT = {"name": "resnet", "version": "3"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "below" / "empty").mkdir(parents=True)
    (root / "config.json").write_text("{}")
    (root / "below" / "wéights 1.bin").write_bytes(os.urandom(50_000))
    (root / "below" / "weights 2.bin").write_bytes(os.urandom(50_000))
    return root


@pytest.fixture
def sealed(model: Path, tmp_path: Path) -> Path:
    encrypt_folder(model, tmp_path / "sealed", wrapper(), context=CONTEXT, segment_size=4096)
    return tmp_path / "sealed"


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def refused(sealed: Path, match: str, error: type[ModelSecError] = DecryptionError) -> None:
    before = sorted(path.name for path in sealed.parent.iterdir())
    with pytest.raises(error, match=match):
        decrypt_folder(sealed, sealed.parent / "back", wrapper(), context=CONTEXT)
    assert sorted(path.name for path in sealed.parent.iterdir()) == before


def test_there_and_back(model: Path, tmp_path: Path) -> None:
    """All files come back under their names, and progress is that of all of them."""
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))

    done = encrypt_folder(model, tmp_path / "sealed", wrapper(), context=CONTEXT, on_progress=tell)
    assert [Path(record.source).name for record in done] == [
        "weights 2.bin",
        "wéights 1.bin",
        "config.json",
    ]
    assert told[-1] == (100_002, 100_002)
    assert told == sorted(told)
    assert not files(model).items() & files(tmp_path / "sealed").items()
    told.clear()
    back = decrypt_folder(
        tmp_path / "sealed", tmp_path / "back", wrapper(), context=CONTEXT, on_progress=tell
    )
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] == sum(map(len, files(tmp_path / "sealed").values()))
    assert files(tmp_path / "back") == files(model)
    assert [record.plaintext_size for record in back] == [50_000, 50_000, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "model", "sealed"]


def test_one_file_of_a_folder(sealed: Path, model: Path) -> None:
    """With the context that its header tells, a file can be decrypted by itself."""
    path = sealed / "config.json"
    context = dict(unverified_header(path).context)
    assert context["modelsec.file"] == "config.json"
    assert context.items() >= CONTEXT.items()
    content = decrypt_to_buffer(path, wrapper(), context=context)
    assert bytes(content) == (model / "config.json").read_bytes()


def test_swapped_names(sealed: Path) -> None:
    """Two files that swap their names are refused."""
    one, two = sealed / "below" / "wéights 1.bin", sealed / "below" / "weights 2.bin"
    one.rename(sealed / "x")
    two.rename(one)
    (sealed / "x").rename(two)
    refused(sealed, "'modelsec.file' is 'below/wéights 1.bin', expected is 'below/weights 2.bin'")


def test_renamed(sealed: Path) -> None:
    """A new name is refused."""
    (sealed / "config.json").rename(sealed / "config.py")
    refused(sealed, "modelsec.file")


def test_left_out(sealed: Path) -> None:
    """A file that is missing is noticed by all the others."""
    (sealed / "below" / "weights 2.bin").unlink()
    refused(sealed, "modelsec.files")


def test_added(sealed: Path, model: Path) -> None:
    """A file that is added is noticed, even if it was encrypted with the right key."""
    encrypt_file(
        model / "config.json",
        sealed / "more",
        wrapper(),
        context=CONTEXT | {"modelsec.file": "more"},
    )
    refused(sealed, "modelsec.files")
    (sealed / "more").write_bytes(b"plain")
    refused(sealed, "modelsec.files")
    (sealed / "0").write_bytes(b"plain, and the first of all")
    refused(sealed, "not encrypted by modelsec")


def test_another_set(sealed: Path, model: Path, tmp_path: Path) -> None:
    """A file of another encryption of the same folder, older or newer, is refused."""
    encrypt_folder(model, tmp_path / "other", wrapper(), context=CONTEXT)
    (sealed / "config.json").write_bytes((tmp_path / "other" / "config.json").read_bytes())
    refused(sealed, "modelsec.set")


def test_changed(sealed: Path) -> None:
    """One changed byte in the last file, and none appears."""
    path = sealed / "config.json"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    refused(sealed, "does not verify")


def test_no_set(sealed: Path, model: Path) -> None:
    """A folder of files that were encrypted one by one is not a set."""
    for name in files(sealed):
        encrypt_file(model / name, sealed / name, wrapper(), context=CONTEXT)
    refused(sealed, "not a file of an encrypted folder")
    with pytest.raises(DecryptionError):
        decrypt_file(sealed / "config.json", sealed.parent / "x", wrapper())


@pytest.mark.parametrize("kind", ["link", "folder link", "dangling", "pipe"])
def test_what_is_no_file(model: Path, sealed: Path, tmp_path: Path, kind: str) -> None:
    """Links and pipes are neither followed nor left out: they are refused, both ways."""
    for root in (model, sealed):
        odd = root / "below" / "odd"
        if kind == "pipe":
            os.mkfifo(odd)
        else:
            to = {"link": root / "config.json", "folder link": tmp_path, "dangling": Path("no")}
            odd.symlink_to(to[kind])
    with pytest.raises(UnsafeTreeError, match="is a link, a pipe or a device"):
        encrypt_folder(model, tmp_path / "new", wrapper())
    refused(sealed, "is a link, a pipe or a device", UnsafeTreeError)
    assert not (tmp_path / "new").exists()


def test_arguments(model: Path, sealed: Path, tmp_path: Path) -> None:
    """No folder, an empty one, a target that exists, a context that is ours."""
    (tmp_path / "empty").mkdir()
    new = tmp_path / "new"
    with pytest.raises(UnsafeTreeError, match="holds no files"):
        encrypt_folder(tmp_path / "empty", new, wrapper())
    for source in (model / "config.json", tmp_path / "missing", None, "a\0b", "x" * 400):
        with pytest.raises(ConfigurationError):
            encrypt_folder(source, new, wrapper())  # type: ignore[arg-type]  # the test
    for target in (sealed, model / "config.json", None, tmp_path / "no" / "where"):
        with pytest.raises(ConfigurationError):
            encrypt_folder(model, target, wrapper())  # type: ignore[arg-type]  # the test
    with pytest.raises(ConfigurationError, match="leave them out"):
        encrypt_folder(model, new, wrapper(), context={"modelsec.file": "x"})
    with pytest.raises(ConfigurationError, match="a key wrapper has"):
        encrypt_folder(model, new, b"key")  # type: ignore[arg-type]  # the test
    with pytest.raises(ConfigurationError, match="on_progress must be callable"):
        encrypt_folder(model, new, wrapper(), on_progress=3)  # type: ignore[arg-type]  # the test
    with pytest.raises(KeyServiceError):
        encrypt_folder(model, new, Odd(wrap=fails(OSError("away"))))
    names = ["empty", "model", "sealed"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_name_that_is_not_unicode(model: Path, tmp_path: Path) -> None:
    """It cannot be told again, so it is refused."""
    try:
        Path(os.fsdecode(os.fsencode(model) + b"/\xff.bin")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system refuses such names itself")
    with pytest.raises(ConfigurationError, match="not Unicode"):
        encrypt_folder(model, tmp_path / "new", wrapper())
    assert not (tmp_path / "new").exists()


def test_an_unreadable_folder(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be listed is not an empty one."""
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("below"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(ConfigurationError, match="Permission denied"):
        encrypt_folder(model, tmp_path / "new", wrapper())


def test_a_file_that_vanishes_from_its_list(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is gone before it could be looked at is told."""
    real = Path.lstat

    def gone(path: Path) -> os.stat_result:
        if path.name == "config.json":
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return real(path)

    monkeypatch.setattr(Path, "lstat", gone)
    with pytest.raises(ConfigurationError, match="No such file"):
        encrypt_folder(model, tmp_path / "new", wrapper(), on_progress=lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def changes(model: Path) -> dict[str, Callable[[], object]]:
    """What may be done to a folder after it was listed, and what has to be seen."""
    last = model / "config.json"

    def linked() -> None:
        last.rename(model / "other")
        last.symlink_to("other")

    return {
        "gone": last.unlink,
        "written": lambda: last.write_text("other"),
        "replaced": lambda: Path(shutil.copy(last, model / "t")).replace(last),
        "linked": linked,
        "pipe": lambda: (last.unlink(), os.mkfifo(last)),
        "added": (model / "more").touch,
    }


@pytest.mark.parametrize("name", ["gone", "written", "replaced", "linked", "pipe", "added"])
@pytest.mark.parametrize("how", ["encrypt", "decrypt"])
def test_changed_after_it_was_listed(model: Path, tmp_path: Path, name: str, how: str) -> None:
    """What is encrypted or decrypted is what was listed, or there is an error and no result."""
    folder = model
    if how == "decrypt":
        folder = tmp_path / "sealed"
        encrypt_folder(model, folder, wrapper())
    before, done = sorted(tmp_path.iterdir()), []

    def change(_done: int, _total: int) -> None:
        if not done:
            done.append(changes(folder)[name]())

    call = encrypt_folder if how == "encrypt" else decrypt_folder
    with pytest.raises((MalformedArtifactError, DecryptionError, UnsafeTreeError)):
        call(folder, tmp_path / "new", wrapper(), on_progress=change)
    assert sorted(tmp_path.iterdir()) == before


def test_within_the_source(model: Path) -> None:
    """A result within the folder that is read would become a part of it."""
    with pytest.raises(ConfigurationError, match="within the folder"):
        encrypt_folder(model, model / "sealed", wrapper())
    assert not (model / "sealed").exists()


def test_a_private_folder(model: Path, tmp_path: Path) -> None:
    """Nobody else can look into a folder before all of it has been verified."""
    encrypt_folder(model, tmp_path / "sealed", wrapper())
    found: set[int] = set()

    def look(_done: int, _total: int) -> None:
        found.update(path.stat().st_mode & 0o777 for path in tmp_path.glob(".back.*"))

    decrypt_folder(tmp_path / "sealed", tmp_path / "back", wrapper(), on_progress=look)
    assert found == {0o700}
    assert (tmp_path / "back").stat().st_mode == (tmp_path / "model").stat().st_mode


def test_a_name_taken_meanwhile(model: Path, tmp_path: Path) -> None:
    """An empty folder that somebody made meanwhile is not replaced."""
    with pytest.raises(ConfigurationError, match="was made meanwhile"):
        encrypt_folder(
            model,
            tmp_path / "new",
            wrapper(),
            on_progress=lambda *_: (tmp_path / "new").mkdir(exist_ok=True),
        )
    assert list((tmp_path / "new").iterdir()) == []


def test_one_file_by_itself(model: Path, tmp_path: Path) -> None:
    """Whoever decrypts one file of a folder as if it were alone is told how to."""
    encrypt_folder(model, tmp_path / "sealed", wrapper(), context=CONTEXT)
    with pytest.raises(DecryptionError, match=r"belongs to a folder.*EncryptedFolder"):
        decrypt_to_buffer(tmp_path / "sealed" / "config.json", wrapper(), context=CONTEXT)
