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

from modelsec.errors import MalformedArtifactError, UnsafeArtifactError, printable
from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.formats.dtype import ArrayType
from modelsec.scanning.part import Observation, Part
from modelsec.scanning.pickle.array_arguments import array_type
from modelsec.scanning.pickle.checks import require_exact
from modelsec.scanning.pickle.judge import PolicyJudge
from modelsec.scanning.pickle.machine import Machine
from modelsec.scanning.pickle.values import MISSING, Call, Container, Global

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


class Arrays:
    """Reads on behind the arrays of one pickle."""

    def __init__(self, part: Part, judge: PolicyJudge, run_nested: RunNested) -> None:
        """Take what is needed at an array.

        Args:
            part: that is read.
            judge: for findings.
            run_nested: runs the pickle at an offset and returns where it ends.
        """
        self._part = part
        self._judge = judge
        self._run_nested = run_nested

    def after_build(self, machine: Machine, target: Call) -> None:
        """Go past the array, or to the file, that a completed wrapper stands for."""
        made = target.produces
        if made is None:
            return
        if (made.module, made.name) in _WRAPPERS:
            judge = self._judge
            judge.array_from = judge.array_from or machine.lexer.position
            machine.lexer.position = self._behind(machine, target)
        elif made.module in _OLD_MODULES and made.name in _OLD_NAMES:
            for observed in self._sibling(machine.offset, target):
                self._judge.note(observed)

    def _behind(self, machine: Machine, target: Call) -> int:
        position, judge = machine.lexer.position, self._judge
        if machine.lexer.in_frame:
            judge.note(FRAME_OPEN.at(machine.offset, "the frame goes on behind the array's BUILD"))
        count, element = _numbers(target, machine.offset)
        if element.has_object:
            if _attribute(target, "allow_mmap") is not False:
                judge.note(MAPPED_OBJECTS.at(machine.offset, "objects that may be mapped"))
            return self._run_nested(position)
        judge.raw_from = judge.raw_from or position
        end = self._behind_padding(position, target) + count * element.itemsize
        if end > self._part.source.size:
            raise MalformedArtifactError(f"an array reaches beyond the file, at {position}")
        return end

    def _behind_padding(self, position: int, target: Call) -> int:
        if _attribute(target, "numpy_array_alignment_bytes") in (MISSING, None):
            return position
        padding = self._part.source.read(position, 1)[0]
        if self._part.source.read(position + 1, padding).strip(b"\xff"):
            raise MalformedArtifactError(f"an array's padding is not padding, at {position}")
        return position + 1 + padding

    def _sibling(self, offset: int, target: Call) -> Iterator[Observation]:
        name, part = _attribute(target, "filename"), self._part
        if not isinstance(name, str):
            raise MalformedArtifactError(f"an array without a file name, at {offset}")
        try:
            source = None if part.siblings is None else part.siblings.open(name)
        except UnsafeArtifactError as error:
            yield SIBLING_OUTSIDE.at(offset, str(error), subject=name)
            return
        if source is None:
            yield SIBLING_MISSING.at(offset, f"the array is in {printable(name)}", subject=name)
        else:
            yield part.child(source, name)


def _numbers(target: Call, offset: int) -> tuple[int, ArrayType]:
    """Return how many elements an array has, and of which type."""
    kind, shape = _attribute(target, "dtype"), _attribute(target, "shape")
    if not isinstance(kind, Call) or not isinstance(shape, Container):
        raise MalformedArtifactError(f"an array wrapper without type or shape, at {offset}")
    require_exact([shape])
    sizes = [size for size in shape.items if isinstance(size, int) and size >= 0]
    if len(sizes) != len(shape.items):
        raise MalformedArtifactError(f"an array's shape is not sizes, at {offset}")
    return prod(sizes), array_type(kind)


def _attribute(target: Call, name: str) -> object:
    found: object = MISSING
    for state in target.states:
        if isinstance(state, Container) and state.kind == "dict":
            value = state.get(name)
            found = found if value is MISSING else value
    return found
