"""What the policy says of each operation on a named thing."""

from pathlib import Path

import pytest

from modelsec.scanning import Limits, Policy, ScanReport, Verdict, scan
from tests.scanning.support import assembler as asm


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def judged(stream: bytes, **named: object) -> ScanReport:
    return scan(asm.PROTO4 + stream + asm.STOP, **named)  # type: ignore[arg-type]


ORDERED = asm.call("collections", "OrderedDict")
NAMESPACE = asm.name("argparse", "Namespace") + asm.EMPTY_TUPLE + asm.NEWOBJ
STATE = asm.EMPTY_DICT + asm.text("a") + asm.NONE + asm.SETITEM


@pytest.mark.parametrize(
    ("stream", "verdict", "rule"),
    [
        (asm.name("collections", "OrderedDict"), Verdict.ALLOW_LISTED, None),
        (asm.name("mymodels", "Net"), Verdict.UNKNOWN, "MS-PKL-001"),
        (asm.name("os", "inert"), Verdict.DANGEROUS, "MS-PKL-002"),
        (asm.name("collections", "OrderedDict.fromkeys"), Verdict.DANGEROUS, "MS-PKL-002"),
        (asm.call("mymodels", "Net"), Verdict.UNKNOWN, "MS-PKL-003"),
        (asm.call("os", "inert"), Verdict.DANGEROUS, "MS-PKL-004"),
        (asm.call("numpy", "mean"), Verdict.DANGEROUS, "MS-PKL-004"),
        (asm.call("builtins", "type", asm.NONE), Verdict.DANGEROUS, "MS-PKL-004"),
    ],
)
def test_imports_and_calls_are_asked_of_the_policy(
    stream: bytes, verdict: Verdict, rule: str | None
) -> None:
    """Listed, unlisted, known capability, dotted; a name that may be imported but not called."""
    report = judged(stream)
    assert report.verdict is verdict
    assert rule is None or rule in ids(report)


@pytest.mark.parametrize(
    "callee",
    [ORDERED, asm.EMPTY_DICT, asm.text("sink"), asm.NONE, asm.text("x") + asm.BINPERSID, b"\x82\1"],
)
def test_calling_a_computed_object_is_dangerous(callee: bytes) -> None:
    """Only a name can be looked up in a policy."""
    assert judged(callee + asm.EMPTY_TUPLE + asm.REDUCE).verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    "target",
    [
        asm.name("collections", "OrderedDict"),
        asm.name("numpy.random.mtrand", "_rand"),
        asm.EMPTY_LIST,
        asm.NONE,
    ],
)
def test_state_on_what_is_no_fresh_object_is_a_patch(target: bytes) -> None:
    """A class, a module's attribute, a container: the change stays in the process."""
    assert "MS-PKL-006" in ids(judged(target + STATE + asm.BUILD))


def test_state_on_a_permitted_object_is_permitted() -> None:
    """Torch sets ``_metadata`` on an ordered dict."""
    assert judged(ORDERED + STATE + asm.BUILD).safe
    assert judged(NAMESPACE + STATE + asm.BUILD).safe


def test_state_needs_a_permission_of_its_own() -> None:
    """A deque may be made and filled; that says nothing about setting its state."""
    made = asm.call("collections", "deque")
    assert judged(made + asm.NONE + asm.APPEND).safe
    assert "MS-PKL-007" in ids(judged(made + STATE + asm.BUILD))


@pytest.mark.parametrize(
    "key",
    [
        asm.text("__class__"), asm.text("__dict__"), asm.text("__setstate__"),
        asm.text("__setitem__"), asm.text("__reduce_ex__"), b"U\x09__class__", b"V__class__\n",
        asm.call("builtins", "str", asm.text("__setstate__")), ORDERED, b"\x82\x07",
    ],
)  # fmt: skip
@pytest.mark.parametrize("in_slots", [False, True])
def test_special_and_computed_attributes_are_refused(key: bytes, in_slots: bool) -> None:  # noqa: FBT001
    """They decide what the object is, or what is called with its next state."""
    state = asm.EMPTY_DICT + key + asm.NONE + asm.SETITEM
    if in_slots:
        state = asm.NONE + state + asm.TUPLE2
    assert "MS-PKL-024" in ids(judged(NAMESPACE + state + asm.BUILD))


def test_a_second_state_is_refused() -> None:
    """The first may have replaced the method that takes the second."""
    report = judged(NAMESPACE + STATE + asm.BUILD + STATE + asm.BUILD)
    assert (report.verdict, ids(report)) == (Verdict.DANGEROUS, {"MS-PKL-006"})


@pytest.mark.parametrize(
    "fill",
    [
        asm.text("k") + asm.NONE + asm.SETITEM,
        asm.MARK + asm.text("k") + asm.NONE + asm.SETITEMS,
        asm.NONE + asm.APPEND,
        asm.MARK + asm.NONE + asm.ADDITEMS,
    ],
)
def test_items_after_the_state_are_refused(fill: bytes) -> None:
    """Attributes may have replaced the methods that take the items."""
    assert judged(ORDERED + STATE + asm.BUILD + fill).verdict is Verdict.DANGEROUS


@pytest.mark.parametrize("fill", [asm.NONE + asm.APPEND, asm.MARK + asm.NONE + asm.ADDITEMS])
def test_a_dict_is_filled_by_its_items_only(fill: bytes) -> None:
    """``append`` and ``add`` of a dict would be attributes that somebody has set."""
    assert judged(ORDERED + fill).verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    "target",
    [
        asm.name("numpy.random.mtrand", "_rand"),
        asm.call("uuid", "UUID"),
        asm.name("os", "environ"),
        asm.text("x") + asm.BINPERSID,
    ],
)
def test_items_need_a_permission_of_their_own(target: bytes) -> None:
    """Nothing but listed containers is filled."""
    assert not judged(target + asm.text("k") + asm.NONE + asm.SETITEM).safe


TOOLS = {
    "getattr": asm.name("builtins", "getattr"),
    "encode": asm.name("_codecs", "encode"),
    "reconstructor": asm.name("copyreg", "_reconstructor"),
    "load": asm.name("torch.storage", "_load_from_bytes"),
    "scalar": asm.name("numpy.core.multiarray", "scalar"),
    "tensor": asm.name("torch._utils", "_rebuild_tensor_v2"),
}


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
@pytest.mark.parametrize(
    "stream",
    [
        "{0}",
        "{0}{dup}{tuple2}",
        "{state}{0}{set}",
        "{0}{put}{pop}{list}{get}{append}",
    ],
)
def test_a_callable_that_can_do_anything_is_called_by_the_pickle_or_not_at_all(
    tool: bytes, stream: str
) -> None:
    """Handed over as a value, something else calls it with arguments that nobody has judged."""
    pieces = {
        "{0}": tool,
        "{dup}": asm.DUP,
        "{tuple2}": asm.TUPLE2,
        "{state}": asm.EMPTY_DICT + asm.text("a"),
        "{set}": asm.SETITEM,
        "{put}": asm.put(5),
        "{pop}": asm.POP,
        "{list}": asm.EMPTY_LIST,
        "{get}": asm.get(5),
        "{append}": asm.APPEND,
    }
    data = b"".join(pieces["{" + name + "}"] for name in stream.strip("{}").split("}{"))
    assert "MS-PKL-026" in ids(judged(data))


def test_a_callable_that_can_do_anything_may_be_called() -> None:
    """From the memo, and as often as one likes."""
    encode = asm.name("_codecs", "encode") + asm.put(0)
    call = asm.text("a") + asm.text("latin1") + asm.TUPLE2 + asm.REDUCE
    stream = encode + call + asm.POP + asm.get(0) + call
    assert judged(stream).safe


@pytest.mark.parametrize("findings", [1, 3, 1000])
def test_the_cap_on_findings_keeps_the_verdict(findings: int) -> None:
    """Thousands of permissions and notes do not push out what makes the file worse."""
    harmless = b"".join(
        asm.name("torch", name) + asm.POP
        for name in [
            "float",
            "float16",
            "float32",
            "float64",
            "half",
            "double",
            "bfloat16",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "bool",
            "complex64",
            "complex128",
            "qint8",
            "quint8",
            "qint32",
            "strided",
            "Size",
            "device",
            "DoubleStorage",
            "FloatStorage",
            "HalfStorage",
            "LongStorage",
            "IntStorage",
            "ShortStorage",
            "CharStorage",
            "per_tensor_affine",
            "contiguous_format",
            "channels_last",
            "preserve_format",
        ]
    )
    many = b"".join(asm.name("mymodels", f"N{number}") + asm.POP for number in range(100))
    limits = Limits(findings=findings)
    assert judged(harmless + asm.name("mymodels", "Net"), limits=limits).verdict is Verdict.UNKNOWN
    last = judged(harmless + many + asm.name("os", "inert"), limits=limits)
    assert last.verdict is Verdict.DANGEROUS
    assert any(finding.subject == "os:inert" for finding in last.findings)


def test_a_layer_of_ones_own_permits_ones_own_class(tmp_path: Path) -> None:
    """By operation, with a reason."""
    layer = tmp_path / "ours.toml"
    layer.write_text(
        'layer = "ours"\n[[allow]]\nmodule = "mymodels"\nnames = ["Net"]\n'
        'operations = ["import", "call", "build"]\nbecause = "ours"\n'
    )
    stream = asm.name("mymodels", "Net") + asm.EMPTY_TUPLE + asm.NEWOBJ + STATE + asm.BUILD
    assert judged(stream, policy=Policy.load("core", layer)).safe
    assert not judged(stream).safe
    assert not judged(stream + asm.NONE + asm.APPEND, policy=Policy.load("core", layer)).safe


def test_an_extension_code_is_an_import_even_before_a_break() -> None:
    """Without a header, too: what stands before the break has been imported."""
    report = scan(b"I010\n\x82\x07" + b"\x00")
    assert report.verdict is Verdict.DANGEROUS
    assert "MS-PKL-009" in {finding.id for finding in report.findings}
