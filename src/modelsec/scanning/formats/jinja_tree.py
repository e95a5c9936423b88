"""The tree of a Jinja template: nodes of expressions, and statements."""

from dataclasses import dataclass
from typing import NamedTuple


class Node(NamedTuple):
    """A piece of an expression.

    Attributes:
        kind: ``const``, ``name``, ``attr``, ``item``, ``slice``, ``call``, ``filter``, ``test``,
            ``op``, ``unary``, ``cond``, ``list`` (also tuples) or ``dict``.
        value: the constant, the name, the operator.
        children: the operand first, then arguments; a dict's keys and values in turn.
        keywords: names of the last children of a call or filter.
        offset: in characters.
        depth: of the tree below.
    """

    kind: str
    value: object
    offset: int
    children: tuple["Node", ...] = ()
    keywords: tuple[str, ...] = ()
    depth: int = 0

    @property
    def operators(self) -> tuple[str, ...]:
        """Of an ``op``, the operators between the children."""
        return self.value if isinstance(self.value, tuple) else ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A tag, or an output (``tag`` is "").

    Attributes:
        tag: ``if``, ``for``, ``set`` ...
        offset: in characters.
        expressions: all that is evaluated.
        targets: names (or attributes) that are assigned: of ``set`` and ``for``, of a macro its
            parameters.
        values: what is assigned, target by target; fewer values than targets are unpacked.
        name: of a macro.
    """

    tag: str
    offset: int
    expressions: tuple[Node, ...] = ()
    targets: tuple[Node, ...] = ()
    values: tuple[Node, ...] = ()
    name: str = ""
