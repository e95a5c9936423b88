import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.encryption import PartlyVerifiedFile, encrypt_file
from modelsec.encryption.header import Header
from modelsec.errors import ConfigurationError, DecryptionError
from tests.encryption.samples import CONTEXT, encrypted, wrapper


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    return encrypted(tmp_path_factory.mktemp("sample"), 30_000, context=CONTEXT)


@given(data=st.data())
def test_any_range(sample: tuple[Path, bytes], data: st.DataObject) -> None:
    """Every range is what it is in the plaintext, in whichever order they are read."""
    path, content = sample
    with PartlyVerifiedFile(path, wrapper(), context=CONTEXT) as file:
        assert file.size == len(content)
        assert dict(file.header.context) == CONTEXT
        for _ in range(3):
            offset = data.draw(st.integers(0, len(content)))
            length = data.draw(st.integers(0, len(content) - offset))
            assert file.read_at(offset, length) == content[offset : offset + length]


def test_as_a_file(sample: tuple[Path, bytes]) -> None:
    """It is a file as the standard library knows them."""
    path, content = sample
    with PartlyVerifiedFile(path, wrapper(), context=CONTEXT) as file:
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        assert file.read() == content
        assert file.read(1) == b""
        assert file.seek(-5, io.SEEK_END) == 29_995
        assert file.tell() == 29_995
        assert file.seek(-5, io.SEEK_CUR) == 29_990
        assert io.BufferedReader(file).read(20) == content[-10:]


def test_behind_a_reader_of_zips(tmp_path: Path) -> None:
    """A reader that jumps decrypts only what it asks for."""
    with zipfile.ZipFile(tmp_path / "plain", "w") as archive:
        for n in range(20):
            archive.writestr(f"{n}.bin", os.urandom(50_000))
        archive.writestr("config.json", "{}")
    encrypt_file(tmp_path / "plain", tmp_path / "sealed", wrapper(), segment_size=4096)
    raw = bytearray((tmp_path / "sealed").read_bytes())
    raw[200_000] ^= 1
    (tmp_path / "sealed").write_bytes(raw)
    with (
        PartlyVerifiedFile(tmp_path / "sealed", wrapper()) as file,
        zipfile.ZipFile(file) as archive,
    ):
        assert archive.read("config.json") == b"{}"
        with pytest.raises(DecryptionError, match="does not verify"):
            [archive.read(f"{n}.bin") for n in range(20)]
        with pytest.raises(DecryptionError, match="does not verify"):
            file.verify_whole()


def test_a_bad_segment_is_not_handed_out(tmp_path: Path) -> None:
    """The segments around a bad one can be read; ranges that touch it cannot."""
    path, content = encrypted(tmp_path, 30_000)
    raw = bytearray(path.read_bytes())
    base = Header.parse(raw)[1]
    raw[base + 3 * 4096 + 7] ^= 1
    path.write_bytes(raw)
    start, stop = 3 * 4080 - 40, 4 * 4080 - 40
    with PartlyVerifiedFile(path, wrapper()) as file:
        assert file.read_at(0, start) == content[:start]
        assert file.read_at(stop, 30_000 - stop) == content[stop:]
        for offset, length in ((start, 1), (stop - 1, 1), (0, 30_000), (start - 1, 2)):
            with pytest.raises(DecryptionError, match="segment 4 of 8 does not verify"):
                file.read_at(offset, length)
        assert file.read_at(stop, 1) == content[stop : stop + 1]


def test_length_is_verified_at_once(tmp_path: Path) -> None:
    """A file that was cut or extended by whole segments is refused before anything is read."""
    path, _ = encrypted(tmp_path, 30_000)
    raw = path.read_bytes()
    base = Header.parse(raw)[1]
    for changed in (raw[: base + 4096], raw[: base + 4 * 4096], raw + raw[-4096:]):
        path.write_bytes(changed)
        with pytest.raises(DecryptionError, match="does not verify"):
            PartlyVerifiedFile(path, wrapper())


def test_verify_whole(sample: tuple[Path, bytes]) -> None:
    """An intact file is intact; progress is told and may cancel."""
    path, _ = sample
    told: list[tuple[int, int]] = []
    with PartlyVerifiedFile(path, wrapper(), context=CONTEXT) as file:
        file.verify_whole()
        file.verify_whole(on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (30_000, 30_000)
    assert len(told) == 8


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (-1, 1),
        (0, -1),
        (0, 30_001),
        (30_001, 0),
        (2**80, 1),
        (0.0, 1),
        ("0", 1),
        (True, 1),
        (0, None),
    ],
)
def test_bad_ranges(sample: tuple[Path, bytes], offset: object, length: object) -> None:
    """Nothing is padded, nothing wraps."""
    with (
        PartlyVerifiedFile(sample[0], wrapper(), context=CONTEXT) as file,
        pytest.raises(ConfigurationError),
    ):
        file.read_at(offset, length)  # type: ignore[arg-type]  # the test


def test_bad_seeks(sample: tuple[Path, bytes]) -> None:
    """Positions before the start do not exist; those after the end are empty."""
    with PartlyVerifiedFile(sample[0], wrapper(), context=CONTEXT) as file:
        for offset, whence in ((-1, 0), (-1, 1), (-30_001, 2), (0, 9), ("x", 0)):
            with pytest.raises(ConfigurationError, match="cannot seek"):
                file.seek(offset, whence)  # type: ignore[arg-type]  # the test
        file.seek(2**70)
        assert file.read(1) == b""


def test_closed(sample: tuple[Path, bytes]) -> None:
    """A closed file holds nothing and gives nothing."""
    file = PartlyVerifiedFile(sample[0], wrapper(), context=CONTEXT)
    file.read_at(0, 10)
    file.close()
    file.close()
    for use in (
        lambda: file.read_at(0, 1),
        lambda: file.read(1),
        lambda: file.seek(0),
        file.tell,
        file.verify_whole,
        file.__enter__,
    ):
        with pytest.raises(ConfigurationError, match="is closed"):
            use()


def test_no_pickle(sample: tuple[Path, bytes]) -> None:
    """Keys do not travel in files."""
    with (
        PartlyVerifiedFile(sample[0], wrapper(), context=CONTEXT) as file,
        pytest.raises(TypeError, match="cannot be pickled"),
    ):
        pickle.dumps(file)


def test_no_descriptor_leaks(sample: tuple[Path, bytes]) -> None:
    """A file that is refused is closed."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(DecryptionError):
            PartlyVerifiedFile(sample[0], wrapper(), context={"name": "other"})
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_empty(tmp_path: Path) -> None:
    """An empty plaintext has nothing to read."""
    path, _ = encrypted(tmp_path, 0)
    with PartlyVerifiedFile(path, wrapper()) as file:
        assert file.size == 0
        assert file.read() == b""
        assert file.read_at(0, 0) == b""
        file.verify_whole()


def test_sizes_to_read(tmp_path: Path) -> None:
    """Some, too many, all, none: what there is from the position on."""
    path, content = encrypted(tmp_path, 10_000)
    with PartlyVerifiedFile(path, wrapper()) as file:
        assert file.read(4_500) == content[:4_500]
        assert file.read(0) == b""
        assert file.read(2**62) == content[4_500:]
        assert file.read() == b""
        file.seek(20_000)
        assert file.read(5) == b""
        assert file.tell() == 20_000
        file.seek(9_990)
        assert file.readall() == content[9_990:]
        with pytest.raises(ConfigurationError, match="size must be an integer"):
            file.read("x")  # type: ignore[arg-type]  # the test
    with pytest.raises(ConfigurationError, match="is closed"):
        file.read(1)
