import pytest

from modelsec.errors import (
    ArtifactError,
    MalformedArtifactError,
    ResourceLimitError,
    UnsupportedFormatError,
)
from modelsec.provenance.conversion.state_dict import Contents, walk
from modelsec.provenance.conversion.tensors import Storage
from modelsec.provenance.conversion.transfer import Range
from modelsec.provenance.conversion.unpickled import unpickled
from modelsec.scanning import Limits
from modelsec.scanning.limits import Budget
from modelsec.scanning.source import BytesSource
from tests.provenance.conversion import torch_files as torch

ROW = torch.tensor("0", "FloatStorage", 12, (12,), (1,))


def walked(root: object, *, size: int = 48, limits: Limits | None = None) -> Contents:
    """Walk a checkpoint without a scan, as if its one storage had this many bytes."""
    budget = Budget(limits or Limits())
    value = unpickled(BytesSource(torch.pickled(root)), 0, budget).value
    return walk(value, lambda key: Storage(Range(0, 0, size), key), budget)


def rebuilt(function: str, *arguments: object) -> bytes:
    return torch.call(f"torch._utils:{function}", *arguments)


STORAGE = torch.storage("0", "FloatStorage", 12)
GEOMETRY = (0, (12,), (1,))
HOOKED = torch.ordered({"0": 1})


def test_old_forms() -> None:
    """Tensors of the first version have no hooks; a size may be wrapped."""
    assert walked(rebuilt("_rebuild_tensor", STORAGE, *GEOMETRY)).tensors[0].shape == (12,)
    size = torch.call("torch:Size", (3, 4))
    wrapped = rebuilt("_rebuild_tensor", STORAGE, 0, size, (4, 1))
    assert walked(wrapped).tensors[0].shape == (3, 4)


def test_keys_may_be_numbers() -> None:
    """Very old writers named storages by address, as a number."""
    identity = ("storage", torch.named("torch:FloatStorage"), 94, "cpu", 12)
    found = walked(rebuilt("_rebuild_tensor", torch.value(identity) + b"Q", *GEOMETRY))
    assert found.tensors[0].storage.key == "94"


def test_attributes_are_listed() -> None:
    """What hangs on tensors, parameters and mappings is named; state of another form as well."""
    plain = torch.call(
        "torch._tensor:_rebuild_from_type_v2",
        torch.named("torch._utils:_rebuild_tensor"),
        torch.named("torch:Tensor"),
        (STORAGE, *GEOMETRY),
        {"note": "x"},
    )
    parameter = rebuilt("_rebuild_parameter_with_state", ROW, torch.NO_GRADIENT, torch.HOOKS, [1])
    items = {"t": plain, "p": parameter, "m": torch.ordered({}, {"_metadata": 1, "other": 2})}
    found = walked(items)
    assert [tensor.name for tensor in found.tensors] == ["t", "p"]
    assert {(leaf.name, leaf.kind) for leaf in found.dropped} == {
        ("t.note", "attribute"), ("p", "state"), ("m.other", "attribute"),
    }  # fmt: skip


def test_last_key_counts() -> None:
    """A key that is set twice has its last value, as in Python."""
    twice = b"}(" + torch.value("w") + ROW + torch.value("w") + torch.value(1) + b"u"
    assert walked(twice).tensors == []


def test_default_dict() -> None:
    """A mapping with a factory is walked as any other."""
    made = torch.call("collections:defaultdict", torch.named("__builtin__:dict"))
    found = walked(made + b"(" + torch.value("w") + ROW + b"u")
    assert [tensor.name for tensor in found.tensors] == ["w"]


def test_ordered_dict_of_python_2() -> None:
    """Python 2 gives the pairs to the constructor; a plain dict is possible, too."""
    for given in ([["w", ROW], ["n", 1]], [("w", ROW), ("n", 1)], {"w": ROW, "n": 1}):
        found = walked(torch.call("collections:OrderedDict", given))
        assert [tensor.name for tensor in found.tensors] == ["w"]
        assert found.scalars == {"n": 1}


def test_leaves_have_kinds() -> None:
    """Whatever is left out is called by what it is."""
    found = walked(
        {
            "w": ROW,
            "class": torch.named("torch:float32"),
            "object": torch.call("argparse:Namespace"),
            "computed": torch.call("functools:partial") + b")R",
            "text": "x" * 100_000,
            "data": torch.value(b"C\x02ab"),
        }
    )
    kinds = {leaf.name: leaf.kind for leaf in found.dropped}
    assert kinds["class"] == "torch:float32"
    assert kinds["object"] == "argparse:Namespace"
    assert kinds["computed"] == "an object"
    assert kinds["text"] == "str"
    assert kinds["data"] == "bytes"


def test_kept_leaves_are_bounded() -> None:
    """Very many leaves are counted, not kept."""
    found = walked({"w": ROW} | {str(number): number for number in range(10_050)})
    assert (len(found.dropped), found.dropped_count) == (10_000, 10_050)


@pytest.mark.parametrize(
    ("root", "match"),
    [
        (rebuilt("_rebuild_tensor", 1, *GEOMETRY), "unknown form"),
        (rebuilt("_rebuild_tensor", STORAGE, *GEOMETRY) + b"}b", "state of its own"),
        (rebuilt("_rebuild_tensor", STORAGE, 0, 5, (1,)), "shape is not one"),
        (rebuilt("_rebuild_tensor", STORAGE, 0, ("a",), (1,)), "shape is not one"),
        (rebuilt("_rebuild_tensor_v2", STORAGE, *GEOMETRY), "hooks"),
        (rebuilt("_rebuild_tensor_v2", STORAGE, *GEOMETRY, None, HOOKED), "hooks"),
        (rebuilt("_rebuild_parameter", ROW, None, HOOKED), "parameter with hooks"),
        (rebuilt("_rebuild_tensor_v3", STORAGE, *GEOMETRY, None, None), "safetensors cannot"),
        (torch.new_tensor("0", 48, (12,), "bits8"), "torch:bits8"),
        (torch.tensor("0", "ComplexDoubleStorage", 3, (3,), (1,)), "ComplexDoubleStorage"),
        (torch.tensor("0", "UntypedStorage", 48, (3,), (1,)), "UntypedStorage"),
        ({"x": {None: ROW}}, "'x' has a key"),
        ({"x": torch.call("collections:OrderedDict", [["w", 1, ROW]])}, "'x' holds a tensor"),
        ({"x": torch.call("collections:OrderedDict", [ROW])}, "'x' holds a tensor"),
        ({"x": torch.call("collections:OrderedDict", ROW)}, "'x' holds a tensor"),
        ({"x": torch.call("a:B") + torch.value({"w": ROW}) + b"b"}, "'x' holds a tensor in a:B"),
        ({"x": torch.call("a:B") + torch.value([ROW]) + b"b"}, "'x' holds a tensor in a:B"),
        (torch.ordered({}, [ROW]), "among its attributes"),
        ({"x": torch.storage("0", "FloatStorage", 12)}, "a bare storage"),
        (
            rebuilt("_rebuild_tensor", torch.storage("0", "FloatStorage", 12, "meta"), *GEOMETRY),
            "without data",
        ),
        (
            rebuilt(
                "_rebuild_tensor",
                torch.storage("0", "FloatStorage", 12, "cpu", ("1", 0, 12)),
                *GEOMETRY,
            ),
            "a view of another",
        ),
    ],
)
def test_refusals(root: object, match: str) -> None:
    """Every form that holds a tensor and is not known ends the walk."""
    with pytest.raises(UnsupportedFormatError, match=match):
        walked(root)


@pytest.mark.parametrize("size", [47, 49, 0])
def test_storage_of_another_size(size: int) -> None:
    """The declared number of elements is the number there is."""
    with pytest.raises(MalformedArtifactError, match="'w': storage 0 should have 12"):
        walked({"w": ROW}, size=size)


def test_too_many_entries() -> None:
    """A mapping that was not kept whole is not converted in part."""
    with pytest.raises(ResourceLimitError):
        walked({"w": ROW, "a": 1, "b": 2, "c": 3}, limits=Limits(kept_values=5))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02\x82\x01.",  # a copyreg extension
        b"\x80\x05\x97.",  # a buffer out of band
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a memo index far beyond the entries
        b"I010\n.",  # a literal on which readers disagree
        b"\x80\x02(X\x01\x00\x00\x00xtQ.",  # a persistent id that is no storage
        b"\x80\x02",
        b"",
    ],
)
def test_pickles_that_are_refused(content: bytes) -> None:
    """What the scan would call odd or broken is never interpreted here."""
    with pytest.raises(ArtifactError):
        unpickled(BytesSource(content), 0, Budget(Limits()))


def test_module_source_stands_for_its_class() -> None:
    """Old files hold a module's class by a persistent id with its source."""
    identity = ("module", torch.named("torch.nn.modules.linear:Linear"), "linear.py", "class ...")
    state = {"_parameters": {"weight": ROW}, "_buffers": {}, "_modules": {}}
    module = torch.value(identity) + b"Q" + b")\x81" + torch.value(state) + b"b"
    found = walked({"fc": module})
    assert [tensor.name for tensor in found.tensors] == ["fc.weight"]
    assert found.dropped[0].kind.startswith("torch.nn.modules.linear:Linear")
