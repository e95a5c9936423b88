"""TensorFlow Lite: a model as a FlatBuffer, ``TFL3`` at byte 4.

A model holds operator codes, sub-graphs of operators and tensors, and buffers of numbers. Built-in
operators compute; custom ones are native code that the application registers by name, and ``Flex``
ones are TensorFlow's own operators with everything that those can do.

What an attacker does: names a custom or a Flex operator with a capability; lets numbers come from
another file; sends offsets and lengths that lead out of the file into the runtime's memory; hides
something behind or between the tables.

What is checked: every table, vector and string against the file; every operator code against the
policy (``operator`` on ``tflite:builtin``, which leaves the verdict at ``data_only``, or on
``tflite:custom``); Flex operators against the list of dangerous TensorFlow operators, otherwise
they are unknown; buffers behind the tables. Bytes that no table leads to are not claimed: files
with metadata carry a zip archive with labels behind the model, which is read as the archive it is.

What is not: shapes and types, whether indices of tensors are right, the options of operators.
"""

from collections.abc import Iterator

from modelsec.errors import ArtifactError, MalformedArtifactError, UnsafeArtifactError, printable
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats.flatbuffer import Flat, Table, walk
from modelsec.scanning.formats.tensorflow_operators import FILES, REFUSED
from modelsec.scanning.formats.tflite_operators import BUILTIN
from modelsec.scanning.formats.tflite_schema import (
    BUFFER_OFFSET,
    BUFFER_SIZE,
    CODE,
    CODE_CUSTOM,
    CODE_OLD,
    OPERATOR_OFFSET,
    OPERATOR_SIZE,
    TABLES,
)
from modelsec.scanning.part import NotThisFormat, Observation, Part, Permitted, Span

DANGEROUS = Rule(
    "MS-TFL-001",
    "TensorFlow operator with a known capability",
    Verdict.DANGEROUS,
    capability="code execution, files or network",
    remedy="refuse the model",
)
FLEX = Rule(
    "MS-TFL-002",
    "operator that runs TensorFlow",
    Verdict.UNKNOWN,
    capability="TensorFlow's operators",
    remedy="convert the original model to built-in operators",
)
CUSTOM = Rule(
    "MS-TFL-003",
    "custom operator outside the policy",
    Verdict.UNKNOWN,
    capability="native code",
    remedy="find out which library implements it; permit it by a policy of your own",
)
BUILT_IN = Rule(
    "MS-TFL-004",
    "built-in operator outside the policy",
    Verdict.UNKNOWN,
    remedy="the model needs a newer runtime than this scanner knows",
)
OUTSIDE = Rule(
    "MS-TFL-005",
    "numbers in a file outside the model's folder",
    Verdict.DANGEROUS,
    capability="file read",
    remedy="refuse the model",
)
ABSENT = Rule(
    "MS-TFL-006",
    "numbers in a file that cannot be checked",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="scan the model by its path, with its data files beside it",
)

_IDENTIFIER = b"TFL3"
_CUSTOM_CODE = BUILTIN.index("CUSTOM")
_SMALLEST = 8
_OUTLYING = {
    "Buffer": (BUFFER_OFFSET, BUFFER_SIZE),
    "Operator": (OPERATOR_OFFSET, OPERATOR_SIZE),
}
"""Tables that may have bytes behind all tables: the fields that say where."""


def read(part: Part) -> Iterator[Observation]:
    """Read a model."""
    if part.source.size < _SMALLEST or part.source.read(4, 4) != _IDENTIFIER:
        raise NotThisFormat
    flat = Flat(part.source, part.budget)
    flat.met.append((0, _SMALLEST))
    broken: ArtifactError | None = None
    codes: dict[tuple[str, str], int] = {}
    try:
        for table in walk(flat, TABLES, "Model", flat.number(0, 4)):
            if table.kind == "OperatorCode":
                codes.setdefault(_code(flat, table), table.start)
            elif table.kind == "ExternalBufferGroup":
                yield from _external(part, flat, table)
            elif table.kind in _OUTLYING:
                _outlying(flat, table, *_OUTLYING[table.kind])
    except ArtifactError as error:  # judge what came before it, then report it
        broken = error
    for start, stop in flat.gaps_closed():
        yield Span(start, stop)
    for (module, name), offset in codes.items():
        yield from _judge(part, module, name, offset)
    if broken is not None:
        raise broken


def _code(flat: Flat, table: Table) -> tuple[str, str]:
    """Return the module and the name of an operator."""
    # Numbers above 127 do not fit the old field, which then holds a placeholder.
    number = max(flat.scalar(table, CODE_OLD, 1), flat.scalar(table, CODE, 4))
    if number == _CUSTOM_CODE:
        return "tflite:custom", flat.text(table, CODE_CUSTOM).decode("utf-8", "backslashreplace")
    return "tflite:builtin", BUILTIN[number] if number < len(BUILTIN) else f"number {number}"


def _judge(part: Part, module: str, name: str, offset: int) -> Iterator[Observation]:
    allowed = part.policy.permits("operator", module, name)
    if allowed is not None:
        if module != "tflite:builtin":
            yield Permitted(allowed.layer, "operator", name)
        return
    rule, message = CUSTOM, f"the custom operator {name} is in no policy: native code implements it"
    flex = name.removeprefix("Flex")
    if module == "tflite:builtin":
        rule, message = BUILT_IN, f"the built-in operator {name} is in no policy"
    elif flex != name and flex in REFUSED:
        danger = REFUSED[flex]
        rule, message = DANGEROUS, f"{name} {danger.what}: {danger.capability}"
    elif flex != name and flex in FILES:
        danger = FILES[flex][0]
        rule, message = DANGEROUS, f"{name} {danger.what}: {danger.capability}"
    elif flex != name:
        rule, message = FLEX, f"{name} is TensorFlow's operator {flex}, with all that it can do"
    yield rule.at(offset, message, operation="operator", subject=name)


def _outlying(flat: Flat, table: Table, offset_field: int, size_field: int) -> None:
    """Meet the bytes of a buffer that lies behind the tables: models above 2 GiB have them."""
    offset = flat.scalar(table, offset_field, 8)
    size = flat.scalar(table, size_field, 8)
    if offset <= 1 or not size:  # 0 and 1 mean that there is none
        return
    if offset + size > flat.source.size:
        raise MalformedArtifactError(
            f"the buffer of the table at {table.start} ends beyond the file"
        )
    flat.met.append((offset, offset + size))


def _external(part: Part, flat: Flat, table: Table) -> Iterator[Finding]:
    """Judge the name of a file that holds buffers."""
    name = flat.text(table, 0)
    text = name.decode("utf-8", "backslashreplace")
    plain = text.replace("\\", "/")
    leaves = (
        plain.startswith(("/", "~")) or ".." in plain.split("/") or ":" in plain or "\0" in plain
    )
    try:
        found = None if leaves or part.siblings is None else part.siblings.open(text)
    except UnsafeArtifactError:
        leaves, found = True, None
    if leaves:
        message = f"buffers are read from {printable(text)}, outside the folder"
        yield OUTSIDE.at(table.start, message, operation="external data", subject=text)
    elif found is None:
        message = f"buffers are in {printable(text)}, which is not there to be checked"
        yield ABSENT.at(table.start, message, operation="external data", subject=text)
