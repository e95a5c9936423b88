"""The pickle machine, on symbols instead of objects.

Stack, marks and memo behave exactly as in CPython's unpicklers; nothing is imported or called.
Each effect (import, call, state, items, persistent id) is handed to a ``Judge`` at the moment it
would happen: a result that is thrown away has happened all the same.
"""

import _compat_pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from modelsec.errors import MalformedArtifactError, ResourceLimitError, printable
from modelsec.scanning.limits import Budget
from modelsec.scanning.pickle import opcodes as op
from modelsec.scanning.pickle import runs
from modelsec.scanning.pickle.effects import Judge, PersistentRule
from modelsec.scanning.pickle.lexer import RUN, Lexer
from modelsec.scanning.pickle.literals import Odd
from modelsec.scanning.pickle.memo import Memo
from modelsec.scanning.pickle.values import (
    INERT,
    UNKNOWN,
    Blob,
    Blurred,
    Call,
    Container,
    Global,
    Inert,
    PersistentId,
    Unknown,
    Value,
    collapse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

LARGE = 256
"""Members of a container beyond which, in large pickles, what they hold is forgotten."""
_OLD_NAMES = 3
"""Protocols below this one map the module names of Python 2."""
_WALKS = 4
"""From this protocol on, a dot in a name is a walk from attribute to attribute."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a pickle is read.

    Attributes:
        tolerant: go on behind what no unpickler accepts; else it decides that this is no pickle.
        polyglot: of a file of another format, where only what acts is of interest.
        persistent: what the container's persistent ids mean.
        earlier: the memo of the pickle before, which some loaders keep.
        local: first names of modules that the container itself defines.
        plain: as loaders read it that know nothing of joblib.
    """

    tolerant: bool = True
    polyglot: bool = False
    persistent: PersistentRule | None = None
    earlier: Memo | None = None
    local: tuple[str, ...] = ()
    plain: bool = False


EVERYTHING: Final = Reading()


class Machine:
    """One pickle, from its first opcode to STOP.

    Attributes:
        result: what the pickle stands for, once ``run`` has returned.
        aliased: whether a container was reached a second time.
        unmeasured: whether skipped runs may alias.
        effects: imports, calls and other effects so far.
        offset: of the current opcode.
        tools: callables that can do anything with the right arguments.
        idle_tools: how often one was pushed without being called: something else may call it.
    """

    def __init__(
        self,
        lexer: Lexer,
        judge: Judge,
        budget: Budget,
        reading: Reading = EVERYTHING,
    ) -> None:
        self.result: Value = UNKNOWN
        self.aliased = False
        self.unmeasured = False
        self.effects = 0
        self.offset = lexer.position
        self.lexer = lexer
        self.memo = Memo(lexer.source)
        self.after_build: Callable[[Machine, Call], None] | None = None
        self.tools: Collection[Global] = ()
        self.idle_tools = 0
        self.on_bytes: Callable[[int, Value], None] | None = None
        self._judge = judge
        self._budget = budget
        self._reading = reading
        self._stack: list[Value] = []
        self._marks: list[list[Value]] = []
        self._kept = 0
        self._below = 0
        self._dropped: list[Value] = []
        self._names: dict[tuple[str, str], Global] = {}

    def run(self) -> None:
        """Run to STOP.

        Raises:
            MalformedArtifactError: every unpickler raises here, or earlier.
            ResourceLimitError: the budget is used up.
            Blurred: a skipped value matters; run again without skipping.
        """
        handlers = _HANDLERS
        self.lexer.watch = self._check_size
        try:
            for offset, code, argument in self.lexer:
                self.offset = offset
                handlers[code](self, argument)
        except IndexError:
            raise MalformedArtifactError(
                f"the pickle's stack has too few values, at {self.offset}"
            ) from None

    def _effect(self) -> None:
        """Count an effect; skipped runs may have prepared it."""
        self.effects += 1
        if self.memo.pending:
            self.memo.settle()

    @property
    def roots(self) -> Value:
        """The result, together with what was thrown away: hashing it has cost time, too."""
        return Container("list", [self.result, *self._dropped]) if self._dropped else self.result

    def _check_size(self) -> None:
        """Raise if more is alive than the limits permit."""
        alive = self._kept + self._below + len(self._stack) + len(self._marks)
        if alive > 2 * self._budget.limits.kept_values:
            raise ResourceLimitError(f"more than {self._budget.limits.kept_values} values to keep")

    # --- constants ---------------------------------------------------------------------------

    def _push(self, argument: Value | Odd) -> None:
        if type(argument) is Odd:
            if argument.hopeless and not self._reading.tolerant:
                raise MalformedArtifactError(f"no literal, at {self.offset}")
            self._judge.odd(self.offset, "the literal is not in canonical form")
            self._stack.append(argument.value)
        else:
            self._stack.append(cast("Value", argument))

    def _push_bytes(self, argument: Value) -> None:
        if self.on_bytes is not None:
            self.on_bytes(self.offset, argument)
        self._stack.append(argument)

    def _push_none(self, _: Value) -> None:
        self._stack.append(None)

    def _push_true(self, _: Value) -> None:
        self._stack.append(True)

    def _push_false(self, _: Value) -> None:
        self._stack.append(False)

    def _push_list(self, _: Value) -> None:
        self._stack.append(Container("list", []))

    def _push_dict(self, _: Value) -> None:
        self._stack.append(Container("dict", []))

    def _push_set(self, _: Value) -> None:
        self._stack.append(Container("set", []))

    def _push_tuple(self, _: Value) -> None:
        self._stack.append(Container("tuple", []))

    # --- stack -------------------------------------------------------------------------------

    def _mark(self, _: Value) -> None:
        self._below += len(self._stack)
        self._marks.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Value]:
        items = self._stack
        self._stack = self._marks.pop()
        self._below -= len(self._stack)
        return items

    def _pop(self, _: Value) -> None:
        if self._stack:
            self._drop([self._stack.pop()])
        else:
            self._pop_mark()

    def _discard_to_mark(self, _: Value) -> None:
        self._drop(self._pop_mark())

    def _drop(self, items: list[Value]) -> None:
        """Keep what is thrown away if it can hold anything: it is measured with the result."""
        self._dropped.extend(item for item in items if type(item) in (Container, Call))
        self.idle_tools -= sum(type(item) is Global and item in self.tools for item in items)

    def _dup(self, _: Value) -> None:
        value = self._stack[-1]
        self._again(value)
        self._stack.append(value)

    def _again(self, value: Value) -> None:
        """Take note that a value is pushed once more."""
        kind = type(value)
        if kind is Container or kind is Call:
            self.aliased = True
        elif kind is Global and value in self.tools:
            self.idle_tools += 1

    # --- containers --------------------------------------------------------------------------

    def _tuple(self, _: Value) -> None:
        items = self._pop_mark()
        self._stack.append(Container("tuple", self._keep(items)))

    def _list(self, _: Value) -> None:
        items = self._pop_mark()
        self._stack.append(Container("list", self._keep(items)))

    def _frozenset(self, _: Value) -> None:
        items = self._pop_mark()
        self._stack.append(Container("frozenset", self._keep(items)))

    def _dict(self, _: Value) -> None:
        items = self._pop_mark()
        self._check_pairs(items)
        self._stack.append(Container("dict", self._keep(items)))

    def _tuple1(self, _: Value) -> None:
        self._kept += 1
        self._stack[-1] = Container("tuple", [self._stack[-1]])

    def _tuple2(self, _: Value) -> None:
        self._kept += 1
        second = self._stack.pop()
        self._stack[-1] = Container("tuple", [self._stack[-1], second])

    def _tuple3(self, _: Value) -> None:
        self._kept += 1
        third, second = self._stack.pop(), self._stack.pop()
        self._stack[-1] = Container("tuple", [self._stack[-1], second, third])

    def _append(self, _: Value) -> None:
        value = self._stack.pop()
        self._fill([value], op.APPEND, "list")

    def _appends(self, _: Value) -> None:
        items = self._pop_mark()
        self._fill(items, op.APPENDS, "list")

    def _additems(self, _: Value) -> None:
        items = self._pop_mark()
        self._fill(items, op.ADDITEMS, "set")

    def _setitem(self, _: Value) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._fill([key, value], op.SETITEM, "dict")

    def _setitems(self, _: Value) -> None:
        items = self._pop_mark()
        self._check_pairs(items)
        self._fill(items, op.SETITEMS, "dict")

    def _check_pairs(self, items: list[Value]) -> None:
        if len(items) % 2:
            raise MalformedArtifactError(f"a key without a value, at {self.offset}")

    def _fill(self, items: list[Value], code: int, kind: str) -> None:
        target = self._stack[-1]
        if type(target) is Container and target.kind == kind and not target.given:
            if self._kept < self._budget.limits.kept_values:
                target.items.extend(items)
                self._kept += len(items)
            else:
                target.hidden += len(items)
            if self.lexer.skip and len(target.items) > LARGE:
                self._collapse(target, items)
            return
        if type(target) is Inert:
            raise Blurred
        self._effect()
        self._judge.filled(self.offset, target, items, code)
        if type(target) is Call:
            target.items.extend(items)

    def _collapse(self, target: Container, items: list[Value]) -> None:
        """Forget what the last members of a large container hold, and constants among them."""
        kept = [item for item in items if isinstance(item, Container | Call) and not collapse(item)]
        if target.kind == "list" and not kept:
            del target.items[-len(items) :]
            target.hidden += len(items)

    def _keep(self, items: list[Value]) -> list[Value]:
        self._kept += len(items)
        if self._kept > self._budget.limits.kept_values:
            raise ResourceLimitError(f"more than {self._budget.limits.kept_values} values to keep")
        return items

    def _run(self, run: runs.Run) -> None:
        """Go past a run of inert opcodes that ends by filling the value on top."""
        target = self._stack[-1]
        closes = run.body[-1]
        kind = "list" if closes == op.APPENDS else "dict"
        if type(target) is Inert:
            raise Blurred
        self.memo.skip(run, self.offset)
        self.unmeasured = self.unmeasured or run.gets
        if type(target) is Container and target.kind == kind and not target.given:
            target.hidden += 1
        else:
            self._effect()
            self._judge.filled(self.offset, target, [INERT], closes)
            if type(target) is Call:
                target.hidden += 1

    # --- memo --------------------------------------------------------------------------------

    def _put(self, argument: Value | Odd) -> None:
        index = argument if type(argument) is int else self._index(argument)
        memo = self.memo
        if index > memo.dense:
            memo.widen(self._budget.limits.memo)
            if memo.is_sparse(index, self.offset):
                self._judge.memo_bomb(self.offset, index)
        if memo.counting:
            raise Blurred  # MEMOIZE in skipped runs, and PUT: count exactly
        memo.put(index, self._stack[-1])

    def _memoize(self, _: Value) -> None:
        memo = self.memo
        if memo.counting or memo.blurred:
            memo.append(self._stack[-1])
            return
        if memo.elsewhere:
            memo.put(len(memo), self._stack[-1])
            return
        memo.first.append(self._stack[-1])
        if len(memo.first) > memo.dense:
            memo.widen(self._budget.limits.memo)

    def _get(self, argument: Value | Odd) -> None:
        index = argument if type(argument) is int else self._index(argument)
        first = self.memo.first
        try:
            known = 0 <= index < len(first) and not self.memo.pending
            value = first[index] if known else self.memo.get(index)
        except KeyError:
            value = self._carried(index)
        self._again(value)
        self._stack.append(value)

    def _carried(self, index: int) -> Value:
        """Return an entry of the pickle before: some loaders keep the memo, others do not."""
        try:
            value = UNKNOWN if self._reading.earlier is None else self._reading.earlier.get(index)
        except KeyError:
            value = UNKNOWN
        if value is UNKNOWN:
            raise MalformedArtifactError(f"memo entry {index} was never set, at {self.offset}")
        self._judge.memo_carried(self.offset, index)
        return value

    def _index(self, argument: Value | Odd) -> int:
        if type(argument) is Odd:
            self._judge.odd(self.offset, "the memo index is not in canonical form")
            argument = argument.value
        if not isinstance(argument, int):
            raise MalformedArtifactError(f"no memo index, at {self.offset}")
        return argument

    # --- effects -----------------------------------------------------------------------------

    def _global(self, lines: tuple[bytes, bytes]) -> None:
        self._stack.append(self._import(*self._texts(lines)))

    def _texts(self, lines: tuple[bytes, bytes]) -> tuple[str, str]:
        try:
            return lines[0].decode("utf-8"), lines[1].decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedArtifactError(
                f"{printable(b' '.join(lines), 60)} is not a name in UTF-8, at {self.offset}"
            ) from None

    def _stack_global(self, _: Value) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if type(name) is Inert or type(module) is Inert:
            raise Blurred
        if not isinstance(name, str) or not isinstance(module, str):
            if isinstance(name, str | Blob) and isinstance(module, str | Blob):
                self._judge.odd(self.offset, "a name of thousands of characters")
                name, module = "?", "?"
            elif any(type(part) in (Call, PersistentId, Unknown) for part in (name, module)):
                self._judge.odd(self.offset, "a name that is computed")
                name, module = "?", "?"
            else:
                raise MalformedArtifactError(f"an import without two names, at {self.offset}")
        if not (name.isascii() and module.isascii()):
            self._judge.odd(self.offset, "a name that is not ASCII")
        self._stack.append(self._import(module, name))

    def _import(self, module: str, name: str) -> Global:
        if self.lexer.protocol < _OLD_NAMES:
            module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
            module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        if "\0" in module:
            raise MalformedArtifactError(f"no module has a NUL in its name, at {self.offset}")
        self._effect()
        target = self._names.get((module, name))
        if target is None:
            target = self._names[module, name] = Global(module, name)
        self._judge.imported(self.offset, target, walks=self.lexer.protocol >= _WALKS)
        if target in self.tools:
            self.idle_tools += 1
        return target

    def _reduce(self, _: Value) -> None:
        arguments = self._stack.pop()
        called = self._call(self._stack[-1], self._arguments(arguments))
        self._stack[-1] = called
        if (
            self.lexer.skip
            and type(arguments) is Container
            and not (type(called) is Call and called.args)
        ):
            collapse(arguments)  # the result does not hold them

    def _newobj(self, _: Value) -> None:
        arguments = self._stack.pop()
        self._stack[-1] = self._call(self._stack[-1], self._arguments(arguments))

    def _newobj_ex(self, _: Value) -> None:
        keywords, arguments = self._stack.pop(), self._stack.pop()
        named = keywords if type(keywords) is Container else Container("dict", [keywords])
        self._stack[-1] = self._call(self._stack[-1], self._arguments(arguments), named)

    def _obj(self, _: Value) -> None:
        items = self._pop_mark()
        self._stack.append(self._call(items[0], items[1:]))

    def _inst(self, lines: tuple[bytes, bytes]) -> None:
        target = self._import(*self._texts(lines))  # pickle.py imports before it looks for the mark
        self._stack.append(self._call(target, self._pop_mark()))

    def _arguments(self, value: Value) -> list[Value]:
        if type(value) is Container:
            if value.hidden:
                raise Blurred
            if value.kind != "tuple":
                self._judge.odd(self.offset, "arguments that are no tuple")
            return list(value.items)
        if type(value) is Inert:
            raise Blurred
        self._judge.odd(self.offset, "arguments that are no tuple")
        return [value, UNKNOWN]

    def _call(
        self, callee: Value, arguments: list[Value], keywords: Container | None = None
    ) -> Value:
        if type(callee) is Inert:
            raise Blurred
        self._effect()
        if type(callee) is Global and callee in self.tools:
            self.idle_tools -= 1
        call = Call(callee, arguments, callee if type(callee) is Global else None, keywords)
        return self._judge.called(self.offset, call)

    def _build(self, _: Value) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if type(target) is Inert or _blurs(state):
            raise Blurred
        self._effect()
        self._judge.built(self.offset, target, state)
        if type(target) is Call:
            target.states.append(state)
            if self.after_build is not None:
                self.after_build(self, target)

    def _persid(self, argument: Value) -> None:
        self._persistent(PersistentId(argument))

    def _binpersid(self, _: Value) -> None:
        self._persistent(PersistentId(self._stack.pop()))

    def _persistent(self, identity: PersistentId) -> None:
        if self._reading.polyglot:
            raise MalformedArtifactError(f"a persistent id without a loader, at {self.offset}")
        self._effect()
        self._stack.append(self._judge.persistent(self.offset, identity))

    def _extension(self, argument: Value) -> None:
        self._effect()
        self._judge.extension(self.offset, argument)
        self._stack.append(UNKNOWN)

    def _next_buffer(self, _: Value) -> None:
        self._judge.out_of_band(self.offset)
        self._stack.append(UNKNOWN)

    def _stop(self, _: Value) -> None:
        self.result = self._stack.pop()

    def _nothing(self, _: Value) -> None:
        """PROTO and FRAME act on the lexer, READONLY_BUFFER on nothing that is told apart."""


def _blurs(state: Value) -> bool:
    """Return whether attributes that a state sets were skipped."""
    if type(state) is not Container:
        return type(state) is Inert
    if state.kind != "tuple":
        return state.hidden > 0
    return state.hidden > 0 or any(
        type(item) is Container and item.kind == "dict" and item.hidden for item in state.items
    )


def _handlers() -> "list[Callable[[Machine, object], None]]":
    table: list[Callable[..., None]] = [Machine._nothing] * 257
    table[RUN] = Machine._run
    for code in (
        op.INT, op.LONG, op.FLOAT, op.STRING, op.UNICODE, op.BININT, op.BININT1, op.BININT2,
        op.BINFLOAT, op.LONG1, op.LONG4, op.BINUNICODE, op.SHORT_BINUNICODE, op.BINUNICODE8,
    ):  # fmt: skip
        table[code] = Machine._push
    for names, method in _METHODS.items():
        for name in names.split():
            table[getattr(op, name)] = method
    return table


_METHODS: "dict[str, Callable[..., None]]" = {
    # ruff: noqa: SLF001 - the table of the class's own methods
    "MARK": Machine._mark,
    "STOP": Machine._stop,
    "POP": Machine._pop,
    "POP_MARK": Machine._discard_to_mark,
    "DUP": Machine._dup,
    "BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8": Machine._push_bytes,
    "NONE": Machine._push_none,
    "NEWTRUE": Machine._push_true,
    "NEWFALSE": Machine._push_false,
    "EMPTY_LIST": Machine._push_list,
    "EMPTY_DICT": Machine._push_dict,
    "EMPTY_SET": Machine._push_set,
    "EMPTY_TUPLE": Machine._push_tuple,
    "TUPLE": Machine._tuple,
    "TUPLE1": Machine._tuple1,
    "TUPLE2": Machine._tuple2,
    "TUPLE3": Machine._tuple3,
    "LIST": Machine._list,
    "DICT": Machine._dict,
    "FROZENSET": Machine._frozenset,
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "ADDITEMS": Machine._additems,
    "SETITEM": Machine._setitem,
    "SETITEMS": Machine._setitems,
    "GET BINGET LONG_BINGET": Machine._get,
    "PUT BINPUT LONG_BINPUT": Machine._put,
    "MEMOIZE": Machine._memoize,
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._newobj,
    "NEWOBJ_EX": Machine._newobj_ex,
    "OBJ": Machine._obj,
    "INST": Machine._inst,
    "BUILD": Machine._build,
    "PERSID": Machine._persid,
    "BINPERSID": Machine._binpersid,
    "EXT1 EXT2 EXT4": Machine._extension,
    "NEXT_BUFFER": Machine._next_buffer,
}
_HANDLERS = _handlers()
