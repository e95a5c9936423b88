"""torch checkpoints in a zip: storages, folders, marks, scripts, packages."""

import io
import random
import zipfile

import pytest

from modelsec.scanning import Coverage, ScanReport, Verdict, scan
from tests.scanning.support import assembler as asm
from tests.scanning.support import torch_writer as torch

CALL = asm.call("inert", "sink")


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_an_honest_checkpoint_is_safe() -> None:
    """Named, allow-listed, complete."""
    report = scan(torch.torch_zip())
    assert report.safe, report.findings
    assert (report.format, report.verdict) == ("torch", Verdict.ALLOW_LISTED)


def test_a_payload_in_the_pickle_is_found_with_its_path() -> None:
    """Offset and member name where."""
    report = scan(torch.torch_zip(torch.pickled(torch.tensor(), CALL)))
    (found,) = [finding for finding in report.findings if finding.operation == "call"]
    assert found.path == ("archive/data.pkl",)
    assert found.offset


@pytest.mark.parametrize("size", [0, 15, 17, 1000])
def test_a_storage_of_another_size_is_dangerous(size: int) -> None:
    """A loader that trusts the declaration reads beyond the member."""
    assert "MS-TOR-002" in ids(scan(torch.torch_zip(members={"data/0": bytes(size)})))


def test_a_missing_storage_makes_the_scan_incomplete() -> None:
    """Part of the model is not there."""
    report = scan(torch.torch_zip(members={}))
    assert (report.coverage, "MS-TOR-003" in ids(report)) == (Coverage.INCOMPLETE, True)


def test_a_storage_that_nothing_refers_to_is_a_note() -> None:
    """Nothing reads it."""
    report = scan(torch.torch_zip(members={"data/0": bytes(16), "data/9": bytes(8)}))
    assert report.safe
    assert "MS-TOR-024" in ids(report)


@pytest.mark.parametrize("name", ["DATA/0", "Data/0"])
def test_storages_are_found_without_regard_to_case(name: str) -> None:
    """As torch finds them."""
    assert scan(torch.torch_zip(members={name: bytes(16)})).safe


def test_a_storage_declared_in_two_ways_is_dangerous() -> None:
    """One key, two sizes."""
    first, second = torch.tensor(), torch.tensor(torch.storage(elements=2), size=(2,), stride=(1,))
    assert "MS-TOR-002" in ids(scan(torch.torch_zip(torch.pickled(first, second))))


@pytest.mark.parametrize(
    "identity",
    [
        torch.unicode("storage"),
        asm.MARK + torch.unicode("storage") + asm.TUPLE,
        asm.MARK + torch.unicode("other") + asm.NONE * 4 + asm.TUPLE,
        torch.storage(kind="Size")[:-1],
        torch.storage(elements=-1)[:-1],
        torch.storage(rest=asm.EMPTY_LIST)[:-1],
        torch.storage().replace(b"ctorch\n", b"cmymodels\n")[:-1],
    ],
)
def test_a_persistent_id_that_is_no_storage_is_dangerous(identity: bytes) -> None:
    """Torch writes exactly one shape."""
    report = scan(torch.torch_zip(torch.pickled(identity + asm.BINPERSID)))
    assert "MS-TOR-001" in ids(report)


def test_members_outside_the_folder_are_unknown() -> None:
    """Torch writes one folder; a pickle beside it is read as such."""
    data = bytearray(torch.torch_zip())
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("other/evil.pkl", asm.PROTO2 + CALL + asm.STOP)
    report = scan(buffer.getvalue())
    assert {"MS-TOR-022", "MS-PKL-003"} <= ids(report)


@pytest.mark.parametrize("name", ["extra/evil.pkl", "evil", "data.json"])
def test_a_pickle_under_another_name_in_the_folder_is_found(name: str) -> None:
    """Every member that torch does not define is scanned by content."""
    members = {"data/0": bytes(16), name: asm.PROTO2 + CALL + asm.STOP}
    assert "MS-PKL-003" in ids(scan(torch.torch_zip(members=members)))


def test_a_storage_that_is_a_pickle_or_a_program_is_told() -> None:
    """Torch reads it as numbers, a loader of the attacker's own may not."""
    for content in (asm.PROTO2 + asm.call("os", "inert") + b".", b"\x7fELF" + bytes(12)):
        elements = max(len(content), 16) // 4
        tensor = torch.tensor(torch.storage(elements=elements), size=(1,), stride=(1,))
        members = {"data/0": content.ljust(16, b"\0")[: elements * 4]}
        assert "MS-TOR-025" in ids(scan(torch.torch_zip(torch.pickled(tensor), members)))


@pytest.mark.parametrize("content", [b"\x7fEL", b"MZ", b"eval(", b"PK\3\4", b"GGUF", b"import os"])
def test_weights_may_hold_any_bytes(content: bytes) -> None:
    """String rules on numbers would only raise false alarms."""
    assert scan(torch.torch_zip(members={"data/0": content.ljust(16, b"\1")})).safe


@pytest.mark.parametrize(("name", "content"), [("byteorder", b"middle"), ("version", b"\xff" * 3)])
def test_marks_are_what_torch_writes(name: str, content: bytes) -> None:
    """They choose how numbers are read."""
    data = torch.torch_zip(members={name: content, "data/0": bytes(16)}, marks=False)
    assert "MS-TOR-023" in ids(scan(data))


def test_a_package_is_dangerous() -> None:
    """Its sources run on import."""
    members = {".data/extern_modules": b"sys\n", "model.py": b"x = 1\n", ".data/version": b"6\n"}
    assert "MS-TOR-020" in ids(scan(torch.torch_zip(members=members)))


def test_compiled_models_are_dangerous() -> None:
    """Their libraries are loaded."""
    members = {"archive_format": b"pt2", "data/aotinductor/model/x.so": b"\x7fELF" + bytes(60)}
    assert {"MS-TOR-021"} <= ids(scan(torch.torch_zip(members=members, marks=False)))


SCRIPT_TYPE = asm.name("__torch__.Net", "Net") + asm.EMPTY_TUPLE + asm.NEWOBJ


def test_types_of_a_script_are_its_own() -> None:
    """``__torch__`` is defined in an archive with ``constants.pkl``."""
    constants = asm.PROTO2 + asm.EMPTY_TUPLE + asm.STOP
    members = {"constants.pkl": constants, "code/__torch__.py": b"class Net(Module):\n  pass\n"}
    state = asm.EMPTY_DICT + asm.BUILD
    pickle = torch.pickled(SCRIPT_TYPE + state, SCRIPT_TYPE + state)
    report = scan(torch.torch_zip(pickle, members))
    assert report.safe, report.findings
    assert report.format == "torchscript"


@pytest.mark.parametrize("name", ["other.pkl", "CONSTANTS.PKL"])
def test_types_of_a_script_are_nobodys_in_a_plain_checkpoint(name: str) -> None:
    """Torch minds the case of ``constants.pkl``: spelled otherwise, the file is no script."""
    members = {name: asm.PROTO2 + asm.NONE + asm.STOP}
    assert not scan(torch.torch_zip(torch.pickled(SCRIPT_TYPE), members)).safe


def test_a_payload_in_the_constants_of_a_script_is_found() -> None:
    """They are a pickle as well."""
    members = {"constants.pkl": asm.PROTO2 + CALL + asm.STOP}
    assert "MS-PKL-003" in ids(scan(torch.torch_zip(torch.pickled(), members)))


def test_truncation_at_every_offset_is_not_safe() -> None:
    """Directory, pickle and storages."""
    whole = torch.torch_zip()
    for length in range(len(whole)):
        report = scan(whole[:length])
        assert not report.safe or report.format == "text", length


def test_what_is_appended_does_not_make_a_checkpoint_safer() -> None:
    """Zero bytes, a pickle, another archive."""
    for tail in (b"x", asm.PROTO2 + CALL + b".", torch.torch_zip(folder="other")):
        assert not scan(torch.torch_zip() + tail).safe


def test_weights_that_begin_like_a_pickle_are_weights() -> None:
    """One storage in 256 begins with the byte of a header; random opcodes import random names."""
    chance = random.Random(7)  # noqa: S311 - a test's data
    for _ in range(200):
        # Without STOP: a whole pickle that imports is told, and has a test of its own.
        raw = b"\x80\x02cab\ncd\n" + chance.randbytes(7).replace(b".", b"-")
        report = scan(torch.torch_zip(members={"data/0": raw}))
        assert "MS-TOR-025" not in ids(report)


def test_a_storage_that_is_a_whole_pickle_is_told() -> None:
    """It imports what no policy lists, to its STOP: chance does not make that."""
    raw = (b"\x80\x02cab\ncd\n" + asm.STOP).ljust(16, b"\0")
    assert "MS-TOR-025" in ids(scan(torch.torch_zip(members={"data/0": raw})))
