"""Attacks from outside, and misuse."""

import contextlib
import os
import secrets
import shutil
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modelsec.encryption import (
    AwsKmsWrapper,
    LocalKeyWrapper,
    PartlyVerifiedFile,
    TinkKmsWrapper,
    decrypt_file,
    decrypt_folder,
    decrypt_into,
    decrypt_tink_stream,
    decrypt_to_buffer,
    encrypt_file,
    encrypt_folder,
    encrypt_tink_stream,
    rewrap,
    tink_stream_to_buffer,
    unverified_header,
    wrapper_from_uri,
)
from modelsec.encryption.cipher import SegmentCipher, StreamHeader
from modelsec.encryption.data_key import DataKey
from modelsec.encryption.header import Header, bound_part, commitment_of, wrap_context
from modelsec.encryption.segments import Layout
from modelsec.errors import (
    ConfigurationError,
    DecryptionError,
    KeyServiceError,
    ModelSecError,
    ResourceLimitError,
    UnsafeTreeError,
)
from tests.encryption.samples import KEY, Odd, encrypted, fails, wrapper

MIB = 2**20


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _multiplied(one: int, other: int) -> int:
    """The product in GCM's field, whose bits are mirrored (NIST SP 800-38D, section 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if other >> bit & 1:
            product ^= one
        one = one >> 1 ^ (0xE1 << 120 if one & 1 else 0)
    return product


def _inverted(value: int) -> int:
    result, square = 1 << 127, value
    for _ in range(127):
        square = _multiplied(square, square)
        result = _multiplied(result, square)
    return result


def _two_key_segment(keys: tuple[bytes, bytes], nonce: bytes) -> bytes:
    """One block of ciphertext and a tag that are right under both AES keys."""
    ecb = [Cipher(algorithms.AES(key), modes.ECB()).encryptor() for key in keys]  # noqa: S305 - the block cipher itself
    h = [int.from_bytes(one.update(bytes(16))) for one in ecb]
    mask = [int.from_bytes(one.update(nonce + b"\0\0\0\x01")) for one in ecb]
    length = 128  # bits of ciphertext; there are no associated data
    squares = [_multiplied(one, one) for one in h]
    known = _multiplied(length, h[0] ^ h[1]) ^ mask[0] ^ mask[1]
    block = _multiplied(known, _inverted(squares[0] ^ squares[1]))
    tag = _multiplied(block, squares[0]) ^ _multiplied(length, h[0]) ^ mask[0]
    return block.to_bytes(16) + tag.to_bytes(16)


def test_one_file_for_two_keys(tmp_path: Path) -> None:
    """A stream that two keys open is possible; a file of ours that two keys open is not."""
    one, other = bytes(32), KEY
    start, bound = StreamHeader.random(), bound_part(MIB, ())
    derived = [DataKey(key).derive(start.salt, bound) for key in (one, other)]
    sealed = _two_key_segment((derived[0], derived[1]), start.prefix + b"\0\0\0\0\x01")
    stream = tmp_path / "stream"
    stream.write_bytes(start.encode() + sealed)
    texts = {
        bytes(tink_stream_to_buffer(stream, key, associated_data=bound)) for key in (one, other)
    }
    assert len(texts) == 2
    commitment = commitment_of(DataKey(one), start.salt, bound)
    header = Header(MIB, (), "odd", b"wrapped", commitment).encode()
    (tmp_path / "model.enc").write_bytes(header + stream.read_bytes())
    opens = Odd(unwrap=lambda blob, context: one)  # noqa: ARG005 - the protocol
    assert bytes(decrypt_to_buffer(tmp_path / "model.enc", opens)) in texts
    refuses = Odd(unwrap=lambda blob, context: other)  # noqa: ARG005 - idem
    with pytest.raises(DecryptionError, match="does not fit the key"):
        decrypt_to_buffer(tmp_path / "model.enc", refuses)


def test_the_last_of_all_segments() -> None:
    """Segment 2**32 - 1 has its own number in the nonce, and the flag of the last one."""
    layout = Layout.of_stream(2**32 * 4096, 4096)
    start, key = StreamHeader.random(), DataKey(KEY)
    cipher = SegmentCipher(key, start, b"", layout)
    plain, sealed = memoryview(bytes(2 * 4080)), memoryview(bytearray(2 * 4096))
    cipher.seal(2**32 - 2, 2**32, plain, sealed)
    aead = AESGCM(key.derive(start.salt, b""))
    for at, nonce in ((0, b"\xff\xff\xff\xfe\0"), (4096, b"\xff\xff\xff\xff\x01")):
        expected = aead.encrypt(start.prefix + nonce, bytes(4080), None)
        assert bytes(sealed[at : at + 4096]) == expected


def test_no_block_is_opened_by_half(tmp_path: Path) -> None:
    """Each segment of a block has to verify, the last one of a block and of a file, too."""
    path, _ = encrypted(tmp_path, 600 * 4080 - 40)
    raw = path.read_bytes()
    base = len(raw) - 600 * 4096
    for segment in (0, 1, 254, 255, 256, 511, 512, 598, 599):
        changed = bytearray(raw)
        changed[base + segment * 4096 + 4095] ^= 1
        path.write_bytes(changed)
        with pytest.raises(DecryptionError, match=f"segment {segment + 1} of 600 does not"):
            decrypt_to_buffer(path, wrapper())


def test_a_terabyte_of_nothing(tmp_path: Path) -> None:
    """A file that was extended to 1 TiB is refused at once, in little memory."""
    path, _ = encrypted(tmp_path, 10_000)
    os.truncate(path, 2**40)
    tracemalloc.start()
    try:
        with pytest.raises(DecryptionError):
            decrypt_to_buffer(path, wrapper())
        with pytest.raises(DecryptionError):
            decrypt_file(path, tmp_path / "back", wrapper())
        with pytest.raises(DecryptionError):
            PartlyVerifiedFile(path, wrapper())
        with pytest.raises(DecryptionError):
            rewrap(path, wrapper(), wrapper())
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()
    assert names(tmp_path) == ["model.enc"]


@pytest.fixture
def hollow(tmp_path: Path) -> Path:
    """A sparse file of 8 TiB by somebody who may wrap: only its last segment is right."""
    count, path = 2**23, tmp_path / "hollow"
    key, start, bound = DataKey.random(), StreamHeader.random(), bound_part(MIB, ())
    wrapped = key.wrapped(wrapper(), wrap_context(bound, wrapper().key_id))
    header = Header(MIB, (), wrapper().key_id, wrapped, commitment_of(key, start.salt, bound))
    sealed = memoryview(bytearray(MIB))
    cipher = SegmentCipher(key, start, bound, Layout.of_stream(count * MIB, MIB))
    cipher.seal(count - 1, count, memoryview(bytes(MIB - 16)), sealed)
    with path.open("wb") as file:
        file.write(header.encode() + start.encode())
        try:
            file.seek(len(header.encode()) + (count - 1) * MIB)
            file.write(sealed)
        except OSError:
            pytest.skip("no file of 8 TiB here")
    return path


def test_a_hollow_file(hollow: Path) -> None:
    """What it begins with is enough to refuse it; its memory is not asked for."""
    with pytest.raises(DecryptionError, match=r"segment \d+ of 8388608"):
        decrypt_file(hollow, hollow.with_name("back"), wrapper())
    with pytest.raises((ResourceLimitError, DecryptionError)):
        decrypt_to_buffer(hollow, wrapper())
    with PartlyVerifiedFile(hollow, wrapper()) as file:
        assert file.read_at(file.size - 3, 3) == bytes(3)
        with pytest.raises(DecryptionError, match="segment 1 of"):
            file.read()
    assert names(hollow.parent) == ["hollow"]


def test_replaced_while_it_is_rewrapped(tmp_path: Path) -> None:
    """A newer file under the same name is not rolled back."""
    path, _ = encrypted(tmp_path, 500)
    (tmp_path / "new").mkdir()
    newer, content = encrypted(tmp_path / "new", 700)

    def replacing(key: bytes, _context: bytes) -> bytes:
        newer.replace(path)
        return b"w" + key

    with pytest.raises(DecryptionError, match="was changed while it was read"):
        rewrap(path, wrapper(), Odd(wrap=replacing))
    assert bytes(decrypt_to_buffer(path, wrapper())) == content


def test_changed_behind_the_last_segment(tmp_path: Path) -> None:
    """Segments are verified as they are read, whatever was verified before."""
    path, _ = encrypted(tmp_path, 3 * MIB, segment_size=MIB)

    def meddle(_done: int, _total: int) -> None:
        with path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\0" if raw[-1] else b"\1")

    raw = path.read_bytes()
    with pytest.raises(DecryptionError, match="segment 4 of 4"):
        decrypt_file(path, tmp_path / "back", wrapper(), workers=1, on_progress=meddle)
    path.write_bytes(raw)
    room = bytearray(b"\xaa" * 3 * MIB)
    with pytest.raises(DecryptionError, match="segment 4 of 4"):
        decrypt_into(path, room, wrapper(), workers=1, on_progress=meddle)
    assert not any(room)
    assert names(tmp_path) == ["model.enc"]


def test_nothing_leaks(tmp_path: Path) -> None:
    """Refusals leave neither threads nor descriptors behind."""
    path, _ = encrypted(tmp_path, 3 * MIB, segment_size=MIB)
    raw = bytearray(path.read_bytes())
    raw[MIB] ^= 1
    path.write_bytes(raw)
    descriptors, threads = len(os.listdir("/dev/fd")), threading.active_count()  # noqa: PTH208
    for _ in range(5):
        with pytest.raises(DecryptionError):
            decrypt_file(path, tmp_path / "back", wrapper(), workers=3)
        with pytest.raises(DecryptionError):
            decrypt_to_buffer(path, wrapper(), workers=3)
        with pytest.raises(DecryptionError):
            PartlyVerifiedFile(path, wrapper(), context={"a": "b"})
        with pytest.raises(KeyServiceError):
            rewrap(path, wrapper(), Odd(wrap=fails(OSError())))
    assert len(os.listdir("/dev/fd")) == descriptors  # noqa: PTH208 - names only
    assert threading.active_count() == threads


def test_formats_are_not_confused(tmp_path: Path) -> None:
    """A bare stream is none of our files, nor the other way round, whatever the key."""
    (tmp_path / "plain").write_bytes(bytes(100))
    encrypt_tink_stream(tmp_path / "plain", tmp_path / "stream", KEY)
    encrypt_file(tmp_path / "plain", tmp_path / "ours", wrapper())
    with pytest.raises(DecryptionError, match="not encrypted by modelsec"):
        decrypt_to_buffer(tmp_path / "stream", wrapper())
    with pytest.raises(DecryptionError):
        decrypt_tink_stream(tmp_path / "ours", tmp_path / "back", KEY)
    assert names(tmp_path) == ["ours", "plain", "stream"]


def test_a_wrapper_that_decrypts(tmp_path: Path) -> None:
    """A wrapper may use the library itself while it is asked."""
    path, content = encrypted(tmp_path, 5000)

    def nested(blob: bytes, context: bytes) -> bytes:
        assert bytes(decrypt_to_buffer(path, wrapper())) == content
        return wrapper().unwrap(blob, context)

    assert bytes(decrypt_to_buffer(path, Odd(unwrap=nested))) == content


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=repr)
def test_what_is_no_error(tmp_path: Path, error: BaseException) -> None:
    """Interrupts pass through a wrapper as they are, and leave nothing behind."""
    path, _ = encrypted(tmp_path, 50)
    raw = path.read_bytes()
    with pytest.raises(type(error)):
        decrypt_file(path, tmp_path / "back", Odd(unwrap=fails(error)))
    with pytest.raises(type(error)):
        rewrap(path, wrapper(), Odd(wrap=fails(error)))
    assert path.read_bytes() == raw
    assert names(tmp_path) == ["model.enc"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    for name in ("a/x", "b/x", "c"):
        (folder / name).write_bytes(secrets.token_bytes(30))
    return folder


def test_folder_tricks(tmp_path: Path, model: Path) -> None:
    """Twins in two folders do not swap, a renamed folder shows, links and pipes are refused."""
    sealed = tmp_path / "sealed"

    def swap(at: Path) -> None:
        (at / "a/x").rename(at / "t")
        (at / "b/x").rename(at / "a/x")
        (at / "t").rename(at / "b/x")

    tricks: dict[str, Callable[[Path], object]] = {
        "swap": swap,
        "rename": lambda at: (at / "a").rename(at / "d"),
        "double": lambda at: shutil.copy(at / "c", at / "d"),
        "pipe": lambda at: os.mkfifo(at / "pipe"),
        "link": lambda at: (at / "l").symlink_to("c"),
        "folder link": lambda at: (at / "l").symlink_to("a"),
    }
    encrypt_folder(model, sealed, wrapper())
    for number, trick in enumerate(tricks.values()):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(sealed, copy)
        trick(copy)
        with pytest.raises((DecryptionError, UnsafeTreeError)):
            decrypt_folder(copy, tmp_path / "back", wrapper())
        assert not [name for name in names(tmp_path) if "back" in name]


# What did not hold once.


def test_link_switched_while_rewrapping(tmp_path: Path) -> None:
    """``current`` is pointed to a newer version meanwhile: that version is not overwritten."""
    old, _ = encrypted(tmp_path, 500)
    (tmp_path / "new").mkdir()
    newer, content = encrypted(tmp_path / "new", 700)
    link = tmp_path / "current"
    link.symlink_to(old)

    def switching(key: bytes, _context: bytes) -> bytes:
        link.unlink()
        link.symlink_to(newer)
        return b"w" + key

    # To refuse is as good as to write to the old one.
    with contextlib.suppress(ModelSecError):
        rewrap(link, wrapper(), Odd(wrap=switching))
    assert bytes(decrypt_to_buffer(newer, wrapper())) == content


def test_rotation_through_a_link(tmp_path: Path) -> None:
    """All who load the key file learn of the new key, through the link or not, or it is refused."""
    LocalKeyWrapper.generate(tmp_path / "keys")
    (tmp_path / "link").symlink_to("keys")
    try:
        rotated = LocalKeyWrapper.rotate(tmp_path / "link")
    except ConfigurationError:
        return
    assert LocalKeyWrapper.load(tmp_path / "keys").key_ids == rotated.key_ids


def test_receipts_of_a_folder(tmp_path: Path, model: Path) -> None:
    """A receipt names the file that is there."""
    for done in encrypt_folder(model, tmp_path / "sealed", wrapper()):
        assert Path(done.target).is_file()
    for back in decrypt_folder(tmp_path / "sealed", tmp_path / "back", wrapper()):
        assert Path(back.target).is_file()


def test_interrupted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second interrupt does not leave threads that read, write and decrypt behind our back."""
    path, _ = encrypted(tmp_path, 6 * MIB, segment_size=MIB)
    join, pwrite, may_write = threading.Thread.join, os.pwrite, threading.Event()
    interrupts = iter([KeyboardInterrupt()])

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        for error in interrupts:
            threading.Timer(0.2, may_write.set).start()
            raise error
        join(thread, timeout)

    def late(descriptor: int, data: memoryview, offset: int) -> int:
        if offset >= MIB:
            may_write.wait(10)
        return pwrite(descriptor, data, offset)

    def cancel(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "pwrite", late)
    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decrypt_file(path, tmp_path / "back", wrapper(), workers=3, on_progress=cancel)
    left = [one for one in threading.enumerate() if one.name.startswith("modelsec-segments")]
    may_write.set()
    for thread in left:
        join(thread, 10)
    assert not left


def test_plaintext_is_private(tmp_path: Path) -> None:
    """Unverified plaintext is its owner's, and so stays the file that it replaces."""
    path, _ = encrypted(tmp_path, 100)
    target = tmp_path / "back"
    target.touch(mode=0o600)
    found: set[int] = set()

    def look(_done: int, _total: int) -> None:
        found.update(one.stat().st_mode & 0o077 for one in tmp_path.glob(".back.*"))

    before = os.umask(0o022)
    try:
        decrypt_file(path, target, wrapper(), on_progress=look)
    finally:
        os.umask(before)
    assert found == {0}
    assert target.stat().st_mode & 0o077 == 0


def test_a_source_that_hides_its_size(tmp_path: Path) -> None:
    """A file that holds more than its size says is refused: else its content is lost."""
    source = Path("/proc/self/status")
    if not source.is_file():
        pytest.fail("no such file here")
    with pytest.raises(ModelSecError):
        encrypt_file(source, tmp_path / "sealed", wrapper())


def test_errors_of_the_callback(tmp_path: Path) -> None:
    """What the callback raises to cancel is what the caller gets."""
    path, _ = encrypted(tmp_path, 100)

    def cancel(_done: int, _total: int) -> None:
        raise TimeoutError("took too long")

    with pytest.raises(TimeoutError):
        decrypt_file(path, tmp_path / "back", wrapper(), on_progress=cancel)


class Telling:
    """A KMS client whose errors repeat what it was given."""

    def does_support(self, _uri: str) -> bool:
        return True

    def get_aead(self, _uri: str) -> "Telling":
        return self

    def encrypt(self, plaintext: bytes, _associated_data: bytes) -> bytes:
        raise ValueError(plaintext)

    decrypt = encrypt


def test_a_telling_client() -> None:
    """No key in a message, whatever the client says."""
    key = b"K" * 32
    with pytest.raises(KeyServiceError) as refused:
        TinkKmsWrapper(Telling(), "gcp-kms://key").wrap(key, b"")
    assert "KKKK" not in str(refused.value)


class Broken(Odd):
    """Not even its methods can be looked up."""

    @property
    def wrap(self) -> object:  # type: ignore[override]  # that is the test
        raise OSError("away")


def test_a_broken_wrapper(tmp_path: Path) -> None:
    """Looking for its methods may fail, too."""
    (tmp_path / "plain").touch()
    with pytest.raises(ModelSecError):
        encrypt_file(tmp_path / "plain", tmp_path / "sealed", object.__new__(Broken))  # type: ignore[arg-type]  # the test


class Unmeasurable(Mapping[str, str]):
    """A mapping whose owner went away."""

    def __len__(self) -> int:
        raise OSError("away")

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __getitem__(self, name: str) -> str:
        return name


def test_a_broken_context(tmp_path: Path) -> None:
    """A context that cannot be read is a wrong argument."""
    (tmp_path / "plain").touch()
    with pytest.raises(ConfigurationError):
        encrypt_file(tmp_path / "plain", tmp_path / "sealed", wrapper(), context=Unmeasurable())


@pytest.mark.parametrize("what", ["read-only", "no buffer", "progress"])
def test_wrong_types_for_a_reader(tmp_path: Path, what: str) -> None:
    """Wrong arguments of a reader are told as everywhere."""
    path, _ = encrypted(tmp_path, 100)
    with PartlyVerifiedFile(path, wrapper()) as file:
        calls: dict[str, Callable[[], object]] = {
            "read-only": lambda: file.readinto(b"x"),
            "no buffer": lambda: file.readinto(3),  # type: ignore[arg-type]  # the test
            "progress": lambda: file.verify_whole(on_progress=3),  # type: ignore[arg-type]  # idem
        }
        with pytest.raises(ConfigurationError):
            calls[what]()


def test_more_than_there_is_memory(hollow: Path) -> None:
    """To read more at once than memory holds is refused with a typed error."""
    with PartlyVerifiedFile(hollow, wrapper()) as file, pytest.raises(ModelSecError):
        file.read_at(0, file.size)


@pytest.mark.parametrize("what", ["environment", "region"])
def test_wrong_types_for_a_service(what: str) -> None:
    """Wrong types where keys are named."""
    calls: dict[str, Callable[[], object]] = {
        "region": lambda: AwsKmsWrapper.connect("alias/x", region=5),  # type: ignore[arg-type]  # the test
        "environment": lambda: wrapper_from_uri("hashivault://x", environment=3),  # type: ignore[arg-type]  # idem
    }
    with pytest.raises(ConfigurationError):
        calls[what]()


def test_reserved_names(tmp_path: Path, model: Path) -> None:
    """Names that begin with ``modelsec.`` are ours, as the documentation says."""
    with pytest.raises(ConfigurationError):
        encrypt_folder(model, tmp_path / "sealed", wrapper(), context={"modelsec.next": "1"})


def test_long_names(tmp_path: Path) -> None:
    """Every name that the file system takes can be written to."""
    (tmp_path / "plain").touch()
    target = tmp_path / ("n" * 250)
    encrypt_file(tmp_path / "plain", target, wrapper())
    assert unverified_header(target).key_id == wrapper().key_id


def test_closing_what_never_opened() -> None:
    """A reader whose constructor raised is closed by the collector without another error."""
    PartlyVerifiedFile.__new__(PartlyVerifiedFile).close()


@pytest.mark.parametrize("how", ["encrypt", "decrypt", "rewrap"])
def test_the_target_is_a_key_file(tmp_path: Path, how: str) -> None:
    """A key file is never overwritten: what was encrypted under its keys would be lost."""
    path, _ = encrypted(tmp_path, 100)
    keys = tmp_path / "keys"
    LocalKeyWrapper.generate(keys)
    raw = keys.read_bytes()
    calls: dict[str, Callable[[], object]] = {
        "encrypt": lambda: encrypt_file(path, keys, wrapper()),
        "decrypt": lambda: decrypt_file(path, keys, wrapper()),
        "rewrap": lambda: rewrap(path, wrapper(), wrapper(), target=keys),
    }
    with contextlib.suppress(ConfigurationError):
        calls[how]()
    assert keys.read_bytes() == raw


def test_a_link_instead_of_a_file(tmp_path: Path, model: Path) -> None:
    """A file of a folder that became a link after the folder was listed is not followed."""
    (tmp_path / "outside").write_bytes(b"of another")

    def swap(_done: int, _total: int) -> None:
        (model / "c").unlink(missing_ok=True)
        (model / "c").symlink_to(tmp_path / "outside")

    with pytest.raises(ModelSecError):
        encrypt_folder(model, tmp_path / "sealed", wrapper(), on_progress=swap)
