"""The nodes of TensorFlow graphs: which operators there are, and with what arguments."""

from collections.abc import Iterator

from modelsec.errors import ResourceLimitError, printable
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats.protobuf import BYTES, Range, Reader
from modelsec.scanning.formats.protobuf_schema import Message
from modelsec.scanning.formats.tensorflow_files import CALLS, FLOW, Flow, Node
from modelsec.scanning.formats.tensorflow_operators import (
    ATTRIBUTES,
    COMPILED,
    FILES,
    HARMLESS,
    REFUSED,
)
from modelsec.scanning.formats.tensorflow_schema import (
    FUNCTION_SIGNATURE,
    NODE_ATTRIBUTE,
    NODE_INPUT,
    NODE_NAME,
    NODE_OP,
    STRING_TYPE,
    TENSOR_CONTENT,
    TENSOR_STRINGS,
    TENSOR_TYPE,
    VALUE_FUNCTION,
    VALUE_LIST,
    VALUE_TENSOR,
    VALUE_TEXT,
)
from modelsec.scanning.part import Observation, Part, Permitted

DANGEROUS = Rule(
    "MS-TFG-001",
    "operator with a known capability",
    Verdict.DANGEROUS,
    capability="code execution, files or network",
    remedy="refuse the model",
)
FILE = Rule(
    "MS-TFG-002",
    "operator on a file that the graph chooses",
    Verdict.DANGEROUS,
    capability="file access",
    remedy="refuse the model: an honest one takes the name from the saver or from its assets",
)
ORIGIN = Rule(
    "MS-TFG-003",
    "operator on a file whose name cannot be traced",
    Verdict.UNKNOWN,
    capability="file access",
    remedy="find out who decides the file's name before the model is loaded",
)
COMPILED_CODE = Rule(
    "MS-TFG-004",
    "operator that brings code which is not read",
    Verdict.UNKNOWN,
    capability="native code",
    remedy="convert the original model yourself",
)
OPERATOR = Rule(
    "MS-TFG-005",
    "operator outside the policy",
    Verdict.UNKNOWN,
    capability="native code",
    remedy="find out which library implements it; permit it by a policy of your own",
)

_MODULES = ("tensorflow:compute", "tensorflow:checkpoint", "tensorflow:log")
_COMPUTE = "tensorflow:compute"
_LONGEST = 512  # bytes of a name
_TEXTS = 64  # strings of one constant
_DISTINCT = 20_000  # operators that are told apart
_INPUTS = 4096  # of a node that is remembered
_TENSOR_TEXTS = frozenset({TENSOR_STRINGS << 3 | BYTES, TENSOR_CONTENT << 3 | BYTES})
_FILE_NODES = 2000  # whose names are traced


class Graphs:
    """Collects the nodes of one model's graphs and functions, then judges them."""

    def __init__(self, part: Part, reader: Reader) -> None:
        self._part = part
        self._reader = reader
        self._used: dict[str, tuple[int, int]] = {}
        self._files: list[tuple[str, int, int, tuple[bytes, ...]]] = []
        self._functions: set[str] = set()
        self._strange: set[bytes] = set()  # might be calls of functions by their names
        self.flow = Flow(part.budget)

    def node(self, message: Message) -> Iterator[Finding]:
        """Take note of a node; yield what its attributes alone tell."""
        for op in self._texts(message, NODE_OP, 3) or [b""]:
            name = op.decode("utf-8", "backslashreplace")
            first, count = self._used.get(name, (message.start, 0))
            self._used[name] = (first, count + 1)
            if len(self._used) > _DISTINCT:
                raise ResourceLimitError(f"more than {_DISTINCT} different operators")
            if name in FILES:
                if len(self._files) >= _FILE_NODES:
                    raise ResourceLimitError(f"more than {_FILE_NODES} nodes open files")
                self._files.append((name, message.start, message.parent, self._inputs(message)))
            if name in ATTRIBUTES:
                yield from self._attribute(message, name)
            if not count and not self._permitted(name):
                self._strange.add(op)
            if op in FLOW or op in self._strange:
                self._remember(message, op)

    def function(self, message: Message) -> None:
        """Take note of the name and the arguments of a function."""
        scope = self.flow.scope(message.start)
        for start, stop in message.kept.get(FUNCTION_SIGNATURE, ()):
            for tag, first, after in self._reader.fields(start, stop):
                if tag == 1 << 3 | BYTES:
                    scope.name = self._text(first, after)
                elif tag == 2 << 3 | BYTES:
                    argument = self._field(first, after, 1)
                    scope.arguments.append(argument)
        self._functions.add(scope.name.decode("utf-8", "backslashreplace"))

    def reference(self, message: Message) -> None:
        """Count a mention of a function in an attribute."""
        for name in self._texts(message, 1, 3):
            self.flow.references[name] = self.flow.references.get(name, 0) + 1

    def judge(self) -> Iterator[Observation]:
        """Yield what is to be said of the operators, when all nodes have been seen."""
        for name, start, parent, inputs in self._files:
            yield from self._file(name, start, parent, inputs)
        for name, (offset, count) in self._used.items():
            if name not in FILES:
                yield from self._operator(name, offset, count)

    def _operator(self, name: str, offset: int, count: int) -> Iterator[Observation]:
        times = "once" if count == 1 else f"{count} times"
        say = f"the operator {name} (used {times})"
        danger = REFUSED.get(name)
        if danger is not None:
            message = f"{say} {danger.what}: {danger.capability}"
            yield DANGEROUS.at(offset, message, operation="operator", subject=name)
        elif name in COMPILED:
            message = f"{say} {COMPILED[name]}"
            yield COMPILED_CODE.at(offset, message, operation="operator", subject=name)
        else:
            permitted = self._permitted(name)
            if permitted is None and name in self._functions:
                return  # a call by name: the body has been walked
            if permitted is None:
                message = f"{say} is in no policy"
                yield OPERATOR.at(offset, message, operation="operator", subject=name)
            elif permitted:
                yield Permitted(permitted, "operator", name)

    def _permitted(self, name: str) -> str | None:
        """Return the layer that permits more than to compute, "" if it only computes, or None."""
        for module in _MODULES:
            allowed = self._part.policy.permits("operator", module, name)
            if allowed is not None:
                return "" if module == _COMPUTE else allowed.layer
        return None

    def _file(
        self, name: str, offset: int, scope: int, inputs: tuple[bytes, ...]
    ) -> Iterator[Observation]:
        """Judge an operator on a file by where the file's name comes from."""
        danger, indexes = FILES[name]
        unknown = ""
        for index in indexes:
            if index >= len(inputs):
                unknown = "is not given"
                continue
            found = self.flow.origins(scope, inputs[index])
            for text in found.constants[:1]:
                message = f"{name} {danger.what}: the path is a constant of the graph"
                yield FILE.at(offset, message, operation="operator", subject=name, evidence=text)
                return
            unknown = unknown or found.unknown
        allowed = self._part.policy.permits("operator", "tensorflow:checkpoint", name)
        if unknown:
            message = f"{name} opens a file, and its name {unknown}"
            yield ORIGIN.at(offset, message, operation="operator", subject=name)
        elif allowed is None:
            message = f"{name} opens a file, and is in no policy"
            yield OPERATOR.at(offset, message, operation="operator", subject=name)
        else:
            yield Permitted(allowed.layer, "operator", name)

    def _attribute(self, message: Message, name: str) -> Iterator[Finding]:
        wanted, danger = ATTRIBUTES[name]
        for key, value in self._attributes(message):
            if key != wanted:
                continue
            for text in self._value_texts(value):
                if text not in HARMLESS:
                    what = f"{name} {danger.what}: {key.decode()} is {printable(text, 60)}"
                    yield FILE.at(
                        message.start, what, operation="operator", subject=name, evidence=text
                    )

    def _remember(self, message: Message, op: bytes) -> None:
        """Keep what a trace of a file's name may need."""
        texts: tuple[bytes, ...] | None = None
        function = b""
        if op == b"Const":
            texts = self._constant(message)
            if texts is None:
                return
        elif op == b"StringJoin":
            texts = tuple(
                text
                for key, value in self._attributes(message)
                if key == b"separator"
                for text in self._value_texts(value)
            )
        elif op in CALLS:
            for key, value in self._attributes(message):
                if key == b"f":
                    function = self._called(value) or function
        names = self._texts(message, NODE_NAME, 1)
        node = Node(op, self._inputs(message), texts, function)
        self.flow.add(message.parent, names[0] if names else b"", node)

    def _inputs(self, message: Message) -> tuple[bytes, ...]:
        names = self._texts(message, NODE_INPUT, _INPUTS)
        return tuple(name for name in names if not name.startswith(b"^"))

    def _constant(self, message: Message) -> tuple[bytes, ...] | None:
        """Return the strings of a constant, None if it holds numbers."""
        kinds = set()
        texts: list[bytes] = []
        for key, value in self._attributes(message):
            if key == b"value":
                for tag, start, stop in self._reader.fields(*value):
                    if tag == VALUE_TENSOR << 3 | BYTES:
                        kinds.add(self._strings(start, stop, texts))
        return tuple(texts) if STRING_TYPE in kinds or (texts and kinds <= {0}) else None

    def _strings(self, start: int, stop: int, texts: list[bytes]) -> int:
        """Return the type of a tensor, and add its strings."""
        kind = 0
        for tag, first, after in self._reader.fields(start, stop):
            if tag == TENSOR_TYPE << 3:
                kind = first
                if kind != STRING_TYPE:
                    break
            elif tag in _TENSOR_TEXTS and len(texts) < _TEXTS:
                # Packed content comes with its lengths; it need not be read, only be there.
                texts.append(self._text(first, after))
        return kind

    def _called(self, value: Range) -> bytes:
        for tag, start, stop in self._reader.fields(*value):
            if tag == VALUE_FUNCTION << 3 | BYTES:
                return self._field(start, stop, 1)
        return b""

    def _attributes(self, message: Message) -> Iterator[tuple[bytes, Range]]:
        """Yield the key and the value's range of each attribute."""
        for start, stop in message.kept.get(NODE_ATTRIBUTE, ()):
            key = self._field(start, stop, 1)
            for tag, first, after in self._reader.fields(start, stop):
                if tag == 2 << 3 | BYTES and after > first:
                    yield key, (first, after)  # pieces of one value merge: each is looked at

    def _value_texts(self, value: Range) -> Iterator[bytes]:
        """Yield the strings of an attribute, single or in a list."""
        for tag, start, stop in self._reader.fields(*value):
            if tag == VALUE_TEXT << 3 | BYTES:
                yield self._text(start, stop)
            elif tag == VALUE_LIST << 3 | BYTES:
                for inner, first, after in self._reader.fields(start, stop):
                    if inner == VALUE_TEXT << 3 | BYTES:
                        yield self._text(first, after)

    def _field(self, start: int, stop: int, number: int) -> bytes:
        """Return the last text field of that number, b"" if there is none."""
        text = b""
        for tag, first, after in self._reader.fields(start, stop):
            if tag == number << 3 | BYTES:
                text = self._text(first, after)
        return text

    def _texts(self, message: Message, number: int, limit: int) -> list[bytes]:
        """Return the last values of a text field, or the first ones of a repeated one."""
        ranges = message.kept.get(number, [])
        ranges = ranges[:limit] if number == NODE_INPUT else ranges[-limit:]
        return [self._text(start, stop) for start, stop in ranges]

    def _text(self, start: int, stop: int) -> bytes:
        return self._reader.text(start, min(stop, start + _LONGEST))
