"""What a chat template may not do, rule by rule, on its parsed statements."""

import re
from collections.abc import Iterable, Iterator

from modelsec.errors import printable
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats.jinja_flow import BUILT, Flow, nodes
from modelsec.scanning.formats.jinja_names import (
    FILTERS,
    FORBIDDEN_ATTRIBUTES,
    FORBIDDEN_NAMES,
    FUNCTIONS,
    METHODS,
    TESTS,
)
from modelsec.scanning.formats.jinja_statements import LOADING
from modelsec.scanning.formats.jinja_tree import Node, Statement
from modelsec.scanning.limits import Budget

_SANDBOX = "refuse the template, or render it only in an immutable sandbox"

ATTRIBUTE = Rule(
    "MS-JIN-001",
    "a template reaches for the interpreter",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2024-34359",
    remedy=_SANDBOX,
)
COMPUTED = Rule(
    "MS-JIN-002",
    "a template selects an attribute by a string that it builds",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2024-34359",
    remedy=_SANDBOX,
)
GADGET = Rule(
    "MS-JIN-003",
    "a template uses an object that leads to the interpreter",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2024-34359",
    remedy=_SANDBOX,
)
FORMAT = Rule(
    "MS-JIN-004",
    "a template formats with fields that read attributes",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2016-10745",
    remedy=_SANDBOX,
)
LOADS = Rule(
    "MS-JIN-005",
    "a template loads another",
    Verdict.DANGEROUS,
    capability="file read",
    remedy="refuse the template: a chat template is one text",
)
HUGE = Rule(
    "MS-JIN-006",
    "a template repeats something too often",
    Verdict.DANGEROUS,
    capability="resource exhaustion",
    remedy="refuse the template: it would stop the server that renders it",
)
CALL = Rule(
    "MS-JIN-007",
    "a template calls what chat templates do not call",
    Verdict.UNKNOWN,
    remedy="look the name up in the runtime that renders the template",
)
_DOUBLINGS = 15
MOST = 1_000_000
"""Largest constant in a range, a repetition or a width."""

_BY_POSITION = {  # where a filter takes the name of an attribute, if it has no keyword
    "selectattr": 0, "rejectattr": 0, "groupby": 0, "sum": 0,
    "join": 1, "unique": 1, "min": 1, "max": 1, "sort": 2,
}  # fmt: skip
_APPLYING = {  # where a filter takes the name of a filter or a test
    "map": (0, FILTERS),
    "select": (0, TESTS),
    "reject": (0, TESTS),
    "selectattr": (1, TESTS),
    "rejectattr": (1, TESTS),
}
_WIDE = frozenset({"center", "indent", "ljust", "rjust", "zfill", "wordwrap", "expandtabs"})
_FIELDS = re.compile(r"\{[^{}.\[]*+[.\[{]")


def check(statements: list[Statement], budget: Budget) -> Iterator[tuple[Finding, int]]:
    """Yield findings, each with its place in characters.

    Args:
        statements: of the whole template, or of what could be read of it.
        budget: pays for following the names.
    """
    flow = Flow(statements, budget)
    for statement in statements:
        budget.check_time()
        yield from _check(statement, flow)
    yield from _growth(statements)


def _check(statement: Statement, flow: Flow) -> Iterator[tuple[Finding, int]]:
    """Yield findings with their place in characters."""
    if statement.tag in LOADING:
        yield LOADS.at(None, f"'{statement.tag}'", operation=statement.tag), statement.offset
    for target in statement.targets:
        if target.kind == "attr":
            yield from _check_attribute(str(target.value), target.offset)
    for root in statement.expressions:
        for node in nodes(root):
            check = _CHECKS.get(node.kind)
            if check is not None:
                yield from check(node, flow)


def _check_attribute(name: str, offset: int) -> Iterator[tuple[Finding, int]]:
    for piece in re.split(r"[.,]", name):  # a sort takes several, with commas
        if piece.startswith("_") or piece in FORBIDDEN_ATTRIBUTES:
            message = f"the attribute '{printable(piece)}' is read"
            yield ATTRIBUTE.at(None, message, operation="attribute", subject=piece), offset


def _attr(node: Node, _flow: Flow) -> Iterator[tuple[Finding, int]]:
    yield from _check_attribute(str(node.value), node.offset)


def _name(node: Node, flow: Flow) -> Iterator[tuple[Finding, int]]:
    name = str(node.value)
    if name in flow.assigned or name in flow.macros:
        return
    if name in FORBIDDEN_NAMES or name.startswith("__"):
        message = f"'{printable(name)}' is used"
        yield GADGET.at(None, message, operation="name", subject=name), node.offset


def _selector(node: Node, flow: Flow) -> Iterator[tuple[Finding, int]]:
    """Check what selects an attribute: a constant by its value, anything else by its origin."""
    if node.kind == "const":
        yield from _check_attribute(str(node.value), node.offset)
    elif node.kind != "slice" and flow.origin(node) == BUILT:
        yield COMPUTED.at(None, "a subscript is built", operation="attribute"), node.offset


def _item(node: Node, flow: Flow) -> Iterator[tuple[Finding, int]]:
    yield from _selector(node.children[1], flow)


def _call(node: Node, flow: Flow) -> Iterator[tuple[Finding, int]]:
    called, *arguments = node.children
    if called.kind == "name":
        name = str(called.value)
        if name == "range":
            yield from _huge(node.offset, arguments)
        if name not in FUNCTIONS and name not in flow.macros:
            message = f"the function '{printable(name)}' is called"
            yield CALL.at(None, message, operation="call", subject=name), node.offset
    elif called.kind == "attr":
        name = str(called.value)
        if name in {"format", "format_map"}:
            yield from _format(called.children[0], node.offset)
        elif name in _WIDE:
            yield from _huge(node.offset, arguments)
        if name not in METHODS:
            message = f"the method '{printable(name)}' is called"
            yield CALL.at(None, message, operation="call", subject=name), node.offset
    else:
        yield CALL.at(None, "the result of an expression is called", operation="call"), node.offset


def _format(template: Node, offset: int) -> Iterator[tuple[Finding, int]]:
    """``str.format`` reads attributes and items that its fields name."""
    if template.kind != "const" or not isinstance(template.value, str):
        yield FORMAT.at(None, "a string that is no constant is formatted", operation="call"), offset
    elif _FIELDS.search(template.value.replace("{{", "")):
        message = "the fields of a format read attributes or items"
        yield FORMAT.at(None, message, operation="call", subject=template.value), offset


def _filter(node: Node, flow: Flow) -> Iterator[tuple[Finding, int]]:
    name = str(node.value)
    _, *arguments = node.children
    if name == "attr":
        message = "the filter 'attr' is used"
        yield GADGET.at(None, message, operation="filter", subject=name), node.offset
    elif name not in FILTERS:
        message = f"the filter '{printable(name)}' is used"
        yield CALL.at(None, message, operation="filter", subject=name), node.offset
    plain = arguments[: len(arguments) - len(node.keywords)]
    named = dict(zip(node.keywords, arguments[len(plain) :], strict=True))
    if any(key.startswith("*") for key in named):
        message = f"the filter '{printable(name)}' is given arguments that are not written down"
        yield COMPUTED.at(None, message, operation="filter", subject=name), node.offset
    where = _BY_POSITION.get(name)
    selectors = [] if where is None else plain[where : where + 1]
    for selector in (*selectors, *(named[key] for key in ("attribute",) if key in named)):
        yield from _selector(selector, flow)
    if name in _APPLYING:
        place, known = _APPLYING[name]
        for applied in plain[place : place + 1]:
            yield from _applied(applied, known, node.offset)
    if name in _WIDE:
        yield from _huge(node.offset, arguments)


def _applied(node: Node, known: frozenset[str], offset: int) -> Iterator[tuple[Finding, int]]:
    """Check a filter or a test that is named by a string."""
    if node.kind != "const":
        message = "a filter or test is chosen by an expression"
        yield COMPUTED.at(None, message, operation="filter"), offset
    elif node.value == "attr":
        message = "the filter 'attr' is used"
        yield GADGET.at(None, message, operation="filter", subject="attr"), offset
    elif node.value not in known:
        message = f"the filter or test '{printable(str(node.value))}' is used"
        yield CALL.at(None, message, operation="filter"), offset


def _test(node: Node, _flow: Flow) -> Iterator[tuple[Finding, int]]:
    name = str(node.value)
    if name not in TESTS:
        message = f"the test '{printable(name)}' is used"
        yield CALL.at(None, message, operation="test", subject=name), node.offset


def _op(node: Node, _flow: Flow) -> Iterator[tuple[Finding, int]]:
    if "**" in node.operators:
        yield from _huge(node.offset, node.children, 1000)
    if "*" in node.operators:
        yield from _huge(node.offset, node.children)


def _huge(offset: int, values: Iterable[Node], most: int = MOST) -> Iterator[tuple[Finding, int]]:
    """A constant, or a product of constants, that something is repeated by."""
    for value in values:
        product = 1
        for node in nodes(value):
            if node.kind == "const" and isinstance(node.value, int):
                product = max(product, 1) * max(node.value, 1)
                if "**" in value.operators or product > most:
                    message = "something is repeated by a very large number"
                    yield HUGE.at(None, message, operation="call"), offset
                    break


def _growth(parsed: list[Statement]) -> Iterator[tuple[Finding, int]]:
    """Text that doubles itself, and loops in loops over constant ranges."""
    rounds, doublings = 1, 0
    for statement in parsed:
        if statement.tag == "for":
            rounds *= max(1, *(_rounds(value) for value in statement.values))
        doublings += sum(map(_doubles, statement.values))
    if rounds > 100 * MOST or doublings > _DOUBLINGS:
        message = "loops over constants or doublings of a text multiply to an astronomical size"
        yield HUGE.at(None, message), 0


def _rounds(node: Node) -> int:
    if node.kind == "call" and node.children[0].value == "range":
        return max((n.value for n in nodes(node) if isinstance(n.value, int)), default=1)
    return 1


def _doubles(node: Node) -> bool:
    """Whether an expression puts the same name together with itself."""
    if node.kind != "op" or not {"~", "+"}.issuperset(node.operators):
        return False
    names = [
        (child.kind, child.value, *(base.value for base in child.children))
        for child in node.children
        if child.kind in {"name", "attr"}
    ]
    return len(set(names)) < len(names)


_CHECKS = {
    "attr": _attr,
    "name": _name,
    "item": _item,
    "call": _call,
    "filter": _filter,
    "test": _test,
    "op": _op,
}
