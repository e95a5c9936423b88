"""The front door with everything that somebody might hand in."""

import io
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from modelsec.errors import ConfigurationError
from modelsec.scanning import Coverage, Limits, Verdict, scan, weights_only
from tests.scanning.support import assembler as asm
from tests.scanning.support import torch_writer as torch

PLAIN = asm.PROTO2 + asm.NONE + asm.STOP
EVIL = asm.PROTO2 + asm.call("os", "inert") + asm.STOP


@pytest.mark.parametrize("what", [None, float("nan"), 7, [], {}, object(), ("a",), b"".join])
def test_other_types_are_refused(what: Any) -> None:
    """With a sentence, not a traceback from within."""
    with pytest.raises(ConfigurationError, match="scan"):
        scan(what)


def test_paths_that_are_no_file_are_refused(tmp_path: Path) -> None:
    """Missing, a folder, a FIFO (without waiting for a writer), a name with a NUL."""
    os.mkfifo(tmp_path / "fifo")
    for name in ("missing", "", "fifo"):
        with pytest.raises(ConfigurationError):
            scan(tmp_path / name)
    with pytest.raises(ConfigurationError):
        scan("a\0b")


@pytest.mark.parametrize("content", [PLAIN, EVIL])
def test_a_path_the_bytes_and_a_file_object_give_one_answer(tmp_path: Path, content: bytes) -> None:
    """What is scanned is the content."""
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with path.open("rb") as file:
        reports = [scan(path), scan(str(path)), scan(content), scan(bytearray(content))]
        reports += [scan(memoryview(content)), scan(file), scan(io.BytesIO(content))]
    assert len({(report.verdict, report.coverage, report.sha256) for report in reports}) == 1


def test_the_position_of_a_file_object_does_not_matter() -> None:
    """A file is scanned whole."""
    file = io.BytesIO(EVIL)
    file.seek(len(EVIL))
    assert scan(file).verdict is Verdict.DANGEROUS


def test_a_file_object_in_text_mode_is_refused(tmp_path: Path) -> None:
    """Its bytes have been decoded: nothing can be said about them."""
    path = tmp_path / "model.pkl"
    path.write_text("text")
    with path.open() as file, pytest.raises(ConfigurationError, match="text mode"):
        scan(file)


def test_a_closed_file_object_is_refused() -> None:
    """It cannot seek."""
    file = io.BytesIO(PLAIN)
    file.close()
    with pytest.raises(ConfigurationError):
        scan(file)


def test_a_file_object_that_ends_early_is_incomplete() -> None:
    """It promised more bytes than it gives."""

    class Short(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            return super().seek(offset, whence) + (100 if whence == os.SEEK_END else 0)

    assert scan(Short(PLAIN)).coverage is Coverage.INCOMPLETE


def test_a_file_that_shrinks_while_it_is_scanned_is_not_safe(tmp_path: Path) -> None:
    """The clock of the budget is a moment in the middle of the scan."""
    path = tmp_path / "model.pt"
    path.write_bytes(torch.torch_zip())
    times = iter(range(10**6))

    def clock() -> float:
        if next(times) == 3:
            os.truncate(path, 100)
        return 0.0

    assert not scan(path, clock=clock).safe


def test_a_file_that_changes_while_it_is_scanned_is_told(tmp_path: Path) -> None:
    """What was read may not be what is loaded."""
    path = tmp_path / "model.pkl"
    path.write_bytes(PLAIN)
    times = iter(range(10**6))

    def clock() -> float:
        if next(times) == 2:
            path.write_bytes(EVIL)
        return 0.0

    report = scan(path, clock=clock)
    assert "MS-FMT-004" in {finding.id for finding in report.findings}
    assert not report.safe


def test_control_characters_in_a_name_do_not_reach_the_terminal(tmp_path: Path) -> None:
    """Messages are escaped."""
    path = tmp_path / "m\x1b[31m\n.pkl"
    with pytest.raises(ConfigurationError) as caught:
        scan(path)
    assert "\x1b" not in str(caught.value)
    path.write_bytes(EVIL)
    for finding in scan(path).findings:
        assert finding.message.isprintable()


@pytest.mark.parametrize("name", ["model.safetensors", "model", "model.json", "x.txt", "a.pkl"])
def test_the_name_does_not_change_the_verdict(name: str) -> None:
    """It is the first thing that attackers change."""
    assert scan(EVIL, name=name).verdict is Verdict.DANGEROUS


def test_a_promise_of_the_name_that_is_not_kept_is_a_note() -> None:
    """Data under another ending stay data."""
    report = scan(PLAIN, name="model.safetensors")
    assert report.safe
    assert [finding.id for finding in report.findings] == ["MS-FMT-003"]


def test_an_empty_file_is_incomplete() -> None:
    """There is nothing to be sure of; only text files may be empty."""
    assert scan(b"").coverage is Coverage.INCOMPLETE
    assert scan(b"", name="__init__.py").safe


def test_the_limit_of_time_makes_the_scan_incomplete() -> None:
    """Measured by the clock that was given, in a thread as well."""
    times = iter(range(0, 10**9, 1000))
    reports = []

    def run() -> None:
        reports.append(scan(torch.torch_zip(), clock=lambda: float(next(times))))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (report,) = reports
    assert report.coverage is Coverage.INCOMPLETE
    assert "MS-COV-003" in {finding.id for finding in report.findings}


@pytest.mark.parametrize("limits", [Limits(depth=1), Limits(members=2)])
def test_the_limits_of_depth_and_members_make_the_scan_incomplete(limits: Limits) -> None:
    """Parts within parts, and how many there are."""
    inner = torch.torch_zip(members={"data/0": bytes(16), "extra/inner.zip": torch.torch_zip()})
    assert scan(inner, limits=limits).coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize("content", [EVIL, torch.torch_zip(torch.pickled(asm.call("os", "inert")))])
@pytest.mark.parametrize("tail", [b"\0", b"\0" * 100, PLAIN, b"x", torch.torch_zip()])
def test_appended_bytes_never_make_a_file_cleaner(content: bytes, tail: bytes) -> None:
    """Findings are monotone."""
    assert not scan(content + tail).safe


def test_weights_only_accepts_what_torch_accepts() -> None:
    """A checkpoint of plain tensors, old or new."""
    assert weights_only(torch.torch_zip()).accepted
    assert weights_only(torch.legacy()).accepted


@pytest.mark.parametrize(
    ("stream", "opcode", "subject"),
    [
        (asm.call("os", "inert"), "GLOBAL", "os.inert"),
        (asm.call("mymodels", "Net"), "GLOBAL", "mymodels.Net"),
        (asm.DUP, "DUP", ""),
        (asm.text("a") + asm.text("b") + asm.STACK_GLOBAL, "SHORT_BINUNICODE", ""),
        (b"\x82\1", "EXT1", ""),
        (asm.frame(b""), "FRAME", ""),
        (torch.unicode("x") + asm.BINPERSID, "BINPERSID", ""),
    ],
)
def test_weights_only_tells_what_stops_torch(stream: bytes, opcode: str, subject: str) -> None:
    """The opcode or the name, and where."""
    answer = weights_only(torch.torch_zip(torch.pickled(asm.NONE + asm.POP * 0 + stream)))
    if stream == asm.DUP:
        answer = weights_only(torch.torch_zip(torch.small(asm.NONE + asm.DUP)))
    assert not answer.accepted
    assert (answer.opcode, answer.subject) == (opcode, subject)
    assert answer.member == "archive/data.pkl"
    assert answer.to_dict()["reason"] == answer.reason != ""


def test_weights_only_asks_for_names_that_were_added() -> None:
    """As ``torch.serialization.add_safe_globals`` does; blocked modules stay blocked."""
    data = torch.torch_zip(torch.pickled(asm.call("mymodels", "Net")))
    assert weights_only(data, safe_globals=["mymodels.Net"]).accepted
    data = torch.torch_zip(torch.pickled(asm.call("os", "inert")))
    assert not weights_only(data, safe_globals=["os.inert"]).accepted


@pytest.mark.parametrize("data", [b"", b"x", PLAIN, torch.torch_zip()[:90], b"PK\3\4"])
def test_weights_only_refuses_what_is_no_torch_file(data: bytes) -> None:
    """With a reason."""
    answer = weights_only(data)
    assert not answer.accepted
    assert answer.reason
