"""What torch's restricted unpickler would answer; each rule was compared with torch 2.13."""

import io
import pickle
import zipfile
from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError
from modelsec.scanning import Limits, weights_only
from tests.scanning.support import assembler as asm
from tests.scanning.support import torch_writer as torch


def archive(*opcodes: bytes) -> bytes:
    return torch.torch_zip(asm.PROTO2 + b"".join(opcodes) + asm.STOP)


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    return out.getvalue()


DICT = asm.name("collections", "OrderedDict") + asm.EMPTY_TUPLE + asm.REDUCE


def test_a_state_dict_is_accepted() -> None:
    """What torch writes of tensors passes; the answer names the version whose rules it gives."""
    answer = weights_only(archive(torch.tensor()))
    assert answer.accepted
    assert answer.reason == ""
    assert answer.to_dict()["torch_version"] == answer.torch_version


@pytest.mark.parametrize(
    ("opcodes", "opcode"),
    [
        ((asm.text("x"),), "SHORT_BINUNICODE"),
        ((b"(lp0\n",), "LIST"),
        ((b"\x82\x01",), "EXT1"),
        ((b"\x97",), "NEXT_BUFFER"),
        ((asm.NONE + asm.DUP,), "DUP"),
        ((asm.NONE + asm.NONE + asm.POP,), "POP"),
        ((asm.data(b"x"),), "BINBYTES"),
    ],
)
def test_an_unsupported_opcode_is_named(opcodes: tuple[bytes, ...], opcode: str) -> None:
    """34 opcodes are supported; the answer says which other one stops it, and where."""
    answer = weights_only(archive(*opcodes))
    assert not answer.accepted
    assert answer.opcode == opcode
    assert answer.member.endswith("data.pkl")
    assert answer.offset is not None


def test_an_unlisted_name_is_told_and_can_be_allowed() -> None:
    """The name that ``add_safe_globals`` would need."""
    opcodes = (asm.name("ours.nets", "Net"), asm.EMPTY_TUPLE, asm.NEWOBJ)
    answer = weights_only(archive(*opcodes))
    assert (answer.accepted, answer.subject) == (False, "ours.nets.Net")
    assert weights_only(archive(*opcodes), safe_globals={"ours.nets.Net"}).accepted
    built = (*opcodes, asm.EMPTY_DICT, asm.BUILD)
    assert weights_only(archive(*built), safe_globals={"ours.nets.Net"}).accepted


@pytest.mark.parametrize("module", ["os", "sys", "posix", "nt"])
def test_some_modules_cannot_be_allowed(module: str) -> None:
    """Even if the caller adds a name of theirs."""
    answer = weights_only(archive(asm.name(module, "inert")), safe_globals={f"{module}.inert"})
    assert not answer.accepted


@pytest.mark.parametrize(
    ("opcodes", "opcode"),
    [
        ((asm.EMPTY_LIST, asm.EMPTY_TUPLE, asm.REDUCE), "REDUCE"),
        ((asm.EMPTY_LIST, asm.EMPTY_DICT, asm.BUILD), "BUILD"),
        ((asm.name("torch", "Size"), asm.NONE, asm.APPEND), "APPEND"),
        ((asm.name("torch", "Size"), asm.NONE, asm.NONE, asm.SETITEM), "SETITEM"),
        ((asm.NONE, asm.BINPERSID), "BINPERSID"),
    ],
)
def test_an_effect_on_the_wrong_thing_stops_it(opcodes: tuple[bytes, ...], opcode: str) -> None:
    """Calls of values, state on lists, items in types, ids that are no storage."""
    answer = weights_only(archive(*opcodes))
    assert (answer.accepted, answer.opcode) == (False, opcode)


def test_items_go_into_ordered_dicts_and_counters() -> None:
    """SETITEM on what torch itself writes."""
    item = torch.unicode("k") + asm.NONE
    assert weights_only(archive(DICT, item, asm.SETITEM)).accepted
    counter = asm.name("collections", "Counter") + asm.EMPTY_TUPLE + asm.REDUCE
    assert weights_only(archive(counter, item, asm.SETITEM)).accepted
    assert weights_only(archive(DICT, asm.EMPTY_DICT, asm.BUILD)).accepted


def test_other_files_are_refused_with_a_reason() -> None:
    """A plain pickle, an archive without data.pkl, a broken archive, nothing at all."""
    for content, reason in {
        pickle.dumps([1], 2): "magic number",
        zipped({"archive/version": b"3\n", "archive/x/data.txt": b"x"}): "no data.pkl",
        b"PK\3\4" + bytes(40): "",
        b"": "",
    }.items():
        answer = weights_only(content)
        assert not answer.accepted
        assert reason in answer.reason


def test_a_torchscript_archive_is_refused() -> None:
    """Such archives go to torch.jit.load, which has no restricted mode."""
    content = zipped(
        {"a/data.pkl": asm.PROTO2 + asm.NONE + asm.STOP, "a/constants.pkl": b"\x80\x02).",
         "a/version": b"3\n"}
    )  # fmt: skip
    assert "TorchScript" in weights_only(content).reason


def test_legacy_files_are_followed_through_their_five_pickles() -> None:
    """Accepted as a whole, and stopped by a name in any of them."""
    assert weights_only(torch.legacy()).accepted
    hostile = asm.PROTO2 + asm.name("ours", "Net") + asm.STOP
    pickles = torch.legacy_pickles()
    answer = weights_only(torch.legacy([*pickles[:-1], hostile]))
    assert (answer.accepted, answer.subject) == (False, "ours.Net")


def test_limits_and_missing_files(tmp_path: Path) -> None:
    """A limit is an answer; a path that is not there is the caller's error."""
    assert not weights_only(archive(torch.tensor()), limits=Limits(members=1)).accepted
    with pytest.raises(ConfigurationError):
        weights_only(tmp_path / "missing.pt")
