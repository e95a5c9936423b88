import pickle
import re
import secrets
from pathlib import Path

import pytest

from modelsec import ModelSigner
from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    SignatureMismatchError,
    UnsafeTreeError,
    UntrustedSignerError,
)

KEY = bytes(range(32))


@pytest.fixture
def signer() -> ModelSigner:
    return ModelSigner(KEY)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    (path / "sub").mkdir(parents=True)
    (path / "a.bin").write_bytes(b"a")
    (path / "sub" / "b.bin").write_bytes(b"b")
    return path


def test_a_file_round_trips(signer: ModelSigner, file: Path) -> None:
    """Signed and verified, with paths as text and as Path."""
    signature = signer.sign_model(str(file))
    assert signer.verify_signature(file, signature) is True
    assert re.fullmatch(r"hmac-sha256:v1:[0-9a-f]{16}:[0-9a-f]{64}", signature)


def test_signing_twice_gives_the_same(signer: ModelSigner, folder: Path) -> None:
    """A signature depends on key and model only."""
    assert signer.sign_model(folder) == ModelSigner(KEY).sign_model(folder)


def test_changed_bytes_are_refused(signer: ModelSigner, file: Path) -> None:
    """One byte more, and the reason is typed."""
    signature = signer.sign_model(file)
    file.write_bytes(b"weights!")
    assert signer.verify_signature(file, signature) is False
    with pytest.raises(SignatureMismatchError, match="were changed"):
        signer.verify(file, signature)


def test_a_directory_binds_names_and_contents(signer: ModelSigner, folder: Path) -> None:
    """Added, removed, renamed, swapped: each is refused."""
    signature = signer.sign_model(folder)
    (folder / "c.bin").write_bytes(b"")
    assert not signer.verify_signature(folder, signature)
    (folder / "c.bin").unlink()
    assert signer.verify_signature(folder, signature)
    (folder / "a.bin").rename(folder / "z.bin")
    assert not signer.verify_signature(folder, signature)
    (folder / "z.bin").write_bytes(b"b")
    (folder / "sub" / "b.bin").rename(folder / "a.bin")
    assert not signer.verify_signature(folder, signature)


def test_the_name_of_a_file_is_signed(signer: ModelSigner, file: Path, tmp_path: Path) -> None:
    """Two signed files cannot take each other's place; a name of one's own is possible."""
    renamed = tmp_path / "other.bin"
    signature = signer.sign_model(file)
    file.rename(renamed)
    assert not signer.verify_signature(renamed, signature)
    assert signer.verify_signature(renamed, signature, name="model.bin")


def test_a_model_name_is_signed(signer: ModelSigner, folder: Path) -> None:
    """One directory signed as one model does not pass for another."""
    signature = signer.sign_model(folder, name="churn")
    assert signer.verify_signature(folder, signature, name="churn")
    assert not signer.verify_signature(folder, signature, name="fraud")
    assert not signer.verify_signature(folder, signature)


def test_another_key_is_told_by_its_id(signer: ModelSigner, file: Path) -> None:
    """A rotated key is an answer, not a riddle."""
    other = ModelSigner(secrets.token_bytes(32))
    with pytest.raises(UntrustedSignerError, match=signer.key_id):
        other.verify(file, signer.sign_model(file))


def test_a_forged_key_id_does_not_help(signer: ModelSigner, file: Path) -> None:
    """The id selects, the tag decides."""
    other = ModelSigner(secrets.token_bytes(32))
    forged = other.sign_model(file).replace(other.key_id, signer.key_id)
    with pytest.raises(SignatureMismatchError):
        signer.verify(file, forged)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0" * 64,
        "hmac-sha256:v1::",
        "hmac-sha256:v2:" + "0" * 16 + ":" + "0" * 64,
        "hmac-sha256:v1:" + "0" * 16 + ":" + "0" * 63,
        "hmac-sha256:v1:" + "0" * 16 + ":" + "A" * 64,
        "hmac-sha256:v1:" + "0" * 16 + ":" + "0" * 64 + "\n",
        "hmac-sha256:v1:" + "\u0660" * 16 + ":" + "0" * 64,
        "x" * 10_000_000,
        None,
        7,
        b"hmac-sha256:v1",
    ],
)
def test_what_is_no_signature_verifies_nothing(
    signature: object, signer: ModelSigner, file: Path
) -> None:
    """Malformed text is refused as such, and ``verify_signature`` is False."""
    with pytest.raises(BundleFormatError, match="not a signature"):
        signer.verify(file, signature)  # type: ignore[arg-type]
    assert signer.verify_signature(file, signature) is False  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [b"", b"short", "brief", "x" * 15, None, 7, bytearray(32)])
def test_a_weak_or_wrong_key_is_refused(key: object) -> None:
    """Sixteen bytes are the least."""
    with pytest.raises(ConfigurationError):
        ModelSigner(key)  # type: ignore[arg-type]


def test_a_key_that_is_no_utf_8_does_not_show_in_the_error() -> None:
    """The error and what caused it hold no part of the key."""
    with pytest.raises(ConfigurationError, match="UTF-8") as caught:
        ModelSigner("\ud800" * 20)
    assert caught.value.__cause__ is None
    assert "d800" not in str(caught.value)


def test_text_keys_work_as_in_the_lesson(file: Path) -> None:
    """The lesson's keys are text."""
    signature = ModelSigner("a passphrase of some length").sign_model(file)
    assert ModelSigner(b"a passphrase of some length").verify_signature(file, signature)


def test_the_key_shows_nowhere(signer: ModelSigner) -> None:
    """Neither in ``repr`` nor in a pickle."""
    assert repr(signer) == f"ModelSigner(key_id={signer.key_id!r})"
    with pytest.raises(TypeError):
        pickle.dumps(signer)


def test_an_unsafe_tree_is_refused(signer: ModelSigner, folder: Path) -> None:
    """A link in the model: signing raises, verifying is False and says why."""
    signature = signer.sign_model(folder)
    (folder / "link").symlink_to("a.bin")
    with pytest.raises(UnsafeTreeError):
        signer.sign_model(folder)
    assert signer.verify_signature(folder, signature) is False


def test_a_missing_model_is_the_callers_fault(signer: ModelSigner, tmp_path: Path) -> None:
    """A wrong path is not a forged model."""
    with pytest.raises(ConfigurationError):
        signer.verify_signature(tmp_path / "nothing", f"hmac-sha256:v1:{signer.key_id}:{'0' * 64}")


@pytest.mark.parametrize("name", ["\ud800", 7, b"x"])
def test_names_are_text(name: object, signer: ModelSigner, file: Path, folder: Path) -> None:
    """What cannot be a name is the caller's fault."""
    for path in (file, folder):
        with pytest.raises(ConfigurationError):
            signer.sign_model(path, name=name)  # type: ignore[arg-type]


def test_the_receipt_says_that_verifiers_can_forge(signer: ModelSigner, file: Path) -> None:
    """A shared secret proves less than a key pair, and the receipt says so."""
    receipt = signer.verify(file, signer.sign_model(file))
    assert receipt.signatories[0].method == "hmac"
    assert "can also make one" in receipt.unchecked[0]
    assert receipt.to_dict()["verified"] is True
