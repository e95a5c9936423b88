"""Pickle files: every stream in them, and what each may do.

A pickle is a program for a small stack machine that can import and call anything. The reader runs
each stream on a symbolic machine (``machine``), asks the policy about every effect (``judge``),
and goes on behind STOP: several pickles in a row are several programs. What stands before a
broken byte has already run in a real loader: it is judged, then the break is reported.

Covered loaders: ``pickle.load`` (C and Python), ``joblib.load``, ``pandas.read_pickle``,
``numpy.load(allow_pickle=True)``, ``torch.load`` of old files.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from modelsec.errors import ArtifactError, ResourceLimitError
from modelsec.scanning.finding import Finding, Verdict
from modelsec.scanning.formats import torch_legacy
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Span
from modelsec.scanning.pickle import graph, joblib, rules
from modelsec.scanning.pickle import opcodes as op
from modelsec.scanning.pickle.capabilities import capability
from modelsec.scanning.pickle.effects import PersistentRule
from modelsec.scanning.pickle.judge import PolicyJudge
from modelsec.scanning.pickle.lexer import Lexer
from modelsec.scanning.pickle.machine import EVERYTHING, Machine, Reading
from modelsec.scanning.pickle.values import Blob, Blurred, Value
from modelsec.scanning.source import BytesSource, Slice, Source

SKIPPING_SIZE = 1 << 18
"""Pickles beyond this size may skip runs of constants; smaller ones are measured exactly."""

_LOOK, _BLANK = 64, 32
_CALLED_TEXT = re.compile(
    r"\.(?:txt|md|rst|csv|tsv|ya?ml|toml|cfg|ini|json|jsonl|jinja2?|j2|html?|xml|svg|log|py|sh|bib"
    r"|gitattributes|gitignore|vocab|tokens|labels|merges)\Z"
    r"|^(?:LICEN[CS]E|NOTICE|README|CITATION|COPYING|AUTHORS|CHANGELOG|MLmodel|METADATA|RECORD)\Z",
    re.IGNORECASE,
)
_POLYGLOT = Reading(tolerant=False, polyglot=True)
_FIRST = frozenset(
    value for name, value in vars(op).items() if name.isupper() and name not in ("STOP", "POP")
)


def read(part: Part) -> Iterator[Observation]:
    """Read a file that begins with a protocol 2+ header."""
    yield from _streams(part, tolerant=True)


def read_without_magic(part: Part) -> Iterator[Observation]:
    """Read protocols 0 and 1, which have no magic: a trial run decides."""
    if part.source.read(0, 1)[0] not in _FIRST:
        raise NotThisFormat
    stream = Stream(part, 0, Reading(tolerant=False))
    stream.run()
    if stream.broken is not None and (not stream.judge.imports or _is_prose(stream)):
        raise _not_a_pickle(stream.broken)
    if not stream.machine.effects and _is_text(part, stream.end):
        raise NotThisFormat  # "Git v2.11." is a number to an unpickler, and then a full stop
    yield from _streams(part, tolerant=stream.broken is None)


def read_effects_only(part: Part) -> Iterator[Observation]:
    """Read a file of another format, if an unpickler would act on it before it breaks off."""
    if part.source.read(0, 1)[0] not in _FIRST:
        raise NotThisFormat
    stream = Stream(part, 0, _POLYGLOT)
    stream.run()
    idle = stream.broken is not None and not stream.acted
    if not stream.judge.imports or idle or _is_prose(stream):
        raise _not_a_pickle(stream.broken)
    yield from stream.judge.observed.values()
    yield Span(0, stream.end)


def _is_prose(stream: "Stream") -> bool:
    """Return whether text only begins like an import, as every list of words in c or i does.

    It is called text, it breaks off, no name is of a known capability, and either nothing but
    imports happened or the first name, before which nothing can have happened, is none that a
    module could have. Under any other name the same bytes are a pickle that imports something
    unknown: no byte tells the two apart.
    """
    judge = stream.judge
    if stream.broken is None or not _CALLED_TEXT.search(stream.part.name):
        return False
    if any(
        isinstance(item, Finding) and item.verdict is Verdict.DANGEROUS
        for item in judge.observed.values()
    ):
        return False
    words = (piece for name in next(iter(judge.imports), ()) for piece in name.split("."))
    return stream.machine.effects <= len(judge.imports) or not all(map(str.isidentifier, words))


def _is_text(part: Part, start: int) -> bool:
    """Return whether what follows a pickle without effects is text, as far as a look tells."""
    rest = part.source.read(start, min(_LOOK, part.source.size - start))
    return bool(rest) and all(byte >= _BLANK or byte in b"\t\n\r\f" for byte in rest)


def _not_a_pickle(broken: ArtifactError | None) -> Exception:
    """Return what to raise: nobody knows what comes behind a limit that stopped the trial."""
    return broken if isinstance(broken, ResourceLimitError) else NotThisFormat()


def read_one(
    part: Part,
    start: int,
    persistent: PersistentRule | None,
    *,
    local: tuple[str, ...] = (),
    skip: bool = False,
) -> "Stream":
    """Return the stream at an offset, after its run; for containers that know where one is.

    Args:
        part: that holds it.
        start: bytes from the start of the part.
        persistent: what the container's persistent ids mean.
        local: first names of modules that the container itself defines.
        skip: large runs of constants may be skipped; the result then lacks them.
    """
    stream = Stream(part, start, Reading(persistent=persistent, local=local), skip=skip)
    stream.run()
    return stream


def acts(part: Part, source: Source) -> bool:
    """Return whether bytes are a pickle that imports what no policy lists.

    Weights that begin with the byte of a header are common, and random opcodes name random things:
    the pickle has to be whole, or to name something that is known to do harm.
    """
    stream = Stream(replace(part, source=source), 0, _POLYGLOT)
    stream.machine.on_bytes = None  # one level: deeper ones would cost the square
    stream.run()
    worst = max(
        (item.verdict.rank for item in stream.judge.observed.values() if isinstance(item, Finding)),
        default=0,
    )
    if not stream.judge.imports or worst < Verdict.UNKNOWN.rank:
        return False
    named = (names for names in stream.judge.imports if " " not in names[1])
    return stream.broken is None or any(capability(*names) for names in named)


def _streams(part: Part, *, tolerant: bool) -> Iterator[Observation]:
    """Read pickle after pickle, to the end or to something else."""
    position = 0
    count = 0
    earlier = None
    while position < part.source.size:
        if position and not _may_follow(part, position):
            break
        stream = Stream(part, position, Reading(tolerant=tolerant, earlier=earlier))
        stream.run()
        if position and stream.broken is not None and not stream.judge.imports:
            break  # not a pickle after all: the bytes stay unclaimed, and are scanned by content
        count += 1
        if count == 1 and torch_legacy.is_magic(stream.machine.result) and stream.broken is None:
            yield from torch_legacy.read(part, stream, read_one)
            return
        yield from stream.observations()
        if stream.broken is not None:
            raise stream.broken
        position, earlier = stream.end, stream.machine.memo
    if count > 1:
        yield rules.STACKED.at(None, f"{count} pickles in a row")
    yield Identified("pickle")


def _may_follow(part: Part, position: int) -> bool:
    return part.source.read(position, 1)[0] in _FIRST


class Stream:
    """One pickle in a part.

    Attributes:
        start, end: of its bytes; ``end`` is where it broke, if it did.
        judge: what was observed.
        machine: after the run.
        broken: why it could not be read to its STOP, or None.
    """

    def __init__(
        self,
        part: Part,
        start: int,
        reading: Reading = EVERYTHING,
        *,
        skip: bool = True,
    ) -> None:
        self.part = part
        self.start = self.end = start
        self.broken: ArtifactError | None = None
        self._reading = reading
        self._prepare(skip=skip and part.source.size - start > SKIPPING_SIZE)

    def _prepare(self, *, skip: bool) -> None:
        part = self.part
        reading = self._reading
        self.judge = PolicyJudge(part, reading.persistent, reading.local)
        self.lexer = Lexer(
            part.source, self.start, part.budget, skip=skip, patient=reading.tolerant
        )
        self.machine = Machine(self.lexer, self.judge, part.budget, reading)
        self.machine.tools = self.judge.tools
        self.machine.on_bytes = self._look_into
        if not reading.plain:
            arrays = joblib.Arrays(part, self.judge, self._run_nested)
            self.machine.after_build = arrays.after_build

    def run(self) -> None:
        """Run to STOP or to the break."""
        try:
            self.machine.run()
        except Blurred:
            self._prepare(skip=False)
            self._run_exactly()
        except ArtifactError as error:
            # Without its frames: they hold this stream, and with it the bytes that were scanned.
            self.broken = error.with_traceback(None)
        self.end = min(self.lexer.position, self.part.source.size)

    def _look_into(self, offset: int, value: Value) -> None:
        """Tell of bytes that are a pickle themselves, if it would do what no policy permits."""
        match value:
            case bytes() if value[:1] == b"\x80" and value[-1:] == b".":
                source: Source = BytesSource(value)
            case str() if value[:1] == "\x80" and value[-1:] == ".":
                source = BytesSource(value.encode("latin-1"))
            case Blob(kind="bytes" | "bytearray" | "latin-1"):
                source = Slice(self.part.source, value.offset, value.length)
                if source.far or source.read(0, 1) != b"\x80":
                    return
            case _:
                return
        if acts(self.part, source):
            message = "a constant is a pickle that imports what no policy lists"
            self.judge.note(rules.NESTED.at(offset, message))

    def _run_exactly(self) -> None:
        try:
            self.machine.run()
        except Blurred:
            self.broken = ResourceLimitError("more values than limits.kept_values")
        except ArtifactError as error:
            self.broken = error.with_traceback(None)

    def _run_nested(self, start: int) -> int:
        """Run the pickle of an array of objects, with a memo of its own."""
        nested = Stream(self.part, start, Reading(tolerant=self._reading.tolerant))
        nested.machine.after_build = None
        nested.run()
        for observed in nested.observations():
            self.judge.note(observed)
        if nested.broken is not None:
            raise nested.broken
        return nested.end

    @property
    def acted(self) -> bool:
        """Whether anything was done that no policy permits."""
        return any(
            isinstance(observed, Finding) and observed.verdict is not Verdict.DATA_ONLY
            for observed in self.judge.observed.values()
        )

    def observations(self) -> Iterator[Observation]:
        """Yield what was observed, with what only the whole stream tells."""
        if self.lexer.overrun is not None:
            self.judge.odd(self.lexer.overrun, "a frame passes the end of the data")
        yield from self.judge.observed.values()
        if self.machine.idle_tools > 0:
            named = ", ".join(sorted(str(tool) for tool in self.judge.tools))
            yield rules.HANDED_OVER.at(self.start, f"hands over, uncalled, one of: {named}")
        yield from self._read_as_opcodes()
        for offset, reason in self.lexer.disagreements:
            yield rules.FRAME.at(offset, reason)
        if self.judge.odd_at is not None and self.judge.imports:
            message = "odd encodings in a pickle that imports"
            yield rules.ODD_WITH_IMPORT.at(self.judge.odd_at, message)
        if self.lexer.protocol > 5:  # noqa: PLR2004 - the highest there is
            yield rules.PROTOCOL.at(self.start, f"protocol {self.lexer.protocol}")
        if self.broken is not None:
            if self.judge.imports and self.acted:
                message = f"imports come before the break: {self.broken}"
                yield rules.BROKEN_AFTER_EFFECT.at(self.end, message)
        else:
            yield from self._size()
        yield Span(self.start, self.end)

    def _read_as_opcodes(self) -> Iterator[Observation]:
        """Tell if a loader that knows nothing of joblib acts upon the bytes of an array."""
        if not self.judge.array_from or self._reading.plain:
            return
        other = Stream(self.part, self.start, replace(self._reading, plain=True))
        other.run()
        where, raw = self.judge.array_from, self.judge.raw_from or self.part.source.size
        if any(_acts_from(where, raw, observed) for observed in other.judge.observed.values()):
            yield joblib.READ_AS_OPCODES.at(where, "pickle.load would run the bytes of an array")

    def _size(self) -> Iterator[Observation]:
        if self.machine.aliased:
            nodes, depth = graph.measure(self.machine.roots, self.part.budget)
        else:
            nodes, depth = 0, graph.depth(self.machine.roots, self.part.budget)
        if nodes > graph.EXPANDED:
            yield rules.EXPANSION.at(self.start, "shared containers expand to over 2**40 values")
        if depth > graph.DEEPEST:
            yield rules.DEEP.at(self.start, f"containers are nested {depth} deep")
        if self.machine.unmeasured:
            yield rules.ALIASES_UNMEASURED.at(self.start, "runs of constants were skipped")


def _acts_from(where: int, raw: int, observed: object) -> bool:
    """Return whether something observed is an effect among the bytes of arrays.

    Args:
        where: the first array begins.
        raw: the first one begins that is not a pickle itself, the calls of which are harmless.
        observed: anything that a judge has observed.
    """
    if not isinstance(observed, Finding):
        return isinstance(observed, Part)
    offset = observed.offset or 0
    if observed.operation == "import":
        # With the memo of the outer pickle, the names in honest nested ones are mixed up: what no
        # policy lists says nothing there, what can do harm does.
        return offset >= (where if observed.verdict is Verdict.DANGEROUS else raw)
    return observed.rule is rules.ARGUMENTS and offset >= raw
