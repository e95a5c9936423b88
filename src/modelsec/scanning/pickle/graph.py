"""How large a pickle's result becomes for whoever walks it: expanded size and depth.

A list that holds another one twice, which holds a third one twice, and so on, takes a hundred
bytes and expands to 2**40 elements when it is printed, copied or converted (the billion laughs).
"""

from modelsec.scanning.limits import Budget
from modelsec.scanning.pickle.values import Call, Container, PersistentId, Value

EXPANDED: int = 1 << 40
"""Expanded nodes beyond which a result is a bomb."""

DEEPEST: int = 500
"""Nesting that recursive consumers survive."""

_NODES = frozenset({Container, Call, PersistentId})
_STEP = 4096


def measure(root: Value, budget: Budget) -> tuple[int, int]:
    """Return (expanded nodes, depth) of a symbolic result, without recursion.

    Shared nodes are measured once and counted as often as they are reached. A cycle counts as one
    node where it closes: walkers know to expect those.
    """
    if type(root) not in _NODES:
        return 1, 0
    measured: dict[int, tuple[int, int]] = {}
    opened: set[int] = set()
    pending: list[Value] = [root]
    steps = 0
    while pending:
        node = pending[-1]
        steps += 1
        if steps % _STEP == 0:
            budget.check_time()
        key = id(node)
        if key in measured:
            pending.pop()
            continue
        children = _children(node)
        inner = [child for child in children if type(child) in _NODES]
        if key not in opened:
            opened.add(key)
            missing = [child for child in inner if id(child) not in opened]
            if missing:
                pending.extend(missing)
                continue
        # Everything inside is measured, except where a cycle closes.
        pending.pop()
        size, depth_ = 1 + len(children) - len(inner), 0
        for child in inner:
            child_size, child_depth = measured.get(id(child), (1, 0))
            size += child_size
            depth_ = max(depth_, child_depth)
        # Beyond the bound numbers would only grow, by a bit for each level of a bomb.
        measured[key] = (min(size, EXPANDED + 1), depth_ + 1)
    return measured[id(root)]


def depth(root: Value, budget: Budget) -> int:
    """Return the depth of a result without shared nodes, up to just beyond ``DEEPEST``."""
    level = [root] if type(root) in _NODES else []
    found = 0
    while level and found <= DEEPEST:
        budget.check_time()
        level = [child for node in level for child in _children(node) if type(child) in _NODES]
        found += 1
    return found


def _children(node: Value) -> list[Value]:
    if type(node) is Container:
        return node.items
    if type(node) is Call:
        if not node.states and not node.items and node.kwargs is None:
            return node.args
        return [*node.args, node.kwargs, *node.states, *node.items]
    return [node.id] if isinstance(node, PersistentId) else []
