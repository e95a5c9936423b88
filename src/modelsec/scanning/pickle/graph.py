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

_NODE = (Container, Call, PersistentId)


def measure(root: Value, budget: Budget) -> tuple[int, int]:
    """Return (expanded nodes, depth) of a symbolic result, without recursion.

    Shared nodes are measured once and counted as often as they are reached. A cycle counts as one
    node where it closes: walkers know to expect those.
    """
    sizes: dict[int, int] = {}
    depths: dict[int, int] = {}
    if not isinstance(root, _NODE):
        return 1, 0
    pending: list[tuple[Value, bool]] = [(root, False)]
    seen: set[int] = set()
    steps = 0
    while pending:
        node, children_done = pending.pop()
        steps += 1
        if steps % 4096 == 0:
            budget.check_time()
        key = id(node)
        children = _children(node)
        if children_done:
            # `seen` but not yet in `sizes` is a cycle.
            sizes[key] = 1 + sum(
                sizes.get(id(child), 1) if isinstance(child, _NODE) else 1 for child in children
            )
            depths[key] = 1 + max(
                (depths.get(id(child), 0) for child in children if isinstance(child, _NODE)),
                default=0,
            )
            continue
        if key in seen:
            continue
        seen.add(key)
        pending.append((node, True))
        pending.extend(
            (child, False)
            for child in children
            if isinstance(child, _NODE) and id(child) not in seen
        )
    return sizes[id(root)], depths[id(root)]


def _children(node: Value) -> list[Value]:
    if isinstance(node, Container):
        return node.items
    if isinstance(node, Call):
        kwargs = [] if node.kwargs is None else [node.kwargs]
        return [*node.args, *kwargs, *node.states, *node.items]
    if isinstance(node, PersistentId):
        return [node.id]
    return []
