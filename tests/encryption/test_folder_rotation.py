import os
from pathlib import Path

import pytest

from modelsec.encryption import (
    decrypt_folder,
    encrypt_folder,
    rewrap_folder,
    unverified_header,
)
from modelsec.errors import ConfigurationError, DecryptionError, KeyServiceError
from tests.encryption.samples import CONTEXT, KEY, Odd, wrapper

NAMES = ("a.bin", "below/b.bin", "config.json")
NEW = bytes(range(1, 33))


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    (tmp_path / "model" / "below").mkdir(parents=True)
    for name in NAMES:
        (tmp_path / "model" / name).write_bytes(os.urandom(5_000))
    encrypt_folder(tmp_path / "model", tmp_path / "sealed", wrapper(), context=CONTEXT)
    return tmp_path / "sealed"


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES}


def key_ids(folder: Path) -> set[str]:
    return {unverified_header(folder / name).key_id for name in NAMES}


def test_in_place(sealed: Path, tmp_path: Path) -> None:
    """Every file opens with the new key, none with the old, and the set is still one."""
    done = rewrap_folder(sealed, wrapper(), wrapper(NEW), context=CONTEXT)
    assert [one.target for one in done] == [str(sealed / name) for name in NAMES]
    assert {one.old_key_id for one in done} == {wrapper().key_id}
    assert key_ids(sealed) == {wrapper(NEW).key_id}
    decrypt_folder(sealed, tmp_path / "back", wrapper(NEW), context=CONTEXT)
    assert contents(tmp_path / "back") == contents(tmp_path / "model")
    with pytest.raises(DecryptionError):
        decrypt_folder(sealed, tmp_path / "again", wrapper(), context=CONTEXT)


def test_to_another_folder(sealed: Path, tmp_path: Path) -> None:
    """The source stays, and the receipts name what is there."""
    before = contents(sealed)
    done = rewrap_folder(sealed, wrapper(), wrapper(NEW), target=tmp_path / "new", context=CONTEXT)
    assert [one.target for one in done] == [str(tmp_path / "new" / name) for name in NAMES]
    assert contents(sealed) == before
    decrypt_folder(tmp_path / "new", tmp_path / "back", wrapper(NEW), context=CONTEXT)
    assert contents(tmp_path / "back") == contents(tmp_path / "model")
    with pytest.raises(ConfigurationError, match="exists"):
        rewrap_folder(sealed, wrapper(), wrapper(NEW), target=tmp_path / "new", context=CONTEXT)


def test_interrupted(sealed: Path, tmp_path: Path) -> None:
    """A service that fails half-way leaves every file readable; calling again finishes."""
    calls: list[bytes] = []

    def wrap(key: bytes, context: bytes) -> bytes:
        calls.append(context)
        if len(calls) == 2:
            raise KeyServiceError("the service is down")
        return wrapper(NEW).wrap(key, context)

    new_id = wrapper(NEW).key_id
    failing = Odd(wrap=wrap, unwrap=wrapper(NEW).unwrap, key_id=new_id)
    with pytest.raises(KeyServiceError, match="is down"):
        rewrap_folder(sealed, wrapper(), failing, context=CONTEXT)
    assert key_ids(sealed) == {wrapper().key_id, new_id}
    done = rewrap_folder(sealed, wrapper(), failing, context=CONTEXT)
    assert [one.old_key_id for one in done] == [new_id, wrapper().key_id, wrapper().key_id]
    decrypt_folder(sealed, tmp_path / "back", wrapper(NEW), context=CONTEXT)
    assert contents(tmp_path / "back") == contents(tmp_path / "model")


def test_same_key_id(sealed: Path, tmp_path: Path) -> None:
    """A service that rotated its own key keeps its name: the old wrapper opens."""
    old = Odd(wrapper().wrap, wrapper().unwrap, "service")
    new = Odd(wrapper(NEW).wrap, wrapper(NEW).unwrap, "service")
    rewrap_folder(sealed, wrapper(), old, context=CONTEXT)
    rewrap_folder(sealed, old, new, context=CONTEXT)
    decrypt_folder(sealed, tmp_path / "back", new, context=CONTEXT)
    assert contents(tmp_path / "back") == contents(tmp_path / "model")


@pytest.mark.parametrize("how", ["context", "added", "missing", "swapped", "plain", "other set"])
def test_nothing_is_replaced_in_vain(sealed: Path, tmp_path: Path, how: str) -> None:
    """That files are not one set, or another one, is told before the first is replaced."""
    context = CONTEXT
    if how == "context":
        context = {}
    elif how == "added":
        (sealed / "z").write_bytes(b"x")
    elif how == "missing":
        (sealed / "below/b.bin").unlink()
    elif how == "swapped":
        (sealed / "config.json").rename(sealed / "t")
        (sealed / "below/b.bin").rename(sealed / "config.json")
        (sealed / "t").rename(sealed / "below/b.bin")
    elif how == "plain":
        (sealed / "config.json").write_bytes(b"{}")
    else:
        encrypt_folder(tmp_path / "model", tmp_path / "other", wrapper(), context=CONTEXT)
        (tmp_path / "other" / "config.json").replace(sealed / "config.json")
    before = {path: path.read_bytes() for path in sealed.rglob("*") if path.is_file()}
    with pytest.raises(DecryptionError):
        rewrap_folder(sealed, wrapper(), wrapper(NEW), context=context)
    assert {path: path.read_bytes() for path in sealed.rglob("*") if path.is_file()} == before


def test_another_key(sealed: Path) -> None:
    """The wrong old key replaces nothing."""
    before = contents(sealed)
    with pytest.raises(DecryptionError, match="cannot be unwrapped"):
        rewrap_folder(sealed, wrapper(NEW), wrapper(KEY[::-1]), context=CONTEXT)
    assert contents(sealed) == before


def test_link_switched_meanwhile(sealed: Path, tmp_path: Path) -> None:
    """A link that is pointed to another folder meanwhile does not lead us there."""
    encrypt_folder(tmp_path / "model", tmp_path / "newer", wrapper(), context=CONTEXT)
    link, before = tmp_path / "current", contents(tmp_path / "newer")
    link.symlink_to("sealed")

    def wrap(key: bytes, context: bytes) -> bytes:
        link.unlink()
        link.symlink_to("newer")
        return wrapper(NEW).wrap(key, context)

    new = Odd(wrap=wrap, key_id=wrapper(NEW).key_id)
    done = rewrap_folder(link, wrapper(), new, context=CONTEXT)
    assert [one.source for one in done] == [str(link / name) for name in NAMES]
    assert contents(tmp_path / "newer") == before
    assert key_ids(sealed) == {wrapper(NEW).key_id}


def test_folder_switched_meanwhile(sealed: Path, tmp_path: Path) -> None:
    """A folder within that is exchanged for another keeps the files of the other."""
    encrypt_folder(tmp_path / "model", tmp_path / "newer", wrapper(), context=CONTEXT)
    other = tmp_path / "newer" / "below"
    before, calls = (other / "b.bin").read_bytes(), []

    def wrap(key: bytes, context: bytes) -> bytes:
        calls.append(context)
        if len(calls) == 2:
            (sealed / "below").rename(tmp_path / "old")
            (sealed / "below").symlink_to(other)
        return wrapper(NEW).wrap(key, context)

    with pytest.raises(DecryptionError, match="leads to another file now"):
        rewrap_folder(sealed, wrapper(), Odd(wrap=wrap), context=CONTEXT)
    assert (other / "b.bin").read_bytes() == before
