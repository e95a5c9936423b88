r"""joblib: raw arrays in the middle of a pickle.

joblib writes each array as a ``NumpyArrayWrapper``, and directly behind the BUILD that completes
it the array's bytes, unframed: one byte with the length of a padding and that many ``\xff`` (if
the wrapper has an alignment), then shape times item size bytes. Arrays of objects are a nested
pickle instead. The opcodes go on behind. A reader that does not know this stops at the first
array, or takes floating-point numbers for opcodes; payloads are simply placed behind it.

Versions up to 0.9 name sibling files instead, which the loader opens.
"""

from collections.abc import Callable, Iterator
from math import prod

from modelsec.errors import ArtifactError, MalformedArtifactError, UnsafeArtifactError
from modelsec.scanning.finding import Rule, Verdict, printable
from modelsec.scanning.part import Observation, Part
from modelsec.scanning.pickle.array_arguments import array_type
from modelsec.scanning.pickle.checks import require_exact
from modelsec.scanning.pickle.judge import PolicyJudge
from modelsec.scanning.pickle.machine import Machine
from modelsec.scanning.pickle.values import MISSING, Call, Container, Global, Value

WRAPPER = Global("joblib.numpy_pickle", "NumpyArrayWrapper")
_OLD_MODULES = (
    "joblib.numpy_pickle",
    "joblib.numpy_pickle_compat",
    "sklearn.externals.joblib.numpy_pickle",
    "sklearn.externals.joblib.numpy_pickle_compat",
)
_OLD_NAMES = ("NDArrayWrapper", "ZNDArrayWrapper")
_WRAPPERS = {
    (module, "NumpyArrayWrapper")
    for module in ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
}

FRAME_OPEN = Rule(
    "MS-JBL-001",
    "an array within an open frame",
    Verdict.DANGEROUS,
    capability="hides opcodes: unpicklers read two different streams",
    remedy="no version of joblib writes this; do not load the file",
)
SIBLING_MISSING = Rule(
    "MS-JBL-002",
    "an array in a file that is not there",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="scan the files together, from their folder",
)
SIBLING_OUTSIDE = Rule(
    "MS-JBL-003",
    "an array in a file outside the folder",
    Verdict.DANGEROUS,
    capability="file read; the file is unpickled if it holds objects",
    remedy="do not load this file",
)

MAPPED_OBJECTS = Rule(
    "MS-JBL-004",
    "an array of objects that may be mapped into memory",
    Verdict.DANGEROUS,
    capability="memory corruption: the file's bytes are read as pointers",
    remedy="joblib never writes this; do not load the file",
)
READ_AS_OPCODES = Rule(
    "MS-JBL-005",
    "the numbers of an array are opcodes for other loaders",
    Verdict.DANGEROUS,
    capability="code execution in pickle.load",
    remedy="do not load this file",
)

RunNested = Callable[[int], int]


def after_build(
    part: Part, judge: PolicyJudge, run_nested: RunNested
) -> Callable[[Machine, Call], None]:
    """Return the hook that reads on behind an array.

    Args:
        part: that is read.
        judge: for findings.
        run_nested: runs the pickle at an offset and returns where it ends.
    """

    def hook(machine: Machine, target: Call) -> None:
        made = target.produces
        if made is None:
            return
        if (made.module, made.name) in _WRAPPERS:
            judge.array_from = judge.array_from or machine.lexer.position
            machine.lexer.position = _behind_array(machine, target)
        elif made.module in _OLD_MODULES and made.name in _OLD_NAMES:
            for observed in _sibling(machine.offset, target):
                judge.note(observed)

    def _behind_array(machine: Machine, target: Call) -> int:
        position = machine.lexer.position
        if machine.lexer.in_frame:
            judge.note(FRAME_OPEN.at(machine.offset, "the frame goes on behind the array's BUILD"))
        kind, shape, alignment = (
            _attribute(target, name) for name in ("dtype", "shape", "numpy_array_alignment_bytes")
        )
        if not isinstance(kind, Call) or not isinstance(shape, Container):
            raise MalformedArtifactError(
                f"an array wrapper without type or shape, at {machine.offset}"
            )
        require_exact([shape])
        sizes = [size for size in shape.items if isinstance(size, int) and size >= 0]
        if len(sizes) != len(shape.items):
            raise MalformedArtifactError(f"an array's shape is not sizes, at {machine.offset}")
        element = array_type(kind)
        if element.has_object:
            if _attribute(target, "allow_mmap") is not False:
                judge.note(MAPPED_OBJECTS.at(machine.offset, "objects that may be mapped"))
            return run_nested(position)
        judge.raw_from = judge.raw_from or position
        if alignment is not MISSING and alignment is not None:
            padding = part.source.read(position, 1)[0]
            if part.source.read(position + 1, padding).strip(b"\xff"):
                raise MalformedArtifactError(f"an array's padding is not padding, at {position}")
            position += 1 + padding
        end = position + prod(sizes) * element.itemsize
        if end > part.source.size:
            raise MalformedArtifactError(f"an array reaches beyond the file, at {position}")
        return end

    def _sibling(offset: int, target: Call) -> Iterator[Observation]:
        name = _attribute(target, "filename")
        if not isinstance(name, str):
            raise MalformedArtifactError(f"an array without a file name, at {offset}")
        if part.siblings is None:
            yield SIBLING_MISSING.at(offset, f"the array is in {printable(name)}", subject=name)
            return
        try:
            source = part.siblings.open(name)
        except UnsafeArtifactError as error:
            yield SIBLING_OUTSIDE.at(offset, str(error), subject=name)
            return
        if source is None:
            yield SIBLING_MISSING.at(offset, f"the array is in {printable(name)}", subject=name)
        else:
            yield part.child(source, name)

    return hook


def _attribute(target: Call, name: str) -> "Value | ArtifactError | object":
    found: object = MISSING
    for state in target.states:
        if isinstance(state, Container) and state.kind == "dict":
            value = state.get(name)
            found = found if value is MISSING else value
    return found
