"""Models that were encrypted and then signed: verified as ciphertext, handed out as plaintext."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelsec.encryption import LocalKeyWrapper, encrypt_file, encrypt_folder
from modelsec.encryption.segments import TAG
from modelsec.errors import (
    ConfigurationError,
    DecryptionError,
    DigestMismatchError,
    ModelSecError,
    ResourceLimitError,
    UnsafeArtifactError,
)
from modelsec.provenance.loading import sealed
from modelsec.provenance.loading.decryption import Decryption
from modelsec.provenance.loading.opening import open_verified
from modelsec.provenance.loading.verified_model import VerifiedModel
from modelsec.provenance.loading.verified_safetensors import load_safetensors_verified
from modelsec.signing import PrivateKey, TrustedKeys, Verifier, sign
from tests.provenance.loading.claimed import Claimed, manifest_of, tensors, write_model

CONTEXT = {"name": "demo", "version": "3"}
FILES = {
    "config.json": b'{"hidden_size": 64}',
    "empty.txt": b"",
    "model.safetensors": tensors(rows=12 << 10),  # 3 MiB: several segments
    "sub/README.md": b"# A model\n",
}
EVIL = b"cos\nsystem\n(S'true'\ntR."


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> LocalKeyWrapper:
    return LocalKeyWrapper.generate(tmp_path_factory.mktemp("keys") / "keys")


@pytest.fixture
def folder(tmp_path: Path, wrapper: LocalKeyWrapper) -> Path:
    """A model that was encrypted as a folder."""
    plain = write_model(tmp_path / "plain", FILES)
    encrypt_folder(plain, tmp_path / "model", wrapper, context=CONTEXT)
    return tmp_path / "model"


def stored(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def opened(path: Path, decrypt: Any, **options: Any) -> VerifiedModel:
    return open_verified(path, Claimed(manifest_of(stored(path))), decrypt=decrypt, **options)


@contextmanager
def leaving_nothing() -> Iterator[None]:
    """Fail if a descriptor stays open, or a temporary folder stays."""

    def left() -> tuple[int, set[str]]:
        gc.collect()
        temporary = {name for name in os.listdir("/tmp") if name.startswith("modelsec-")}  # noqa: PTH208, S108 - names
        return len(os.listdir("/proc/self/fd")), temporary  # noqa: PTH208 - names

    before = left()
    yield
    assert left() == before


def test_every_way_of_reading_gives_plaintext(folder: Path, wrapper: LocalKeyWrapper) -> None:
    """Views, files, arrays, paths and directories: the same plaintext, and nothing left behind."""
    with leaving_nothing(), opened(folder, Decryption(wrapper, CONTEXT)) as model:
        for name, content in FILES.items():
            view = model.buffer(name)
            assert view == content
            assert view.readonly
            assert memoryview(view.obj).readonly
            assert model.open(name).read() == content
            assert Path(model.fd_path(name)).read_bytes() == content
            assert bytes(model.buffer(name)) == content
        assert model.tensors("model.safetensors")["weight"].sum() == 64 * (12 << 10)
        for copies in (False, True):
            with model.directory(copies=copies) as private:
                found = {name: (private / name).read_bytes() for name in model.names}
                assert found == FILES
        assert set(model.reports) == set(FILES)
        del view


def test_one_file_alone(tmp_path: Path, wrapper: LocalKeyWrapper) -> None:
    """A model that is one encrypted file."""
    (tmp_path / "plain").write_bytes(FILES["model.safetensors"])
    encrypt_file(tmp_path / "plain", tmp_path / "model.enc", wrapper, context=CONTEXT)
    content = (tmp_path / "model.enc").read_bytes()
    claimed = Claimed(manifest_of({"model.enc": content}, single_file=True))
    decrypt = Decryption(wrapper, lambda name: CONTEXT if name == "model.enc" else None)
    arrays = load_safetensors_verified(tmp_path / "model.enc", claimed, decrypt=decrypt)
    assert np.array_equal(arrays["bias"], np.arange(4))
    assert not arrays["weight"].flags.writeable


def test_some_files_of_a_model(tmp_path: Path, wrapper: LocalKeyWrapper) -> None:
    """Encrypted files, an encrypted folder below, and plain files: each is what it is."""
    root = write_model(tmp_path / "model", {"README.md": b"# A model\n"})
    plain = write_model(tmp_path / "plain", FILES)
    encrypt_folder(plain, root / "weights", wrapper, context=CONTEXT)
    encrypt_file(plain / "config.json", root / "secret.json", wrapper, context=CONTEXT)
    with opened(root, Decryption(wrapper, CONTEXT)) as model:
        assert model.buffer("README.md") == b"# A model\n"
        assert model.buffer("secret.json") == FILES["config.json"]
        assert model.buffer("weights/sub/README.md") == FILES["sub/README.md"]
        assert [each.source for each in model.decrypted] == ["secret.json", "weights/sub/README.md"]


def test_the_receipt_says_what_was_signed(folder: Path, wrapper: LocalKeyWrapper) -> None:
    """The signature is over ciphertext; the plaintext is as good as its key, which is named."""
    with opened(folder, Decryption(wrapper, CONTEXT)) as model:
        assert model.decrypted == ()
        assert not any("ciphertext" in gap for gap in model.verification().unchecked)
        model.buffer("config.json")
        receipt, (done,) = model.verification(), model.decrypted
    assert receipt.files == ("config.json",)
    assert receipt.tree_digest == manifest_of(stored(folder)).tree_digest
    (gap,) = (gap for gap in receipt.unchecked if "ciphertext" in gap)
    assert wrapper.key_id in gap
    assert "config.json" in gap
    assert (done.key_id, done.plaintext_size) == (wrapper.key_id, len(FILES["config.json"]))
    assert CONTEXT.items() <= dict(done.context).items()


@pytest.mark.parametrize("position", [0, 20, -1, -TAG - 1])
def test_changed_ciphertext_is_never_decrypted(
    folder: Path, wrapper: LocalKeyWrapper, position: int
) -> None:
    """The signature is asked first: no key is unwrapped for what nobody signed."""
    claimed = Claimed(manifest_of(stored(folder)))
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    decrypt = Decryption(_untouchable(wrapper))
    with leaving_nothing(), open_verified(folder, claimed, decrypt=decrypt) as model:
        for read in (model.buffer, model.fd_path, model.open, model.tensors):
            with pytest.raises(DigestMismatchError):
                read("model.safetensors")
    with (
        leaving_nothing(),
        open_verified(folder, claimed, decrypt=Decryption(wrapper, CONTEXT)) as model,
        pytest.raises(DigestMismatchError),
        model.directory(),
    ):
        pytest.fail("a changed model was laid out")


def _untouchable(wrapper: LocalKeyWrapper) -> Any:
    class Untouchable:
        key_id = wrapper.key_id

        def wrap(self, key: bytes, context: bytes) -> bytes:
            return wrapper.wrap(key, context)

        def unwrap(self, blob: bytes, context: bytes) -> bytes:
            del blob, context
            pytest.fail("asked for the key of a changed file")

    return Untouchable()


def test_signed_and_still_wrong(folder: Path, tmp_path: Path, wrapper: LocalKeyWrapper) -> None:
    """Whoever signs can sign what nobody decrypts: another key, context, place or damage."""
    other = LocalKeyWrapper.generate(tmp_path / "others")
    right = Decryption(wrapper, CONTEXT)
    with leaving_nothing():
        for decrypt in (
            Decryption(other, CONTEXT),
            Decryption(wrapper, {**CONTEXT, "version": "4"}),
            Decryption(wrapper),
        ):
            _refused(folder, decrypt, "config.json")
    (folder / "config.json").rename(folder / "renamed.json")
    _refused(folder, right, "renamed.json")
    _refused(folder, right, "sub/README.md")  # of another set of names
    (folder / "renamed.json").rename(folder / "config.json")
    damaged = bytearray((folder / "model.safetensors").read_bytes())
    damaged[-1] ^= 1
    (folder / "model.safetensors").write_bytes(damaged)
    _refused(folder, right, "model.safetensors")
    (folder / "empty.txt").write_bytes(damaged[:100])  # a header that is cut off
    _refused(folder, right, "empty.txt")


def _refused(folder: Path, decrypt: Decryption, name: str) -> None:
    with opened(folder, decrypt) as model:
        for read in (model.buffer, model.fd_path, model.open, model.tensors):
            with pytest.raises(DecryptionError):
                read(name)
        assert model.decrypted == ()


def test_files_of_two_encryptions(folder: Path, tmp_path: Path, wrapper: LocalKeyWrapper) -> None:
    """Each file alone is right; together they are no folder that anybody encrypted."""
    encrypt_folder(tmp_path / "plain", tmp_path / "again", wrapper, context=CONTEXT)
    (tmp_path / "again" / "config.json").replace(folder / "config.json")
    with opened(folder, Decryption(wrapper, CONTEXT)) as model:
        assert model.buffer("config.json") == FILES["config.json"]
        with pytest.raises(DecryptionError):
            model.buffer("sub/README.md")


def test_plaintext_is_scanned(tmp_path: Path, wrapper: LocalKeyWrapper) -> None:
    """A pickle that runs a program is refused inside of its encryption, on every way out."""
    plain = write_model(tmp_path / "plain", {"model.bin": EVIL, "config.json": b"{}"})
    encrypt_folder(plain, tmp_path / "model", wrapper)
    with leaving_nothing(), opened(tmp_path / "model", Decryption(wrapper)) as model:
        for read in (model.buffer, model.fd_path, model.open):
            with pytest.raises(UnsafeArtifactError, match="system"):
                read("model.bin")
        for copies in (False, True):
            with pytest.raises(UnsafeArtifactError), model.directory(copies=copies):
                pytest.fail("an unsafe model was laid out")
        assert any("refused: 'model.bin'" in gap for gap in model.verification().unchecked)
    with opened(tmp_path / "model", Decryption(wrapper), scan=False) as model:
        assert model.buffer("model.bin") == EVIL


def test_without_decryption_it_is_ciphertext(folder: Path) -> None:
    """Nobody decrypts unasked: what was signed is handed out as it is."""
    with opened(folder, None, scan=False) as model:
        assert model.buffer("config.json") == (folder / "config.json").read_bytes()
        assert model.decrypted == ()


def test_limit_counts_both(folder: Path, wrapper: LocalKeyWrapper) -> None:
    """Ciphertext and plaintext exist at one time, and both count."""
    size = (folder / "model.safetensors").stat().st_size
    with opened(folder, Decryption(wrapper, CONTEXT), max_bytes=size) as model:
        with pytest.raises(ResourceLimitError):
            model.buffer("model.safetensors")
        assert model.decrypted == ()
    with opened(folder, Decryption(wrapper, CONTEXT), max_bytes=2 * size) as model:
        assert model.buffer("model.safetensors") == FILES["model.safetensors"]


def test_a_sealed_copy_is_compared_after_the_seal(
    folder: Path, wrapper: LocalKeyWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody writes into the copy before it is sealed is found."""
    write = sealed._write_all

    def meddled(descriptor: int, content: memoryview) -> None:
        write(descriptor, content)
        os.pwrite(descriptor, b"X", len(content) - 1)

    monkeypatch.setattr(sealed, "_write_all", meddled)
    with leaving_nothing(), opened(folder, Decryption(wrapper, CONTEXT)) as model:
        with pytest.raises(DigestMismatchError):
            model.fd_path("model.safetensors")
        assert model.buffer("model.safetensors") == FILES["model.safetensors"]


def test_with_a_real_signature(folder: Path, wrapper: LocalKeyWrapper) -> None:
    """Encrypt, sign, verify, decrypt, load."""
    key = PrivateKey.generate()
    sign(folder, key)
    verifier = Verifier(TrustedKeys([key.public]))
    arrays = load_safetensors_verified(folder, verifier, decrypt=Decryption(wrapper, CONTEXT))
    assert arrays["weight"].sum() == 64 * (12 << 10)


@pytest.mark.parametrize("value", [True, "key", {}, LocalKeyWrapper, object()])
def test_arguments(folder: Path, wrapper: LocalKeyWrapper, value: Any) -> None:
    """What is no decryption, key or context is said before anything is read."""
    with pytest.raises(ConfigurationError, match="Decryption"):
        opened(folder, value)
    with pytest.raises(ConfigurationError, match="KeyWrapper"):
        Decryption(value)
    for context in (5, {1: "a"}, {"a": 1}, {"a": "x" * 5000}):
        wrong: Any = context
        with pytest.raises(ConfigurationError):
            Decryption(wrapper, wrong)
        with (
            opened(folder, Decryption(wrapper, lambda _, wrong=wrong: wrong)) as model,
            pytest.raises(ModelSecError),
        ):
            model.buffer("config.json")
    with (
        opened(folder, Decryption(wrapper, {"modelsec.set": "1"})) as model,
        pytest.raises(ConfigurationError, match="ours"),
    ):
        model.buffer("config.json")
