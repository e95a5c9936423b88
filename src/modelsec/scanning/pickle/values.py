"""What the symbolic machine has on its stack in place of objects.

Small constants stand for themselves: ``None``, ``bool``, ``int``, ``float``, ``str`` and ``bytes``.
"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Global:
    """What ``import module; module.name`` would give; a dot in the name is a walk.

    Attributes:
        module, name: after the map of old names, if the loader would apply it.
    """

    module: str
    name: str

    def __str__(self) -> str:
        """Return ``module:name``."""
        return f"{self.module}:{self.name}"


@dataclass(frozen=True, slots=True)
class Blob:
    """A long constant that stays where it is.

    Attributes:
        kind: of the object it becomes.
        offset, length: bytes within the part.
    """

    kind: Literal["str", "bytes", "bytearray", "latin-1", "int"]
    offset: int
    length: int


class Container:
    """A builtin container with identity.

    Attributes:
        kind: of the object it becomes.
        items: members in order; keys and values in turn for a dict.
        hidden: members that were not kept (runs of numbers, or beyond the limits).
        given: it was judged as an argument: filling it afterwards would evade the rule.
    """

    __slots__ = ("given", "hidden", "items", "kind")

    def __init__(self, kind: str, items: "list[Value]", hidden: int = 0) -> None:
        self.kind = kind
        self.items = items
        self.hidden = hidden
        self.given = False

    def pairs(self) -> "list[tuple[Value, Value]]":
        """Return the kept (key, value) pairs of a dict."""
        return list(zip(self.items[::2], self.items[1::2], strict=True))

    def get(self, key: str) -> "Value | Missing":
        """Return the last value under a text key of a dict, or ``MISSING``."""
        found: Value | Missing = MISSING
        for name, value in self.pairs():
            if isinstance(name, str) and name == key:
                found = value
        return found

    def __repr__(self) -> str:
        """Return a short form: contents may be cyclic."""
        return f"Container({self.kind!r}, {len(self.items)} items)"


class Call:
    """The result of a call.

    Attributes:
        callee: what was called.
        args: positional arguments.
        kwargs: keyword arguments (NEWOBJ_EX), a dict container, or None.
        produces: the global that policies know the result by: the class, or the function.
        states: arguments of BUILD, in order.
        items: what SETITEM(S), APPEND(S) and ADDITEMS put in, in order.
        hidden: items that were not kept.
        given: as of a container.
        known: what a rule has worked out about it before, with the number of states then.
    """

    __slots__ = (
        "args",
        "callee",
        "given",
        "hidden",
        "items",
        "known",
        "kwargs",
        "produces",
        "states",
    )

    def __init__(
        self,
        callee: "Value",
        args: "list[Value]",
        produces: Global | None,
        kwargs: "Container | None" = None,
    ) -> None:
        self.callee = callee
        self.args = args
        self.kwargs = kwargs
        self.produces = produces
        self.states: list[Value] = []
        self.items: list[Value] = []
        self.hidden = 0
        self.given = False
        self.known: tuple[int, object] | None = None

    def __repr__(self) -> str:
        """Return a short form: arguments may be cyclic."""
        return f"Call({self.callee!r}, {len(self.args)} arguments)"


@dataclass(frozen=True, slots=True)
class PersistentId:
    """What the loader's ``persistent_load`` would return for this id."""

    id: "Value"


class Blurred(Exception):  # noqa: N818 - a signal: run again without skipping
    """A skipped value turned out to matter."""


class Unknown:
    """A value that cannot be told; whatever depends on it is not permitted."""

    __slots__ = ()


class Inert:
    """A constant or builtin container that was skipped, not kept."""

    __slots__ = ()


class Missing:
    """No such key."""

    __slots__ = ()


UNKNOWN: Final = Unknown()
INERT: Final = Inert()
MISSING: Final = Missing()

_NOTHING: "Final[list[Value]]" = []
"""Of every collapsed tuple; nothing ever fills a tuple."""


def collapse(value: Container | Call, depth: int = 3) -> bool:
    """Forget what a container or object holds, if it is constants up to a small depth.

    A row of a large table costs ten times its bytes, and nothing will ask about it; whoever does
    is told that members are hidden. Returns False if something in it has to be kept.
    """
    if type(value) is Call:
        if value.kwargs is not None or value.states or not value.callee:
            return False
        members = [*value.args, *value.items]
    else:
        members = value.items
    for member in members:
        kind = type(member)
        if kind is Container or kind is Call:
            if depth == 0 or not collapse(member, depth - 1):  # type: ignore[arg-type]  # just asked
                return False
        elif kind is PersistentId or kind is Global:
            return False
    if members:
        value.hidden += len(members)
        value.items = _NOTHING if type(value) is Container and value.kind == "tuple" else []
        if type(value) is Call:
            value.args = []
    return True


Value = (
    None
    | bool
    | int
    | float
    | str
    | bytes
    | Blob
    | Global
    | Container
    | Call
    | PersistentId
    | Unknown
    | Inert
)
