"""From bytes to opcodes, as generously as any unpickler, through a window.

The lexer accepts at least what CPython's C unpickler, ``pickle.py`` and torch's readers accept
(see ``literals``): stopping at a byte that a real unpickler likes would hide what follows. It
holds a window of the source only, and skips over long constants without reading them.

A FRAME is a hint to read ahead; unpicklers disagree about frames that do not end on an opcode
boundary, nest, or pass the end of data, and no honest writer produces one (CPython gh-154848).
"""

import struct
from collections.abc import Callable, Iterator

from modelsec.errors import MalformedArtifactError, printable
from modelsec.scanning.limits import Budget
from modelsec.scanning.pickle import literals, runs
from modelsec.scanning.pickle import opcodes as op
from modelsec.scanning.pickle.literals import Odd
from modelsec.scanning.pickle.values import UNKNOWN, Blob, Value
from modelsec.scanning.source import Source

FIRST_WINDOW = 1 << 12
"""Bytes of the first read; each further one doubles, so that little is read of what breaks off."""
WINDOW = 1 << 20
LONGEST_LINE = 1 << 16
"""Longer lines of text are kept as ranges of the source."""
INLINE = 4096
"""Longer strings are kept as ranges of the source."""
_NO_FRAME = 1 << 64
_LONG_MAX = 64
"""Bytes of a LONG1/LONG4 that is converted to an int."""
_STEP = 4096
"""Opcodes between two looks at the budget."""

_PATIENCE = 64
"""Failed attempts to skip a run after which only a few more are made."""

Argument = Value | Odd | tuple[bytes, bytes] | runs.Run


Opcode = tuple[int, int, Argument]
"""Offset, code and argument."""

RUN = -1
"""Code of a run of inert opcodes within a list or dict: from its MARK to its APPENDS/SETITEMS."""


class Lexer:
    """Opcodes from an offset of a source up to and with STOP.

    Attributes:
        position: bytes from the start of the source to the next opcode; may be moved.
        protocol: the argument of the last PROTO; 0 before.
        frame_end: where the current frame ends, or beyond everything.
        source: the bytes.
        overrun: offset of a FRAME that passes the end of the data, or None: the C unpickler raises,
            ``pickle.py`` goes on.
        disagreements: offsets and reasons of frames on which unpicklers disagree.
        watch: called now and then.
        skip: whether runs of inert opcodes may be yielded as one ``RUN``.
    """

    def __init__(
        self,
        source: Source,
        start: int,
        budget: Budget,
        *,
        skip: bool = False,
        patient: bool = True,
    ) -> None:
        self.position = start
        self.skip = skip
        self._patient = patient
        self.frame_end = _NO_FRAME
        self.protocol = 0
        self.overrun: int | None = None
        self.disagreements: list[tuple[int, str]] = []
        self.source = source
        self._size = source.size
        self._budget = budget
        self.watch: Callable[[], None] = _nothing_to_watch
        self._window = b""
        self._base = start
        self._ahead = FIRST_WINDOW
        self._misses = 0

    def __iter__(self) -> Iterator[Opcode]:  # noqa: C901, PLR0912 - calls here would cost a third
        """Yield opcodes; the last one is STOP.

        Raises:
            MalformedArtifactError: the data end within an opcode, or a byte is no opcode.
            ResourceLimitError: more opcodes than the budget has.
        """
        readers, fixed = _READERS, _FIXED
        window, base, last = self._window, self._base, -1
        count = 0
        while True:
            offset = self.position
            relative = offset - base
            if not 0 <= relative < last or window is not self._window:
                # The window has moved, or the longest fixed argument might not fit into it.
                if not 0 <= offset - self._base < len(self._window) - _LONGEST_FIXED:
                    self._refill(offset, _LONGEST_FIXED)
                window, base = self._window, self._base
                last = len(window) - _LONGEST_FIXED
                relative = offset - base
                if relative >= len(window):
                    raise MalformedArtifactError(f"the pickle ends without STOP, at {offset}")
            code = window[relative]
            count += 1
            if count == _STEP:
                self._budget.opcodes(count)
                self.watch()
                count = 0
            simple = fixed[code]
            if simple is not None and relative < last:
                size, unpack = simple
                self.position = end = offset + size
                if end > self.frame_end:
                    self._leave_frame(offset)
                yield offset, code, unpack(window, relative + 1)[0] if size > 1 else None
                continue
            if code == op.MARK and self.skip:
                # Where runs keep failing, an attempt now and then has to do.
                run = self._run(offset) if self._misses < _PATIENCE or not count % 16 else None
                if run is not None:
                    yield offset, RUN, run
                    continue
            reader = readers[code]
            if reader is None:
                raise MalformedArtifactError(f"byte 0x{code:02x} at {offset} is no pickle opcode")
            self.position = offset + 1
            argument = reader(self)
            if self.position > self.frame_end:
                self._leave_frame(offset)
            yield offset, code, argument
            if code == op.STOP:
                self._budget.opcodes(count)
                if self.frame_end not in (_NO_FRAME, self.position):
                    self.disagree(offset, "the pickle ends within a frame")
                return

    @property
    def in_frame(self) -> bool:
        """Whether a frame goes on behind the current opcode."""
        return self.position < self.frame_end != _NO_FRAME

    def disagree(self, offset: int, reason: str) -> None:
        """Note an encoding on which unpicklers disagree."""
        if len(self.disagreements) < 100:  # noqa: PLR2004 - one is enough to refuse a file
            self.disagreements.append((offset, reason))

    def take(self, length: int) -> bytes:
        """Return the next bytes and go past them."""
        relative = self.position - self._base
        if relative + length > len(self._window):
            self._refill(self.position, length)
            relative = self.position - self._base
            if relative + length > len(self._window):
                raise MalformedArtifactError(f"the pickle is cut off, at {self.position}")
        self.position += length
        return self._window[relative : relative + length]

    def line(self) -> bytes | Blob:
        r"""Return the bytes up to ``\n`` and go past it; of a long line only where it is."""
        start = self.position
        searched = start
        while True:
            if searched >= self._base + len(self._window):
                self._refill(searched, 1)
            end = self._window.find(b"\n", searched - self._base)
            found = end >= 0
            stop = self._base + end if found else self._base + len(self._window)
            if found or stop >= self._size:
                break
            searched = stop
            self._budget.check_time()
            if not self._patient and stop - start > LONGEST_LINE:
                raise MalformedArtifactError(f"a line of text is endless, at {start}")
        self.position = stop + 1 if found else self._size
        # At the end of the data unpicklers take what there is for the line, and drop its last
        # byte as if it were the newline.
        length = max(stop - start - (not found), 0)
        if length > LONGEST_LINE:
            return Blob("latin-1", start, length)
        if start >= self._base:
            return self._window[start - self._base : start - self._base + length]
        return self.source.read(start, length)

    def words(self) -> bytes:
        """Return a line that names something, or is a number."""
        line = self.line()
        if isinstance(line, Blob):
            raise MalformedArtifactError(
                f"a name or number of {line.length} bytes, at {line.offset}"
            )
        return line

    def blob(self, length: int, kind: str) -> Value:
        """Return a string or bytes of this length, inline if short, and go past it."""
        if length < 0:
            raise MalformedArtifactError(f"a length is negative, at {self.position}")
        start = self.position
        if start + length > self._size:
            raise MalformedArtifactError(
                f"{length} bytes are declared at {start}, {self._size - start} are there"
            )
        if length > INLINE:
            self.position = start + length
            return Blob(kind, start, length)  # type: ignore[arg-type]  # the table below
        data = self.take(length)
        if kind == "latin-1":
            return data.decode("latin-1")
        if kind == "str":
            try:
                return data.decode("utf-8", "surrogatepass")
            except UnicodeDecodeError:
                raise MalformedArtifactError(f"text at {start} is not UTF-8") from None
        return data if kind == "bytes" else Blob("bytearray", start, length)

    def number(self, length: int) -> Value:
        """Return a little-endian two's complement integer of this many bytes."""
        start = self.position
        if length > _LONG_MAX:
            self.blob(length, "int")
            return Blob("int", start, length) if length <= INLINE else UNKNOWN
        return int.from_bytes(self.take(length), "little", signed=True)

    def enter_frame(self, length: int) -> None:
        """Check a FRAME whose argument was just read."""
        start = self.position
        if start - 9 < self.frame_end not in (_NO_FRAME, start):
            self.disagree(start - 9, "a frame begins within a frame")
        if start + length > self._size:
            self.overrun = start - 9
        self.frame_end = start + length if length else _NO_FRAME

    def _leave_frame(self, offset: int) -> None:
        if offset < self.frame_end:
            self.disagree(offset, "a frame ends within an opcode")
        self.frame_end = _NO_FRAME

    def _run(self, offset: int) -> "runs.Run | None":
        """Return the run that begins with the MARK here, and go past it."""
        relative = offset - self._base
        if (
            len(self._window) - relative < WINDOW // 2
            and self._base + len(self._window) < self._size
        ):
            self._refill(offset, WINDOW)
            relative = offset - self._base
        run = runs.match(self._window, relative, offset, protocol4=self.protocol >= 4)  # noqa: PLR2004
        if run is None or not self._frames_fit(run.body, offset):
            self._misses += 1
            return None
        self._misses = 0
        self.position = offset + len(run.body)
        self._budget.opcodes(len(run.body) // 4)
        return run

    def _frames_fit(self, body: bytes, offset: int) -> bool:
        """Check the frames of a run, and enter its last one; False leaves them to the lexer."""
        frame_end, position, end = self.frame_end, 0, offset + len(body)
        while frame_end < end:
            stop = frame_end - offset
            if not runs.without_frame(body, position, stop):
                return False
            frame_end, position = _NO_FRAME, stop
            if body[stop] == op.FRAME:
                length = int.from_bytes(body[stop + 1 : stop + 9], "little")
                position = stop + 9
                frame_end = offset + position + length
                if not 0 < length <= self._size - offset - position:
                    return False
        protocol4 = self.protocol >= 4  # noqa: PLR2004 - below, no run holds a FRAME
        if (
            protocol4
            and runs.may_have_frame(body, position)
            and not runs.without_frame(body, position, len(body))
        ):
            return False
        self.frame_end = frame_end
        return True

    def _refill(self, offset: int, length: int) -> None:
        """Move the window so that it begins at ``offset``."""
        wanted = min(max(length, self._ahead), max(self._size - offset, 0))
        self._ahead = min(2 * self._ahead, WINDOW)
        self._window = self.source.read(offset, wanted) if wanted else b""
        self._base = offset


def _nothing_to_watch() -> None:
    pass


def _fixed(layout: str) -> Callable[[Lexer], Value]:
    unpacker = struct.Struct(layout)
    size, unpack = unpacker.size, unpacker.unpack

    def read(lexer: Lexer) -> Value:
        value: Value = unpack(lexer.take(size))[0]
        return value

    return read


def _sized(layout: str, kind: str) -> Callable[[Lexer], Value]:
    unpacker = struct.Struct(layout)
    size, unpack = unpacker.size, unpacker.unpack
    return lambda lexer: lexer.blob(unpack(lexer.take(size))[0], kind)


def _long(layout: str) -> Callable[[Lexer], Value]:
    unpacker = struct.Struct(layout)

    def read(lexer: Lexer) -> Value:
        length = unpacker.unpack(lexer.take(unpacker.size))[0]
        if length < 0:
            raise MalformedArtifactError(f"an integer of {length} bytes, at {lexer.position}")
        return lexer.number(length)

    return read


def _protocol(lexer: Lexer) -> Value:
    lexer.protocol = lexer.take(1)[0]
    return lexer.protocol


def _frame(lexer: Lexer) -> Value:
    (length,) = struct.unpack("<Q", lexer.take(8))
    lexer.enter_frame(length)
    return int(length)


def _index(lexer: Lexer) -> Value | Odd:
    line = lexer.words()
    value = literals.memo_index(line)
    if value is None or value < 0:
        raise MalformedArtifactError(
            f"{printable(line, 40)} is no memo index, before {lexer.position}"
        )
    return value if line == b"%d" % value else Odd(value)


def _literal(convert: Callable[[bytes], Value | Odd]) -> Callable[[Lexer], Value | Odd]:
    def read(lexer: Lexer) -> Value | Odd:
        line = lexer.line()
        return line if isinstance(line, Blob) else convert(line)

    return read


def _two_lines(lexer: Lexer) -> tuple[bytes, bytes]:
    return lexer.words(), lexer.words()


def _no_argument(lexer: Lexer) -> Value:  # noqa: ARG001 - same shape as its siblings
    return None


def _table() -> list[Callable[[Lexer], Argument] | None]:
    table: list[Callable[[Lexer], Argument] | None] = [None] * 256
    for name, code in vars(op).items():
        if name.isupper():
            table[code] = _no_argument
    table[op.BININT1] = _fixed("<B")
    table[op.BININT2] = _fixed("<H")
    table[op.BININT] = _fixed("<i")
    table[op.BINFLOAT] = _fixed(">d")
    table[op.BINGET] = table[op.BINPUT] = table[op.EXT1] = _fixed("<B")
    table[op.LONG_BINGET] = table[op.LONG_BINPUT] = _fixed("<I")
    table[op.EXT2] = _fixed("<H")
    table[op.EXT4] = _fixed("<i")
    table[op.PROTO] = _protocol
    table[op.FRAME] = _frame
    table[op.SHORT_BINSTRING] = _sized("<B", "latin-1")
    table[op.BINSTRING] = _sized("<i", "latin-1")
    table[op.SHORT_BINUNICODE] = _sized("<B", "str")
    table[op.BINUNICODE] = _sized("<I", "str")
    table[op.BINUNICODE8] = _sized("<Q", "str")
    table[op.SHORT_BINBYTES] = _sized("<B", "bytes")
    table[op.BINBYTES] = _sized("<I", "bytes")
    table[op.BINBYTES8] = _sized("<Q", "bytes")
    table[op.BYTEARRAY8] = _sized("<Q", "bytearray")
    table[op.LONG1] = _long("<B")
    table[op.LONG4] = _long("<i")
    table[op.INT] = _literal(literals.integer)
    table[op.LONG] = _literal(literals.long)
    table[op.FLOAT] = _literal(literals.floating)
    table[op.STRING] = _literal(literals.string)
    table[op.UNICODE] = _literal(literals.unicode_line)
    table[op.PERSID] = _literal(lambda line: line.decode("latin-1"))
    table[op.GET] = table[op.PUT] = _index
    table[op.GLOBAL] = table[op.INST] = _two_lines
    return table


_LONGEST_FIXED = 9


def _fixed_table() -> list[tuple[int, Callable[..., tuple[Value, ...]]] | None]:
    """Return (bytes with opcode, unpacker) of what needs no more than that: most opcodes."""
    table: list[tuple[int, Callable[..., tuple[Value, ...]]] | None] = [None] * 256
    for code, reader in enumerate(_READERS):
        if reader is _no_argument and code not in (op.MARK, op.STOP):
            table[code] = (1, tuple)
    for layout, codes in {
        "<B": (op.BININT1, op.BINGET, op.BINPUT),
        "<H": (op.BININT2,),
        "<i": (op.BININT,),
        "<I": (op.LONG_BINGET, op.LONG_BINPUT),
        ">d": (op.BINFLOAT,),
    }.items():
        unpacker = struct.Struct(layout)
        for code in codes:
            table[code] = (1 + unpacker.size, unpacker.unpack_from)
    return table


_READERS = _table()
_FIXED = _fixed_table()
