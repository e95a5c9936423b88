"""R data: ``.rds`` (one object) and ``.rda``/``.RData`` (a list of named objects).

**The format.** A header (``X``, ``A`` or ``B`` for big-endian, text or native numbers), a version
and one item; items are vectors, strings, lists, environments and also R's code: functions, calls,
bytecode, promises. ``.rda`` puts ``RDX2`` or ``RDX3`` before it. gzip, bzip2 or xz is usually
around it, and undone before this reader is asked.

**What an attacker does with it.** A promise is an unevaluated expression: R evaluates it when its
value is first looked at, so ``readRDS()`` of a promise runs code as soon as the result is used
(CVE-2024-27322, R before 4.4). Functions and bytecode are code that the next call runs; bytecode
is not even checked. A namespace or package reference loads that package, a memory-mapped vector
opens a file by name.

**What is checked.** Every item is visited, without recursion; lengths are compared with the bytes
that are left. Functions, promises and bytecode are dangerous; calls and formulas, which honest
fits hold too, external pointers, primitives and packages outside R itself are ``unknown``.

**What is not.** What the code does, and what S4 or S3 methods of an installed package do with the
data later.
"""

from collections import Counter
from collections.abc import Iterator

from modelsec.errors import MalformedArtifactError, ResourceLimitError, printable
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats.cursor import Cursor
from modelsec.scanning.formats.rdata_stream import Stream, opened
from modelsec.scanning.limits import Budget
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Span

_CVE = "CVE-2024-27322"
PROMISE = Rule(
    "MS-RDS-001",
    "a promise",
    Verdict.DANGEROUS,
    capability="code execution",
    reference=_CVE,
    remedy="refuse the file: data never needs an unevaluated expression",
)
FUNCTION = Rule(
    "MS-RDS-002",
    "an R function",
    Verdict.DANGEROUS,
    capability="code execution",
    reference=_CVE,
    remedy="export the numbers instead, or review the function and pin the file's digest",
)
BYTECODE = Rule(
    "MS-RDS-003",
    "compiled R code",
    Verdict.DANGEROUS,
    capability="code execution",
    reference=_CVE,
    remedy="refuse the file: bytecode is run without any check",
)
LANGUAGE = Rule(
    "MS-RDS-004",
    "an R expression",
    Verdict.UNKNOWN,
    capability="code execution",
    reference=_CVE,
    remedy="formulas and calls are part of many fits; evaluate none from a source you do not trust",
)
POINTER = Rule(
    "MS-RDS-005",
    "a pointer, weak reference or primitive",
    Verdict.UNKNOWN,
    capability="native code",
    remedy="only the package that wrote it can use it; export the model in that package's format",
)
PACKAGE = Rule(
    "MS-RDS-006",
    "a package is loaded",
    Verdict.UNKNOWN,
    capability="import",
    remedy="loading a package runs its code: make sure that you want it",
)
ALTREP = Rule(
    "MS-RDS-007",
    "a vector of a package's own kind",
    Verdict.UNKNOWN,
    capability="native code",
    remedy="save the model anew with plain vectors",
)
MAPPED = Rule(
    "MS-RDS-008",
    "a vector mapped from a file",
    Verdict.DANGEROUS,
    capability="file read",
    remedy="refuse the file: it makes R open another file by name",
)
PERSISTENT = Rule(
    "MS-RDS-009",
    "an object that a hook restores",
    Verdict.UNKNOWN,
    capability="call",
    remedy="only code of the loader knows what it means",
)
TRUNCATED_LIST = Rule("MS-RDS-010", "more of the same was not listed", Verdict.DATA_ONLY)

DEPTH = 5000
"""Deepest nesting; R itself recurses, and gives up earlier."""

_LISTED = 20  # findings of one rule
_BATCH = 1024
_WITH_ENCODING = 3  # version of the format
_LONGEST_ENCODING = 63  # R's own buffer

_MAGIC = (b"RDX2\n", b"RDX3\n", b"RDA2\n", b"RDA3\n", b"RDB2\n", b"RDB3\n")
_SYMBOL, _PAIRLIST, _ENVIRONMENT, _CALL, _STRING = 1, 2, 4, 6, 9
_BYTECODE, _POINTER, _WEAK = 21, 22, 23
_REFERENCE, _NAMESPACE, _PACKAGE, _PERSISTENT, _ALTREP = 255, 249, 248, 247, 238
_CONSTANTS = frozenset({254, 253, 252, 251, 250, 242, 241})  # NULL, global environment ...
_LINKED = {  # read as attributes, tag, first and rest; what to say about it
    _PAIRLIST: None,
    3: (FUNCTION, "a function: its body is code"),
    5: (PROMISE, "a promise: looking at its value evaluates an expression"),
    _CALL: (LANGUAGE, "a call that is not evaluated by loading"),
    17: (LANGUAGE, "an argument list of promises (...)"),
}
_NUMBERS = {10: 4, 13: 4, 14: 8, 15: 16, 24: 1}  # logical, integer, real, complex, raw: bytes
_LISTS = frozenset({16, 19, 20})  # of strings, of anything, of expressions
_PRIMITIVES = frozenset({7, 8})
_S4 = 25  # nothing but attributes
_VECTORS = frozenset({_STRING, _S4, *_NUMBERS, *_LISTS})
_WITH_ATTRIBUTES = frozenset({240, 239})  # calls and lists within bytecode
_REPEAT_DEFINITION, _REPEAT = 244, 243
_LANGUAGES = frozenset({_CALL, _PAIRLIST, 240, 239, _REPEAT_DEFINITION, _REPEAT})

# What the stack counts: items; bytecode, its count of constants, constants; expressions in them.
_ITEMS, _CODE, _COUNT, _CONSTANT, _EXPRESSION = range(5)

_PLAIN_CLASSES = frozenset(
    {b"compact_intseq", b"compact_realseq", b"deferred_string"}
    | {b"wrap_" + kind for kind in (b"integer", b"real", b"logical", b"complex", b"raw")}
    | {b"wrap_string", b"wrap_list"}
)
_OWN_PACKAGES = frozenset(
    b"base compiler datasets graphics grDevices grid methods parallel splines stats stats4 tools "
    b"utils".split()
)


def read(part: Part) -> Iterator[Observation]:
    """Accept one serialised R object."""
    cursor = Cursor(part.source)
    magic = cursor.peek(5) in _MAGIC
    if magic:
        cursor.skip(5)
    stream = opened(cursor, part.budget)
    try:
        _header(stream)
    except MalformedArtifactError:
        if magic:
            raise
        raise NotThisFormat from None
    yield Identified("rda" if magic else "rds")
    yield from _Walker(stream, part.budget).walk()
    stream.finish()
    yield Span(0, stream.position)


def _header(stream: Stream) -> None:
    version = stream.integer()
    if version not in {2, 3}:
        raise MalformedArtifactError(f"R's serialisation has no version {version}")
    stream.integer()  # R that wrote it
    stream.integer()  # oldest R that can read it
    if version == _WITH_ENCODING:
        length = stream.integer()
        if not 0 <= length <= _LONGEST_ENCODING:
            raise MalformedArtifactError(f"the name of the encoding has {length} bytes")
        stream.text(length)


class _Walker:
    """Visits items in the order in which they stand; what is open waits on a stack of counts."""

    def __init__(self, stream: Stream, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget
        self._symbols: list[bytes] = []  # the reference table; b"" for what is no symbol
        self._stack: list[tuple[int, int]] = [(_ITEMS, 1)]
        self._listed: Counter[str] = Counter()

    def walk(self) -> Iterator[Finding]:
        """Yield what is found; afterwards the stream stands behind the object."""
        seen = 0
        while self._stack:
            kind, count = self._stack.pop()
            if count > 1:
                self._stack.append((kind, count - 1))
            elif count == 0:
                continue
            seen += 1
            if seen % _BATCH == 0:
                self._budget.opcodes(_BATCH)
                if len(self._stack) > DEPTH:
                    raise ResourceLimitError(f"R items are nested more than {DEPTH} deep")
            if kind == _ITEMS:
                yield from self._item()
            else:
                self._compiled(kind)
        for rule, count in self._listed.items():
            if count > _LISTED:
                yield TRUNCATED_LIST.at(None, f"{rule} was found {count} times")

    def _item(self) -> Iterator[Finding]:
        stream = self._stream
        offset = stream.position
        flags = stream.integer()
        kind = flags & 0xFF
        attributes = flags >> 9 & 1
        if kind in _VECTORS:
            self._push(attributes)
            self._vector(kind)
        elif kind in _LINKED:
            self._push(2 + attributes + (flags >> 10 & 1))
            said = _LINKED[kind]
            if said is not None:
                yield from self._say(said[0], offset, said[1])
        elif kind == _SYMBOL:
            self._refer(self._name())
        elif kind == _REFERENCE:
            self._reference(flags)
        elif kind == _ENVIRONMENT:
            stream.integer()  # locked?
            self._refer(b"")
            self._push(4)
        elif kind not in _CONSTANTS:
            yield from self._rare(kind, attributes, offset)

    def _vector(self, kind: int) -> None:
        if kind == _STRING:
            self._string()
        elif kind in _NUMBERS:
            width = _NUMBERS[kind]
            self._stream.numbers(self._length(self._stream.least_of(width)), width)
        elif kind in _LISTS:
            self._push(self._length(self._stream.least))

    def _rare(self, kind: int, attributes: int, offset: int) -> Iterator[Finding]:
        stream = self._stream
        if kind == _ALTREP:
            yield from self._alternative(offset)
        elif kind == _BYTECODE:
            yield from self._say(BYTECODE, offset, "compiled code")
            stream.integer()  # repeated expressions
            self._push(attributes)
            self._push(1, _CODE)
        elif kind in {_POINTER, _WEAK}:
            what = "an external pointer" if kind == _POINTER else "a weak reference"
            yield from self._say(POINTER, offset, what)
            self._refer(b"")
            self._push(attributes + (2 if kind == _POINTER else 0))
        elif kind in _PRIMITIVES:
            name = printable(stream.text(self._plain_length()))
            self._push(attributes)
            yield from self._say(POINTER, offset, f"the primitive function {name}", name)
        elif kind in {_NAMESPACE, _PACKAGE, _PERSISTENT}:
            yield from self._named(kind, offset)
        else:
            raise MalformedArtifactError(f"R has no item of type {kind}, at {offset}")

    def _named(self, kind: int, offset: int) -> Iterator[Finding]:
        """A reference by name: to a namespace, a package or something that a hook restores."""
        if self._stream.integer() != 0:
            raise MalformedArtifactError(f"names in strings are not supported, at {offset}")
        count = self._plain_length()
        first = b""
        for number in range(count):
            name = self._name()
            first = first if number else name
        self._budget.opcodes(count)
        self._refer(b"")
        name = first.removeprefix(b"package:")
        if kind == _PERSISTENT:
            yield from self._say(PERSISTENT, offset, "an object that a hook has to restore")
        elif name not in _OWN_PACKAGES:
            shown = printable(name)
            yield from self._say(PACKAGE, offset, f"reading it loads the package {shown}", shown)

    def _alternative(self, offset: int) -> Iterator[Finding]:
        """A vector in another representation: its class, its package, its state."""
        class_ = self._listed_symbol(offset)
        package = self._listed_symbol(offset)
        self._push(2)  # state and attributes
        self._push(2)  # the rest of the list of three
        flags = self._stream.integer()
        if flags & 0xFF != _PAIRLIST or flags >> 9 & 3:
            raise MalformedArtifactError(f"a vector's class is not described as usual, at {offset}")
        name = printable(class_)
        if package != b"base" or class_ not in _PLAIN_CLASSES | {b"mmap_real", b"mmap_integer"}:
            subject = f"{printable(package)}:{name}"
            message = f"a vector of class {name} of package {printable(package)}"
            yield from self._say(ALTREP, offset, message, subject)
        elif class_ not in _PLAIN_CLASSES:
            yield from self._say(MAPPED, offset, f"a vector of class {name} names a file", name)

    def _listed_symbol(self, offset: int) -> bytes:
        """Read one cell of a list, whose content is a symbol."""
        cell = self._stream.integer()
        flags = self._stream.integer()
        if cell & 0xFF == _PAIRLIST and not cell >> 9 & 3:
            if flags & 0xFF == _SYMBOL:
                self._refer(self._name())
                return self._symbols[-1]
            if flags & 0xFF == _REFERENCE:
                return self._reference(flags)
        raise MalformedArtifactError(f"a vector's class is not described as usual, at {offset}")

    def _compiled(self, kind: int) -> None:
        """A piece of bytecode: the codes as an item, a count, constants with types of their own."""
        if kind == _CODE:
            self._push(1, _COUNT)
            self._push(1)
            return
        if kind == _COUNT:
            self._push(self._plain_length(), _CONSTANT)
            return
        type_ = self._stream.integer()
        if type_ == _REPEAT:
            self._stream.integer()
        elif type_ == _BYTECODE and kind == _CONSTANT:
            self._push(1, _CODE)
        elif type_ in _LANGUAGES:
            if type_ == _REPEAT_DEFINITION:
                self._stream.integer()
                type_ = self._stream.integer()
            self._push(2, _EXPRESSION)  # first and rest
            self._push(1 + (type_ in _WITH_ATTRIBUTES))  # attributes and tag come before
        else:
            self._push(1)

    def _string(self) -> bytes:
        length = self._stream.integer()
        if length == -1:  # missing
            return b""
        if length < 0:
            raise MalformedArtifactError(f"a string of {length} bytes at {self._stream.position}")
        return self._stream.text(length)

    def _name(self) -> bytes:
        """Read a string item."""
        flags = self._stream.integer()
        if flags & 0xFF != _STRING:
            raise MalformedArtifactError(f"a name is no string, at {self._stream.position}")
        if flags >> 9 & 1:
            raise MalformedArtifactError(f"a name has attributes, at {self._stream.position}")
        return self._string()

    def _length(self, least: int) -> int:
        """Read a vector's length; its elements need at least so many bytes each."""
        length = self._stream.integer()
        if length == -1:  # longer than 31 bits
            upper, lower = self._stream.integer(), self._stream.integer()
            length = (upper << 32) + (lower & 0xFFFFFFFF)
        return self._checked(length, least)

    def _plain_length(self) -> int:
        return self._checked(self._stream.integer(), 1)

    def _checked(self, length: int, least: int) -> int:
        stream = self._stream
        if length < 0 or length * least > stream.remaining:
            raise MalformedArtifactError(
                f"{length} elements at {stream.position} do not fit {stream.remaining} bytes"
            )
        return length

    def _refer(self, name: bytes) -> None:
        if len(self._symbols) >= self._budget.limits.kept_values:
            raise ResourceLimitError("too many symbols and environments")
        self._symbols.append(name)

    def _reference(self, flags: int) -> bytes:
        index = flags >> 8 or self._stream.integer()
        if not 1 <= index <= len(self._symbols):
            raise MalformedArtifactError(f"a reference to number {index}, which is not there")
        return self._symbols[index - 1]

    def _push(self, count: int, kind: int = _ITEMS) -> None:
        if count:
            self._stack.append((kind, count))

    def _say(self, rule: Rule, offset: int, message: str, subject: str = "") -> Iterator[Finding]:
        self._listed[rule.title] += 1
        if self._listed[rule.title] <= _LISTED:
            yield rule.at(offset, message, subject=subject)
