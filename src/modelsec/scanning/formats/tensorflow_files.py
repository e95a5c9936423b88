"""Where a TensorFlow graph gets the name of a file from.

Operators that save and restore a checkpoint, or load a vocabulary, are in every honest model; what
tells them from an attack is where the file's name comes from. Honest names come from the saver's
placeholder or from the model's assets, through a few string operators, variables and calls of
functions. A constant is a path that the author of the graph chose.

The trace goes backwards from the operator's input, through functions to their callers, and
collects every origin. It is bounded; what it does not understand is an unknown origin.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from modelsec.errors import ResourceLimitError
from modelsec.scanning.limits import Budget

NODES = 200_000
"""Nodes through which a name could pass that are remembered, for a whole model."""

CALLS = frozenset({b"PartitionedCall", b"StatefulPartitionedCall"})
"""Operators that hand their inputs to a function one by one."""

HANDED_ON = frozenset(
    {b"If", b"StatelessIf", b"While", b"StatelessWhile", b"Case", b"StatelessCase", b"For"}
)
_PASSED = {
    b"Identity": slice(1),
    b"ShardedFilename": slice(1),
    b"ExpandDims": slice(1),
    b"Reshape": slice(1),
    b"Select": slice(1, 3),
    b"SelectV2": slice(1, 3),
    b"Pack": slice(None),
}
"""Operators that pass a name on, and from which of their inputs."""
_PLACEHOLDERS = frozenset({b"Placeholder", b"PlaceholderV2"})
_VARIABLES = frozenset({b"VarHandleOp", b"ReadVariableOp", b"AssignVariableOp"})
FLOW = frozenset(
    CALLS
    | HANDED_ON
    | _PLACEHOLDERS
    | _VARIABLES
    | _PASSED.keys()
    | {b"Const", b"StringJoin", b"PlaceholderWithDefault"}
)
"""Operators through which a file's name may pass; only they are remembered."""

_STEPS = 5000  # of one trace
_ALL_STEPS = 2_000_000  # of all traces of one model
_DEFAULTS = 10  # placeholders that are the default of one another


@dataclass(frozen=True, slots=True)
class Node:
    """A node that a name might pass.

    Attributes:
        op: the operator.
        inputs: names of tensors, without those that only order the nodes.
        text: of a constant, its strings; of a join, the separator; otherwise None.
        function: that it calls, or b"".
    """

    op: bytes
    inputs: tuple[bytes, ...]
    text: tuple[bytes, ...] | None = None
    function: bytes = b""


@dataclass(slots=True)
class Scope:
    """The nodes of a graph or of a function's body.

    Attributes:
        nodes: by name.
        arguments: of the function, in order; none for a graph.
        name: of the function, or b"".
    """

    nodes: dict[bytes, Node] = field(default_factory=dict)
    arguments: list[bytes] = field(default_factory=list)
    name: bytes = b""


@dataclass(slots=True)
class Origins:
    """Where a name comes from.

    Attributes:
        constants: texts that the graph itself holds and that choose the file.
        unknown: why the rest of it is not known; "" if it is.
        aliased: constants that are assigned to variables have been looked at.
    """

    constants: list[bytes] = field(default_factory=list)
    unknown: str = ""
    aliased: bool = False


_Use: TypeAlias = tuple[Scope, bytes]


class Flow:
    """The scopes of one model, and what feeds them.

    Attributes:
        fed: names of placeholders that the saver feeds; None if the model has no saver.
        assets: names of tensors that the loader fills with the path of an asset.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.fed: set[bytes] | None = None
        self.assets: set[bytes] = set()
        self.references: dict[bytes, int] = {}
        self._scopes: dict[int, Scope] = {}
        self._count = 0
        self._steps = 0
        self._callers: dict[bytes, list[tuple[Scope, Node]]] | None = None
        self._written: dict[tuple[int, bytes], list[_Use]] = {}  # by scope and handle
        self._constants: list[_Use] = []  # constants that are assigned to any variable
        self._handed: set[tuple[int, bytes]] = set()  # by scope and tensor

    def scope(self, start: int) -> Scope:
        """Return the scope of the graph or function at an offset."""
        return self._scopes.setdefault(start, Scope())

    def add(self, start: int, name: bytes, node: Node) -> None:
        """Remember a node.

        Raises:
            ResourceLimitError: there are too many.
        """
        self._count += 1
        if self._count > NODES:
            raise ResourceLimitError(f"more than {NODES} nodes that handle strings or variables")
        self.scope(start).nodes[name] = node

    def origins(self, start: int, tensor: bytes) -> Origins:
        """Return where the tensor of a scope comes from."""
        found = Origins()
        queue = [(self.scope(start), tensor, True)]
        seen: set[tuple[int, bytes, bool]] = set()
        while queue:
            scope, name, head = queue.pop()
            name = plain(name)
            key = (id(scope), name, head)
            if key in seen:
                continue
            seen.add(key)
            self._budget.opcodes(1)
            self._steps += 1
            if len(seen) > _STEPS or self._steps > _ALL_STEPS:
                found.unknown = "is made in too many steps to follow"
                break
            queue.extend(self._step(scope, name, found, head=head))
        return found

    def _step(
        self, scope: Scope, name: bytes, found: Origins, *, head: bool
    ) -> Iterator[tuple[Scope, bytes, bool]]:
        """Judge one tensor, or yield those that it is made of.

        Args:
            scope: of the tensor.
            name: of the node that makes it.
            found: takes the origins.
            head: the text is the beginning of the file's name; if not, it only follows.
        """
        node = scope.nodes.get(name)
        if node is None:
            if name in scope.arguments:
                yield from self._arguments(scope, scope.arguments.index(name), found, head)
            else:
                found.unknown = "is computed in a way that is not followed"
        elif node.op == b"Const":
            self._constant(name, node.text or (), found, head=head)
        elif node.op in _PLACEHOLDERS:
            if not (self.fed is None or name in self.fed or name in self.assets):
                found.unknown = "comes from whoever calls the model"
        elif node.op == b"PlaceholderWithDefault":
            self._default(scope, node, found)
        elif node.op == b"StringJoin":
            yield from _join(scope, node, found, head=head)
        elif node.op in _PASSED:
            yield from ((scope, tensor, head) for tensor in node.inputs[_PASSED[node.op]])
        elif node.op == b"ReadVariableOp":
            yield from self._variable(scope, node, found, head)
        else:
            found.unknown = "is computed in a way that is not followed"

    def _constant(
        self, name: bytes, texts: tuple[bytes, ...], found: Origins, *, head: bool
    ) -> None:
        if name in self.assets or (self.fed and name in self.fed):
            return
        for text in texts:
            if (head and text) or climbs(text):
                found.constants.append(text)

    def _default(self, scope: Scope, node: Node, found: Origins) -> None:
        """Accept the savers' own default, a bare name that stands until somebody gives a path."""
        default: Node | None = node
        for _ in range(_DEFAULTS):
            if default is None or default.op != b"PlaceholderWithDefault":
                break
            default = scope.nodes.get(plain(default.inputs[0])) if default.inputs else None
        if default is None or default.text is None:
            found.unknown = "has a default that is not a constant"
            return
        for text in default.text:
            if climbs(text) or b"/" in text or b":" in text:
                found.constants.append(text)

    def _arguments(
        self,
        scope: Scope,
        index: int,
        found: Origins,
        head: bool,  # noqa: FBT001 - as in a queue
    ) -> Iterator[tuple[Scope, bytes, bool]]:
        """Yield what the callers of a function hand to one of its arguments."""
        callers = self._calls().get(scope.name, [])
        direct = sum(node.op in CALLS for _, node in callers)
        if direct != self.references.get(scope.name, 0) or not callers:
            found.unknown = "comes from whoever calls a function of the model"
        for caller, node in callers:
            if index < len(node.inputs):
                yield caller, node.inputs[index], head
            else:
                found.unknown = "is not given by all callers of a function"

    def _calls(self) -> dict[bytes, list[tuple[Scope, Node]]]:
        """Return the callers of each function; on the way, note what happens to variables."""
        if self._callers is None:
            self._callers = {}
            for scope in self._scopes.values():
                for node in scope.nodes.values():
                    name = node.function if node.op in CALLS else node.op
                    self._callers.setdefault(name, []).append((scope, node))
                    if node.op in CALLS | HANDED_ON:
                        self._handed.update((id(scope), plain(name)) for name in node.inputs)
                    elif node.op == b"AssignVariableOp" and len(node.inputs) > 1:
                        self._assigned(scope, node)
        return self._callers

    def _assigned(self, scope: Scope, node: Node) -> None:
        use = (scope, node.inputs[1])
        self._written.setdefault((id(scope), plain(node.inputs[0])), []).append(use)
        value = scope.nodes.get(plain(node.inputs[1]))
        if value is not None and value.op == b"Const" and value.text:
            self._constants.append(use)

    def _variable(
        self,
        scope: Scope,
        node: Node,
        found: Origins,
        head: bool,  # noqa: FBT001 - as in a queue
    ) -> Iterator[tuple[Scope, bytes, bool]]:
        """Yield what is assigned to a variable; constants count wherever they are assigned.

        Two handles may be the same variable, so that a constant for any of them could be meant.
        """
        self._calls()
        handle = (id(scope), plain(node.inputs[0]) if node.inputs else b"")
        if handle in self._handed:
            found.unknown = "comes from a variable that a function may set"
        elif handle not in self._written:
            found.unknown = "comes from a variable that is set elsewhere"
        uses = self._written.get(handle, [])
        if not found.aliased:
            found.aliased = True
            uses = uses + self._constants
        self._budget.opcodes(len(uses))
        yield from ((other, tensor, head) for other, tensor in uses)


def _join(
    scope: Scope, node: Node, found: Origins, *, head: bool
) -> Iterator[tuple[Scope, bytes, bool]]:
    """Yield the pieces of a join; those before the first that is not empty choose the file."""
    for text in node.text or ():
        if text.strip(b"_-"):
            found.constants.append(text)
    for tensor in node.inputs:
        yield scope, tensor, head
        piece = scope.nodes.get(plain(tensor))
        if piece is None or piece.op != b"Const" or any(piece.text or ()):
            head = False


def plain(tensor: bytes) -> bytes:
    """Return the name of the node that makes a tensor (``node:0``, ``node:output:0``)."""
    return tensor.partition(b":")[0].removeprefix(b"^")


def climbs(text: bytes) -> bool:
    """Whether a piece of a path leaves the folder that it is put into, or could with the next."""
    pieces = text.replace(b"\\", b"/").split(b"/")
    return b".." in pieces or text.endswith(b".") or b"\0" in text
