"""Local wrapping keys: the file that holds them, and what they wrap."""

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from modelsec import ConfigurationError
from modelsec.encryption import key_storage
from modelsec.encryption.key_file import LocalKeyWrapper
from modelsec.errors import DecryptionError
from modelsec.keyed import Secret
from modelsec.testing.wrapper import check_key_wrapper

KEY, OTHER, DATA = b"k" * 32, b"o" * 32, b"data key of 32 random bytes ....."
CONTEXT = b"model 1.2.0"
GOLDEN = (
    "012fd1017ee789213cb42f0264518b987eb6a30d1d3cbcee9d8c9a04004db15f4a3928ca4fe8a0f5"
    "1c6f9b3a64281242954e528ac0267894ee0a707e369b5cbc385b8ac241c97f9f064b41aad1cddac9"
    "d9e058e922a5921f4c353d662be38510d92a8ae3e2c72f4affc9759aedcb5269bfd512dfcbb156ad"
    "fd383615fc392f190d"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a key file may be made."""
    return tmp_path / "wrapping.key"


def test_it_keeps_the_contract(path: Path) -> None:
    """The wrapper of a rotated key file passes the conformance kit."""
    LocalKeyWrapper.generate(path)
    check_key_wrapper(LocalKeyWrapper.rotate(path))


def test_a_key_file_comes_back(path: Path) -> None:
    """What the wrapper of a new key file wrapped, the loaded one unwraps."""
    made = LocalKeyWrapper.generate(path)
    loaded = LocalKeyWrapper.load(str(path))
    assert loaded.key_id == made.key_id
    assert loaded.unwrap(made.wrap(DATA, CONTEXT), CONTEXT) == DATA


def test_two_key_files_differ(tmp_path: Path) -> None:
    """Keys are random."""
    ids = {LocalKeyWrapper.generate(tmp_path / name).key_id for name in "abc"}
    assert len(ids) == 3


def test_only_its_owner_reads_it(path: Path) -> None:
    """A key file is made and rotated with mode 0600, whatever the umask."""
    before = os.umask(0)
    try:
        LocalKeyWrapper.generate(path)
        assert path.stat().st_mode & 0o777 == 0o600
        LocalKeyWrapper.rotate(path)
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_nothing_is_overwritten(path: Path) -> None:
    """A name that is taken is refused, and the file stays as it was; nothing is left beside it."""
    path.write_text("precious")
    with pytest.raises(ConfigurationError, match="exists, and a key file is never overwritten"):
        LocalKeyWrapper.generate(path)
    assert path.read_text() == "precious"
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208 - the names


def test_a_dangling_link_is_not_followed(path: Path) -> None:
    """No key file is made through a link that somebody left under its name."""
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(ConfigurationError, match="exists"):
        LocalKeyWrapper.generate(path)
    assert not path.with_name("elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o606, 0o777, 0o610])
def test_a_shared_file_is_refused(path: Path, mode: int) -> None:
    """A key file that others may read, write or execute is not loaded, and not rotated."""
    LocalKeyWrapper.generate(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"mode 0{mode:o}.*chmod 600"):
        LocalKeyWrapper.load(path)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        LocalKeyWrapper.rotate(path)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444, 0o644])
def test_a_mounted_secret_may_be_readable(path: Path, mode: int) -> None:
    """With the explicit option a file is loaded that others may read."""
    made = LocalKeyWrapper.generate(path)
    path.chmod(mode)
    assert LocalKeyWrapper.load(path, readable_by_others=True).key_id == made.key_id


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_no_option_permits_writing(path: Path, mode: int) -> None:
    """A file that others may write to is refused even as a mounted secret."""
    LocalKeyWrapper.generate(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="may write"):
        LocalKeyWrapper.load(path, readable_by_others=True)


def test_a_link_to_a_key_file_is_followed(path: Path) -> None:
    """Kubernetes mounts secrets as links: the mode of the file counts."""
    made = LocalKeyWrapper.generate(path)
    link = path.with_name("link")
    link.symlink_to(path)
    assert LocalKeyWrapper.load(link).key_id == made.key_id


def test_rotation_keeps_what_was_wrapped(path: Path) -> None:
    """After a rotation new keys are wrapped under the new key, and old blobs still unwrap."""
    old = LocalKeyWrapper.generate(path)
    blob = old.wrap(DATA, CONTEXT)
    new = LocalKeyWrapper.rotate(path)
    assert new.key_id != old.key_id
    assert new.key_ids == (new.key_id, old.key_id)
    assert new.unwrap(blob, CONTEXT) == DATA
    again = new.wrap(new.unwrap(blob, CONTEXT), CONTEXT)
    assert LocalKeyWrapper.load(path).unwrap(again, CONTEXT) == DATA
    with pytest.raises(DecryptionError, match="not among those given"):
        old.unwrap(again, CONTEXT)


def test_a_retired_key_is_named(path: Path) -> None:
    """Without its key a blob is refused, with the identifier of the key that is needed."""
    old = LocalKeyWrapper.generate(path)
    blob = old.wrap(DATA, CONTEXT)
    new = LocalKeyWrapper.rotate(path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if old.key_id[6:] not in line))
    retired = LocalKeyWrapper.load(path)
    assert retired.key_ids == (new.key_id,)
    with pytest.raises(DecryptionError, match=f"under the key {old.key_id}.*load the key file"):
        retired.unwrap(blob, CONTEXT)


def test_two_rotations_at_once_lose_no_key(path: Path) -> None:
    """Of those who rotate at once each adds a key that stays, or is told to wait."""

    def rotated(_: int) -> str | None:
        try:
            return LocalKeyWrapper.rotate(path).key_id
        except ConfigurationError as error:
            assert "another call is at it" in str(error)  # noqa: PT017 - not raised by each
            return None

    LocalKeyWrapper.generate(path)
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(rotated, range(24)))
    added = len(LocalKeyWrapper.load(path).key_ids) - 1
    assert added == sum(outcome is not None for outcome in outcomes) > 0
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208 - the names


def test_a_rotation_that_died_is_told(path: Path) -> None:
    """A lock that was left behind is named, and the key file stays as it was."""
    LocalKeyWrapper.generate(path)
    before = path.read_bytes()
    path.with_name(".wrapping.key.rotating").touch()
    with pytest.raises(ConfigurationError, match=r"\.wrapping\.key\.rotating.*delete that file"):
        LocalKeyWrapper.rotate(path)
    assert path.read_bytes() == before


def test_a_full_file_is_not_rotated(path: Path) -> None:
    """There are 64 keys at most; the 65th is refused and nothing is left beside the file."""
    keys = [bytes((number,)) * 32 for number in range(64)]
    path.write_bytes(key_storage._text(keys))
    path.chmod(0o600)
    assert len(LocalKeyWrapper.load(path).key_ids) == 64
    with pytest.raises(ConfigurationError, match="holds 64 keys"):
        LocalKeyWrapper.rotate(path)
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208 - the names


def test_a_full_disk_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing fails the key file stays as it was and nothing is left beside it."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    LocalKeyWrapper.generate(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        LocalKeyWrapper.rotate(path)
    with pytest.raises(ConfigurationError, match="No space left"):
        LocalKeyWrapper.generate(path.with_name("second"))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208 - the names


def test_a_read_error_is_typed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails while the file is read gives a typed error."""

    def broken(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    LocalKeyWrapper.generate(path)
    monkeypatch.setattr(os, "fdopen", broken)
    with pytest.raises(ConfigurationError, match="Input/output error"):
        LocalKeyWrapper.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda _: b"", "does not begin with the line", id="empty"),
        pytest.param(lambda _: b"\x00" * 100, "does not begin with the line", id="zeros"),
        pytest.param(
            lambda _: b"-----BEGIN PRIVATE KEY-----\n", "does not begin with the line", id="PEM"
        ),
        pytest.param(
            lambda raw: raw.replace(b"file 1", b"file 2"), "newer version", id="version 2"
        ),
        pytest.param(lambda raw: b"\xef\xbb\xbf" + raw, "does not begin", id="byte order mark"),
        pytest.param(
            lambda raw: raw.replace(b"\n", b"\r\n"), "does not begin", id="carriage returns"
        ),
        pytest.param(lambda raw: raw[:-1], "ends within a line", id="no last newline"),
        pytest.param(lambda raw: raw[:-20], "ends within a line", id="cut"),
        pytest.param(lambda raw: raw[:-21] + b"\n", "line 3 of .* neither", id="short key"),
        pytest.param(lambda raw: raw + b"\n", "line 4 of .* neither", id="blank line"),
        pytest.param(lambda raw: raw + b"key = 1\n", "line 4 of .* neither", id="another format"),
        pytest.param(lambda raw: raw.replace(b" ", b"  "), "does not begin", id="two spaces"),
        pytest.param(
            lambda raw: raw + raw.splitlines()[2].upper() + b"\n",
            "line 4 of .* neither",
            id="upper case",
        ),
        pytest.param(
            lambda raw: raw + raw.splitlines()[2] + b" \n",
            "line 4 of .* neither",
            id="trailing space",
        ),
        pytest.param(
            lambda raw: raw + raw.splitlines()[2] + b"\n",
            "line 4 of .* repeats a key",
            id="repeated key",
        ),
        pytest.param(
            lambda raw: raw[:-2] + (b"1" if raw[-2:-1] == b"0" else b"0") + b"\n",
            "digit",
            id="digit",
        ),
        pytest.param(
            lambda raw: b"".join(raw.splitlines(keepends=True)[:2]), "holds 0 keys", id="no key"
        ),
        pytest.param(lambda raw: raw + b"#" * 70_000 + b"\n", "more than 65536 bytes", id="huge"),
        pytest.param(lambda raw: raw + "é\x00\n".encode(), "line 4 of .* neither", id="not ASCII"),
    ],
)
def test_a_damaged_file_is_refused(
    path: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    """A file that is not exactly of the format is refused, without its keys in the message."""
    LocalKeyWrapper.generate(path)
    raw = path.read_bytes()
    path.write_bytes(change(raw))
    with pytest.raises(ConfigurationError, match=message) as caught:
        LocalKeyWrapper.load(path)
    secret = raw.split()[-1].decode()
    assert not any(secret[at : at + 12] in str(caught.value) for at in range(52))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_key_file_or_refused(raw: bytes) -> None:
    """Whatever is in the file, parsing gives keys or a typed error."""
    for text in (raw, b"modelsec-key-file 1\n" + raw):
        with pytest.raises(ConfigurationError):
            key_storage._parsed(Path("k"), text)


def test_comments_are_the_owner_s(path: Path) -> None:
    """Comments may be added, in any encoding."""
    made = LocalKeyWrapper.generate(path)
    with path.open("ab") as file:
        file.write("# für 2026\n".encode() + b"#\xff\n")
    assert LocalKeyWrapper.load(path).key_id == made.key_id


@pytest.mark.parametrize("bad", [None, 5, b"bytes", "", ".", "/", ["k"]])
def test_a_path_is_a_path(bad: object) -> None:
    """What names no file is refused by each way in."""
    for call in (LocalKeyWrapper.generate, LocalKeyWrapper.load, LocalKeyWrapper.rotate):
        with pytest.raises(ConfigurationError):
            call(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["no/such/folder/k", "k" * 300, "a\x00b", "lone\ud800"])
def test_a_hostile_path_gives_a_typed_error(tmp_path: Path, name: str) -> None:
    """Names that the file system refuses give a typed error."""
    for call in (LocalKeyWrapper.generate, LocalKeyWrapper.load, LocalKeyWrapper.rotate):
        with pytest.raises(ConfigurationError):
            call(tmp_path / name)


def test_a_pipe_or_folder_is_no_key_file(path: Path) -> None:
    """A pipe does not hang the caller, a folder is told as one."""
    os.mkfifo(path, 0o600)
    with pytest.raises(ConfigurationError, match="not a regular file"):
        LocalKeyWrapper.load(path)
    with pytest.raises(ConfigurationError, match="a folder"):
        LocalKeyWrapper.load(path.parent)


@pytest.mark.parametrize(
    "key", [b"", b"k" * 31, b"k" * 33, "k" * 32, bytearray(32), None, 32], ids=repr
)
def test_a_wrapping_key_is_32_bytes(key: object) -> None:
    """Passwords, short keys and other types are refused, without showing them."""
    with pytest.raises(ConfigurationError, match="32 random bytes") as caught:
        LocalKeyWrapper.from_bytes(key)  # type: ignore[arg-type]
    assert "kkk" not in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [(), (KEY, KEY), tuple(bytes((n,)) * 32 for n in range(65))],
    ids=["none", "repeated", "too many"],
)
def test_keys_are_some_and_distinct(keys: tuple[bytes, ...]) -> None:
    """No key, the same one twice, or more than 64 are refused."""
    with pytest.raises(ConfigurationError, match="wrapping key"):
        LocalKeyWrapper(*keys)


def test_the_blob_is_as_documented() -> None:
    """A blob can be opened with nothing but the documented format and `cryptography`."""
    blob = LocalKeyWrapper.from_bytes(KEY).wrap(DATA, CONTEXT)
    assert len(blob) == 81 + len(DATA) + 16
    assert blob[0] == 1
    assert blob[1:17] == Secret(KEY).subkey("encryption/key-id")[:16]
    hkdf = HKDF(SHA256(), length=64, salt=blob[17:49], info=b"modelsec/v1/key-wrap")
    output = hkdf.derive(Secret(KEY).subkey("encryption/key-wrap"))
    assert blob[49:81] == output[32:]
    assert AESGCM(output[:32]).decrypt(bytes(12), blob[81:], blob[:81] + CONTEXT) == DATA


def test_a_blob_of_version_1_stays_readable() -> None:
    """A blob that was made when the format was fixed is unwrapped for ever."""
    blob = bytes.fromhex(GOLDEN)
    assert LocalKeyWrapper.from_bytes(KEY).unwrap(blob, CONTEXT) == DATA[:32]


def test_every_bit_of_a_blob_counts() -> None:
    """A blob with any one bit changed is refused."""
    wrapper = LocalKeyWrapper(KEY, OTHER)
    blob = wrapper.wrap(DATA[:16], CONTEXT)
    for bit in range(8 * len(blob)):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecryptionError):
            wrapper.unwrap(bytes(changed), CONTEXT)


@given(st.binary(max_size=300), st.booleans())
def test_any_blob_is_refused(tail: bytes, named: bool) -> None:  # noqa: FBT001 - drawn
    """Made-up blobs are refused, also those that name the right version and key."""
    wrapper = LocalKeyWrapper.from_bytes(KEY)
    head = wrapper.wrap(DATA, CONTEXT)[:17] if named else b""
    with pytest.raises(DecryptionError):
        wrapper.unwrap(head + tail, CONTEXT)


def test_a_key_cannot_pass_for_another() -> None:
    """A blob that names one key and was made with another is told apart by its commitment."""
    wrapper = LocalKeyWrapper(KEY, OTHER)
    blob = LocalKeyWrapper.from_bytes(OTHER).wrap(DATA, CONTEXT)
    forged = blob[:1] + LocalKeyWrapper.from_bytes(KEY).wrap(DATA, CONTEXT)[1:17] + blob[17:]
    with pytest.raises(DecryptionError, match="was not made with it"):
        wrapper.unwrap(forged, CONTEXT)


def test_header_and_context_do_not_run_into_each_other() -> None:
    """Bytes moved from the context to the ciphertext or back do not authenticate."""
    wrapper = LocalKeyWrapper.from_bytes(KEY)
    blob = wrapper.wrap(DATA, b"abcd")
    for moved, context in ((blob[:81] + b"a" + blob[81:], b"bcd"), (blob, b"abcd" + blob[81:82])):
        with pytest.raises(DecryptionError):
            wrapper.unwrap(moved, context)


def test_wrapping_twice_differs() -> None:
    """Every blob has a salt of its own."""
    wrapper = LocalKeyWrapper.from_bytes(KEY)
    assert wrapper.wrap(DATA, CONTEXT) != wrapper.wrap(DATA, CONTEXT)


def test_a_blob_of_another_service_is_told() -> None:
    """A blob of Vault gives a message that says so much."""
    wrapper = LocalKeyWrapper.from_bytes(KEY)
    with pytest.raises(DecryptionError, match="another service's"):
        wrapper.unwrap(b"vault:v1:" + b"A" * 120, CONTEXT)


def test_many_keys_are_not_all_listed() -> None:
    """The message about an unknown key stays short."""
    wrapper = LocalKeyWrapper(*(bytes((number,)) * 32 for number in range(64)))
    blob = LocalKeyWrapper.from_bytes(KEY).wrap(DATA, CONTEXT)
    with pytest.raises(DecryptionError, match=r" \.\.\.\)") as caught:
        wrapper.unwrap(blob, CONTEXT)
    assert len(str(caught.value)) < 400


def test_keys_never_show() -> None:
    """Neither repr nor pickle nor copy give the key away."""
    wrapper = LocalKeyWrapper(KEY, OTHER)
    assert repr(wrapper) == f"LocalKeyWrapper(key_id={wrapper.key_id!r}, keys=2)"
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            take(wrapper)
    assert not hasattr(wrapper, "__dict__")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without cryptography the message says what to install."""
    wrapper = LocalKeyWrapper.from_bytes(KEY)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.hashes", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'modelsec\[encryption\]'"):
        wrapper.wrap(DATA, CONTEXT)


def test_making_one_imports_no_optional_package() -> None:
    """Neither the import nor a wrapper needs cryptography, boto3 or hvac before it is used."""
    code = (
        "import sys, modelsec.encryption.wrapper_uri\n"
        "from modelsec.encryption.key_file import LocalKeyWrapper\n"
        "LocalKeyWrapper.from_bytes(bytes(32))\n"
        "print(sorted({'cryptography', 'boto3', 'hvac', 'tink'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_file_of_another_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns a key file can read and change it: only one's own is loaded, or root's."""
    LocalKeyWrapper.generate(path)
    raw, here = path.read_bytes(), os.stat(path).st_uid  # noqa: PTH116 - as the code does
    if here == 0:
        os.chown(path, 12_345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: here + 1)
    with pytest.raises(ConfigurationError, match="belongs to the user with the number"):
        LocalKeyWrapper.load(path, readable_by_others=True)
    with pytest.raises(ConfigurationError, match="belongs to the user with the number"):
        LocalKeyWrapper.rotate(path)
    assert path.read_bytes() == raw
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208 - the names


def test_roots_file_is_not_rotated_by_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mounted secret can be used; its successor would be another user's file."""
    LocalKeyWrapper.generate(path)
    real = os.fstat

    def of_root(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        return os.stat_result((*found[:4], 0, *found[5:10]))

    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    monkeypatch.setattr(os, "fstat", of_root)
    assert LocalKeyWrapper.load(path).key_id.startswith("local:")
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        LocalKeyWrapper.rotate(path)


def test_retiring(path: Path) -> None:
    """A key that does not wrap any more can be deleted, through a link, too; no other."""
    old = LocalKeyWrapper.generate(path)
    link = path.with_name("link")
    link.symlink_to(path.name)
    new = LocalKeyWrapper.rotate(link)
    with pytest.raises(ConfigurationError, match="rotate first"):
        LocalKeyWrapper.retire(path, new.key_id)
    assert LocalKeyWrapper.retire(link, old.key_id).key_ids == (new.key_id,)
    assert link.is_symlink()
    with pytest.raises(ConfigurationError, match="not in it"):
        LocalKeyWrapper.retire(path, old.key_id)
    for wrong in ("local:", "local:xyz", old.key_id.upper(), 3, None):
        with pytest.raises(ConfigurationError, match="32 hexadecimal digits"):
            LocalKeyWrapper.retire(path, wrong)  # type: ignore[arg-type]  # the test
    assert LocalKeyWrapper.load(path).key_ids == (new.key_id,)


def test_links_that_lead_nowhere(path: Path) -> None:
    """A circle of links, and one to nothing, are told."""
    path.symlink_to(path.name)
    with pytest.raises(ConfigurationError, match="cannot open"):
        LocalKeyWrapper.rotate(path)
    path.unlink()
    path.symlink_to("nothing")
    with pytest.raises(ConfigurationError, match="No such file"):
        LocalKeyWrapper.rotate(path)


def test_long_names(path: Path) -> None:
    """Every name that the system takes can be that of a key file."""
    long = path.with_name("k" * 255)
    LocalKeyWrapper.generate(long)
    assert len(LocalKeyWrapper.rotate(long).key_ids) == 2
