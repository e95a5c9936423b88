"""TorchScript sources: operators by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import ScanReport, Verdict, scan
from tests.scanning.support import assembler as asm
from tests.scanning.support import torch_writer as torch

CONSTANTS = asm.PROTO2 + asm.EMPTY_TUPLE + asm.STOP


def judged(source: str | bytes, **members: bytes) -> ScanReport:
    data = source.encode() if isinstance(source, str) else source
    content = {"constants.pkl": CONSTANTS, "code/__torch__.py": data, **members}
    return scan(torch.torch_zip(torch.pickled(), content))


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


HONEST = """class Net(Module):
  __parameters__ = ["weight", ]
  weight : Tensor
  def forward(self: __torch__.Net, x: Tensor) -> Tensor:
    _0 = getattr(self, "0")
    y = torch.relu(torch.linear(x, self.weight))  # torch.save is a comment
    z = ops.quantized.linear(y, "torch.save", 'it''s')
    return torch.unfold(z, 1, 2, 3)
"""


def test_honest_code_is_safe() -> None:
    """Texts and comments are no operators."""
    report = judged(HONEST)
    assert report.safe, report.findings


@pytest.mark.parametrize(
    "code",
    [
        "torch.save(x, 'inert')",
        "ops.aten.save(x, 'inert')",
        "ops.aten.from_file('inert')",
        "torch.from_file('inert')",
        "ops.debugprims.load_tensor('inert')",
        "torch . save(x)",
        "torch.\\\nsave(x)",
        "torch.\n  save(x)",
        "(torch. # why\n save)(x)",
        "ops.aten\n.save(x)",
        "getattr(ops.aten, 'save')(x)",
        "getattr(torch, 'save')(x)",
        "getattr(getattr(ops, 'aten'), 'save')(x)",
        "y = '''x' ''' ; torch.save(x) ; ' '",
        'y = """x" """ ; torch.save(x) ; " "',
    ],
)
def test_operators_that_leave_the_model_are_dangerous(code: str) -> None:
    """However they are written."""
    report = judged(HONEST + "\n" + code + "\n")
    assert report.verdict is Verdict.DANGEROUS
    assert "MS-TSC-001" in ids(report)


@pytest.mark.parametrize(
    "code", ["ops.mylibrary.run(x)", "y : __torch__.torch.classes.mylibrary.Thing"]
)
def test_operators_and_classes_of_unknown_libraries_are_unknown(code: str) -> None:
    """Nobody here knows what they do."""
    assert "MS-TSC-002" in ids(judged(code))


@pytest.mark.parametrize("code", [b"\xff\xfe", b"x = 'torch.save(y)\n", b'y = """x'])
def test_code_that_cannot_be_read_makes_the_scan_incomplete(code: bytes) -> None:
    """Not UTF-8, or with a text that does not end."""
    assert not judged(code).safe


def test_mobile_bytecode_is_unknown() -> None:
    """Its operators are not checked."""
    assert "MS-TSC-003" in ids(judged(HONEST, **{"bytecode.pkl": CONSTANTS}))


def test_debug_pickles_are_read() -> None:
    """Dozens in every model; a payload in one is found."""
    evil = asm.PROTO2 + asm.call("inert", "sink") + asm.STOP
    assert "MS-PKL-003" in ids(judged(HONEST, **{"code/__torch__.py.debug_pkl": evil}))


@given(st.text(max_size=60))
def test_any_text_is_a_result(text: str) -> None:
    """Nothing is raised."""
    judged(text.encode("utf-8", "surrogatepass"))
