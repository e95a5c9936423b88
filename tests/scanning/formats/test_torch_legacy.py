"""Five pickles and raw storages."""

import struct

import pytest

from modelsec.scanning import Coverage, ScanReport, Verdict, scan
from tests.scanning.support import assembler as asm
from tests.scanning.support import torch_writer as torch

CALL = asm.call("inert", "sink")


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_an_honest_file_is_safe() -> None:
    """To its last byte."""
    report = scan(torch.legacy())
    assert report.safe, report.findings
    assert (report.format, report.verdict) == ("torch legacy", Verdict.ALLOW_LISTED)


@pytest.mark.parametrize("number", range(5))
def test_a_payload_in_each_of_the_five_pickles_is_found(number: int) -> None:
    """``pickle.load`` is called for each of them."""
    pickles = torch.legacy_pickles()
    pickles[number] = asm.PROTO2 + CALL + asm.POP + pickles[number][2:]
    assert "MS-PKL-003" in ids(scan(torch.legacy(pickles)))


def test_a_payload_in_a_sixth_pickle_is_found() -> None:
    """For loaders that go on."""
    assert "MS-PKL-003" in ids(scan(torch.legacy() + asm.PROTO2 + CALL + asm.STOP))


def test_a_magic_that_is_computed_does_not_hide_what_follows() -> None:
    """Whatever the file is then, it is not safe."""
    pickles = torch.legacy_pickles()
    computed = asm.call("builtins", "int", torch.unicode(str(torch.MAGIC)))
    pickles[0] = torch.small(computed)
    assert not scan(torch.legacy(pickles)).safe


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        struct.pack("<q", 4),
        struct.pack("<q", 4) + bytes(15),
        struct.pack("<q", 5) + bytes(20),
        struct.pack("<q", -1) + bytes(16),
        struct.pack("<q", 1 << 62) + bytes(16),
        struct.pack("<q", 4) + bytes(16) + b"tail",
    ],
)
def test_storages_have_the_declared_size(raw: bytes) -> None:
    """Cut, longer, negative, or with something behind."""
    assert not scan(torch.legacy(raw=raw)).safe


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        (asm.LIST, "MS-TOR-003"),
        (asm.LIST + asm.MARK + torch.unicode("0") * 2 + asm.APPENDS, "MS-TOR-002"),
        (asm.LIST + asm.MARK + torch.unicode("0") + torch.unicode("1") + asm.APPENDS, "MS-COV-001"),
        (torch.unicode("0") + asm.TUPLE1, "MS-COV-001"),
        (asm.EMPTY_DICT + torch.unicode("0") + asm.NONE + asm.SETITEM, "MS-COV-001"),
        (asm.LIST + b"K\0" + asm.APPEND, "MS-COV-001"),
        (asm.NONE, "MS-COV-001"),
    ],
)
def test_the_list_of_keys_tells_the_truth(keys: bytes, rule: str) -> None:
    """It decides which bytes belong to which tensor."""
    pickles = torch.legacy_pickles()
    pickles[4] = torch.small(keys)
    report = scan(torch.legacy(pickles))
    assert not report.safe
    assert rule in ids(report)


@pytest.mark.parametrize("number", [1, 2])
def test_a_header_that_is_not_torchs_is_unknown(number: int) -> None:
    """Protocol and byte order."""
    pickles = torch.legacy_pickles()
    pickles[number] = torch.small(asm.EMPTY_DICT)
    assert "MS-TOR-010" in ids(scan(torch.legacy(pickles)))


def test_a_persistent_id_outside_the_object_is_unknown() -> None:
    """Only the third pickle's loader defines any."""
    pickles = torch.legacy_pickles()
    pickles[1] = torch.small(torch.storage())
    assert not scan(torch.legacy(pickles)).safe


def test_the_source_of_a_module_is_a_note() -> None:
    """Old files hold it beside the class; the class itself is asked of the policy."""
    net = asm.name("mymodels", "Net")
    source = torch.unicode("net.py") + torch.unicode("class Net: pass")
    identity = asm.MARK + torch.unicode("module") + net + source + asm.TUPLE + asm.BINPERSID
    pickles = torch.legacy_pickles()
    pickles[3] = torch.small(identity + asm.EMPTY_TUPLE + asm.NEWOBJ)
    pickles[4] = torch.small(asm.LIST)
    report = scan(torch.legacy(pickles, raw=b""))
    assert {"MS-TOR-004", "MS-PKL-001", "MS-PKL-003"} <= ids(report)


def test_truncation_at_every_offset_is_not_safe() -> None:
    """Every pickle and the storages."""
    whole = torch.legacy()
    ends = {0}
    for pickle in torch.legacy_pickles():
        ends.add(max(ends) + len(pickle))
    for length in range(len(whole)):
        report = scan(whole[:length])
        assert not report.safe or report.coverage is Coverage.INCOMPLETE, length
