"""What can flow into a name of a Jinja template: is it the conversation's, or made by the template?

A subscript ``x[y]`` reads an attribute if ``y`` is a string, so a template that can *make* a string
can reach any attribute without writing it down. Looking for suspicious pieces is a losing game; the
question here is where the string comes from. Four origins, each worse than the one before:

* ``NUMBER``: lengths, loop counters, comparisons;
* ``DATA``: the conversation, as it is: messages, tools, their keys;
* ``LITERAL``: a constant of the template, unchanged;
* ``BUILT``: put together or cut out by the template, a constant that is a hidden attribute, or
  a string of the model's configuration (``bos_token``).

Names are followed through ``set``, ``for``, macros, namespaces and ``append``, for the template as
a whole and whatever the order: a name is as bad as the worst that is ever assigned to it. The same
goes for keys: what ``x.role`` is, is what any dict of the template holds as ``role``. Where a
template makes objects in ways that are not written down (``from_json``), keys tell nothing.
"""

from collections.abc import Callable, Iterable, Iterator

from modelsec.scanning.formats.jinja_names import FORBIDDEN_ATTRIBUTES, METHODS
from modelsec.scanning.formats.jinja_statements import CAPTURED
from modelsec.scanning.formats.jinja_tree import Node, Statement
from modelsec.scanning.limits import Budget

NUMBER, DATA, LITERAL, BUILT = range(4)

_UNTOLD = frozenset({"varargs", "kwargs"})  # of a macro, whatever it is called with
_CONFIGURED = ("_token", "_tokens")  # strings that come with the model
_COUNTERS = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
_COUNTING = frozenset({"length", "count", "int", "float", "abs", "round", "wordcount"})
_PASSING = frozenset(
    {"list", "first", "last", "random", "items", "dictsort", "select", "selectattr", "reject"}
    | {"rejectattr", "sort", "unique", "batch", "slice", "groupby", "min", "max", "safe"}
)
_HANDING_ON = frozenset({"default", "d"})
_ASKING = frozenset({"startswith", "endswith", "find", "rfind", "index", "count", "isdigit"})
_TAKING = frozenset({"items", "keys", "values", "get", "pop", "copy"})
_MAPPING = frozenset({("attribute",), ("attribute", "default")})
_CUTTING = frozenset(
    {"trim", "split", "rsplit", "strip", "lstrip", "rstrip", "splitlines", "partition"}
)
_PLAIN = frozenset(
    {"range", "namespace", "dict", "zip", "caller", "raise_exception", "strftime_now"}
)
_OPAQUE = frozenset({"from_json", "fromjson", "groupby"})
_ALIASES = frozenset({"name", "attr", "item", "cond", "op", "filter", "call", "list", "dict"})
_SAME = frozenset({"default", "d", "first", "last", "min", "max", "random", "list", "and", "or"})
_FILLING = frozenset({"append", "extend", "insert", "update", "setdefault", "add"})


class Flow:
    """The origins of a template's names.

    Args:
        statements: of the whole template.
        budget: pays for the passes over the assignments.
    """

    def __init__(self, statements: Iterable[Statement], budget: Budget) -> None:
        statements = list(statements)
        self.macros = {s.name: s for s in statements if s.tag == "macro"}
        self.assigned: dict[str, int] = {}
        self._opaque = False
        self._edges: list[tuple[str, Node]] = []
        self._held: list[tuple[str, Node]] = []
        self._filled: list[tuple[Node, Node]] = []
        self._origins: dict[str, Callable[[Node], int]] = {
            "const": self._const,
            "name": self._name,
            "attr": self._attr,
            "item": self._item,
            "call": self._call,
            "filter": self._filter,
            "op": self._op,
            "cond": lambda node: self._worst(node.children[1:]),
            "test": lambda _: NUMBER,
            "unary": lambda _: NUMBER,
        }
        for statement in statements:
            self._collect(statement)
        self._fill(budget)
        self._settle(budget)

    def origin(self, node: Node) -> int:
        """Return where an expression's value comes from."""
        if node.kind == CAPTURED:
            return BUILT
        found = self._origins.get(node.kind)
        if found is not None:
            return found(node)
        return max(DATA, self._worst(node.children))  # lists and dicts; they are no numbers

    def _collect(self, statement: Statement) -> None:
        """Note which expressions are assigned to which names."""
        if statement.tag == "for":  # a recursive loop is called with further items
            self._edges += [(str(target.value), _CALLED_LOOP) for target in statement.targets]
        paired = len(statement.values) == len(statement.targets)
        for number, target in enumerate(statement.targets):
            values = statement.values[number : number + 1] if paired else statement.values
            if statement.tag == "call":  # what caller() hands over
                values = (*values, _ANYTHING)
            for value in values:
                self._edges.append((_key(target), value))
                # An attribute's value counts for its object, which does not become the same thing.
                self._held += [(str(base.value), value) for base in target.children]
        for root in statement.expressions:
            for node in nodes(root):
                if node.kind == "call":
                    self._collect_call(node)
                elif node.kind == "dict":
                    pairs = zip(node.children[::2], node.children[1::2], strict=True)
                    self._edges += [(_field(key), value) for key, value in pairs]
                elif node.kind == "filter" and node.value in _OPAQUE:
                    self._opaque = True

    def _collect_call(self, node: Node) -> None:
        """A call hands its arguments to a macro's parameters, or to the list it is appended to."""
        called, *arguments = node.children
        plain = arguments[: len(arguments) - len(node.keywords)]
        named = dict(zip(node.keywords, arguments[len(plain) :], strict=True))
        self._edges += [("." + name, value) for name, value in named.items()]
        if called.kind == "name":
            macro = self.macros.get(str(called.value))
            if macro is not None:
                names = [str(target.value) for target in macro.targets]
                self._edges += [*zip(names, plain, strict=False), *named.items()]
                if any(name.startswith("*") for name in named):
                    self._edges += [(name, _ANYTHING) for name in names]
            elif called.value == "loop":
                self._edges += [("loop()", argument) for argument in arguments]
            elif called.value not in _PLAIN or (called.value == "dict" and plain):
                self._opaque = True
        elif called.kind == "attr" and called.value in _FILLING:
            self._filled += [(called.children[0], argument) for argument in arguments]
            if called.value == "setdefault" and len(plain) > 1:
                self._edges.append((_field(plain[0]), plain[1]))
            if called.value == "update" and any(value.kind != "dict" for value in plain):
                self._opaque = True
        elif called.kind != "attr" or called.value not in METHODS:
            self._opaque = True

    def _fill(self, budget: Budget) -> None:
        """What is put into a container is in whatever the container came from."""
        sources: dict[str, list[Node]] = {}
        for key, value in self._edges:
            if value.kind in _ALIASES:
                sources.setdefault(key, []).append(value)
        self._edges += self._held
        for container, value in self._filled:
            seen: set[str] = set()
            pending = [container]
            while pending:
                for key in _places(pending.pop()):
                    if key not in seen:
                        seen.add(key)
                        budget.opcodes(1)
                        self._edges.append((key, value))
                        pending += sources.get(key, ())

    def _settle(self, budget: Budget) -> None:
        """Raise names until nothing changes; only what reads a raised name is asked again."""
        readers: dict[str, list[int]] = {}
        for number, (key, value) in enumerate(self._edges):
            self.assigned[key] = NUMBER
            for node in nodes(value):
                budget.opcodes(1)
                for read in _read_keys(node):
                    readers.setdefault(read, []).append(number)
        self.assigned.setdefault("loop()", NUMBER)
        dirty = set(range(len(self._edges)))
        while dirty:
            raised = set()
            for number in dirty:
                budget.opcodes(1)
                key, value = self._edges[number]
                origin = self.origin(value)
                if origin > self.assigned[key]:
                    self.assigned[key] = origin
                    raised.add(key)
            dirty = {number for key in raised for number in readers.get(key, ())}

    def _const(self, node: Node) -> int:
        if not isinstance(node.value, str):
            return NUMBER
        hidden = any(
            piece.startswith("_") or piece in FORBIDDEN_ATTRIBUTES
            for piece in node.value.split(".")
        )
        return BUILT if hidden else LITERAL

    def _name(self, node: Node) -> int:
        name = str(node.value)
        if name in self.macros:
            return BUILT
        if name in self.assigned:
            return self.assigned[name]
        return BUILT if name in _UNTOLD or name.endswith(_CONFIGURED) else DATA

    def _attr(self, node: Node) -> int:
        name = str(node.value)
        base = node.children[0]
        if base.kind == "name" and base.value == "loop":  # its items may be anybody's
            return NUMBER if name in _COUNTERS else BUILT
        return self._key_of(base, "." + name)

    def _key_of(self, base: Node, field: str) -> int:
        """What an object holds under a key that is written down."""
        origin = self.origin(base)
        if origin <= DATA or self._opaque:
            return origin
        held = max(self.assigned.get(key, DATA) for key in (field, ".*"))
        return min(origin, max(held, DATA))

    def _item(self, node: Node) -> int:
        base, index = node.children
        if index.kind == "const" and isinstance(index.value, str):
            return self._key_of(base, _field(index))
        origin = self.origin(base)
        return BUILT if index.kind == "slice" and origin == LITERAL else origin

    def _call(self, node: Node) -> int:
        called, *arguments = node.children
        if called.kind == "attr":
            return self._method(str(called.value), called.children[0], arguments)
        if called.kind == "name" and called.value in {"range", "dict", "namespace"}:
            hidden = any(name.startswith("_") for name in node.keywords)
            return BUILT if hidden else self._worst(arguments)
        return BUILT

    def _method(self, name: str, base: Node, arguments: list[Node]) -> int:
        if name in _ASKING:
            return NUMBER
        origin, worst = self.origin(base), self._worst(arguments)
        if name == "get" and arguments and _field(arguments[0]) != ".*":
            return max(self._key_of(base, _field(arguments[0])), self._worst(arguments[1:]))
        if name in _TAKING:
            return max(origin, worst)
        if name == "cycle":
            return DATA if worst <= DATA else BUILT
        return self._cut(name, origin, arguments)

    def _cut(self, name: object, origin: int, arguments: list[Node]) -> int:
        """What remains of the conversation's strings is theirs; of the template's, it is built."""
        plain = name in _CUTTING or (name == "replace" and _replaces_plainly(arguments))
        return DATA if plain and origin <= DATA else BUILT

    def _filter(self, node: Node) -> int:
        name = node.value
        operand, *arguments = node.children
        if name in _COUNTING:
            return NUMBER
        origin = self.origin(operand)
        if name in _HANDING_ON:
            return max(origin, self._worst(arguments))
        if name in _PASSING or node.keywords in _MAPPING:
            return origin
        return self._cut(name, origin, arguments)

    def _op(self, node: Node) -> int:
        origins = [self.origin(child) for child in node.children]
        operators = set(node.operators)
        if operators <= {"and", "or"}:
            return max(origins)
        if operators <= {"+", "-"}:
            return self._sum(node, origins)
        if "~" in operators:
            return BUILT
        if operators <= {"*", "/", "//", "%", "**"}:
            return max(origins) if max(origins) <= DATA else BUILT
        return NUMBER  # comparisons

    def _sum(self, node: Node, origins: list[int]) -> int:
        """A number can only be added to numbers, a list to lists; strings are put together."""
        if NUMBER in origins:
            return NUMBER
        if any(child.kind == "list" for child in node.children):
            return max(origins)
        return max(origins) if max(origins) == DATA else BUILT

    def _worst(self, values: Iterable[Node]) -> int:
        return max((self.origin(value) for value in values), default=NUMBER)


def nodes(root: Node) -> Iterator[Node]:
    """Yield a tree's nodes."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(node.children)


def _key(target: Node) -> str:
    """Return the name by which an assignment is kept; of an attribute without its object."""
    return str(target.value) if target.kind == "name" else "." + str(target.value)


def _field(key: Node) -> str:
    """Return the name by which values of a key are kept."""
    return "." + key.value if key.kind == "const" and isinstance(key.value, str) else ".*"


def _places(container: Node) -> Iterator[str]:
    """Yield the names and fields that an expression's value may be held by."""
    if container.kind == "name":
        yield str(container.value)
    elif container.kind in {"attr", "item"}:
        yield (
            "." + str(container.value)
            if container.kind == "attr"
            else _field(container.children[1])
        )
        yield from _places(container.children[0])
    elif container.kind == "call" and container.children[0].kind == "attr":
        yield _field(container.children[1]) if len(container.children) > 1 else ".*"
        yield from _places(container.children[0].children[0])
    elif container.kind in {"cond", "list", "dict"} or (
        container.kind in {"op", "filter"}
        and _SAME.intersection((container.value, *container.operators))
    ):
        for child in container.children:
            yield from _places(child)


def _read_keys(node: Node) -> tuple[str, ...]:
    """Return the names and fields whose origin a node's own depends on."""
    if node.kind == "name":
        return (str(node.value),)
    if node.kind == "attr":
        return "." + str(node.value), ".*"
    if node.kind == "const" and isinstance(node.value, str):  # maybe a subscript
        return "." + node.value, ".*"
    return ()


def _replaces_plainly(arguments: list[Node]) -> bool:
    """Whether what is put in for something else cannot begin a hidden name."""
    return all(
        node.kind == "const" and not (isinstance(node.value, str) and "_" in node.value)
        for node in arguments[1:]
    )


_ANYTHING = Node(CAPTURED, None, 0)
_CALLED_LOOP = Node("name", "loop()", 0)
