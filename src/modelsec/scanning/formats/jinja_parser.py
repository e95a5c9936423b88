"""Expressions of a Jinja template, as a small tree.

One node type serves for all: what matters to the check is which attributes, subscripts, calls,
filters and assignments there are, and what flows into them. Chains of operators become one node
with many children, and the depth of a node is bounded while it is built: nothing that walks the
tree can be made to recurse deeply.
"""

from collections.abc import Callable, Iterable

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.formats import jinja_lexer as lex
from modelsec.scanning.formats.jinja_lexer import Token
from modelsec.scanning.formats.jinja_tree import Node

_DEPTH = 40
_LEVELS = ("or", "and", "== != < <= > >= in", "+ -", "~", "* / // %", "**")
_PRECEDENCE = {
    operator: level for level, operators in enumerate(_LEVELS) for operator in operators.split()
} | {"not": 2}  # of "not in"
_COMPARISON = 2
_CONSTANTS = {
    "true": True, "True": True, "false": False, "False": False, "none": None, "None": None,
}  # fmt: skip
_OPERATORS = frozenset({lex.NAME, lex.OPERATOR})
_NO_ARGUMENT = frozenset({"else", "or", "and", "is", "if", "in", "not"})


class Stream:
    """The tokens of one block, without its marks.

    Args:
        tokens: of the block.
        end: where it ends, in characters.
    """

    __slots__ = ("position", "tokens")

    def __init__(self, tokens: list[Token], end: int) -> None:
        self.tokens = [*tokens, Token(lex.END, "", end), Token(lex.END, "", end)]
        self.position = 0

    @property
    def current(self) -> Token:
        """The next token; an empty one at the end of the block."""
        return self.tokens[self.position]

    @property
    def following(self) -> Token:
        """The token behind the next one."""
        return self.tokens[self.position + 1]

    def next(self) -> Token:
        """Take a token; the end is never passed."""
        token = self.tokens[self.position]
        if token.kind != lex.END:
            self.position += 1
        return token

    def at(self, *values: str) -> bool:
        """Whether the next token is one of these operators or words."""
        token = self.tokens[self.position]
        return token.value in values and token.kind in _OPERATORS

    def accept(self, *values: str) -> bool:
        """Take the next token if it is one of these operators or words."""
        if self.at(*values):
            self.position += 1
            return True
        return False

    def expect(self, value: str) -> None:
        """Take an operator or a word that has to come now."""
        if not self.accept(value):
            raise MalformedArtifactError(f"'{value}' is missing at {self.current.offset}")

    def name(self) -> Token:
        """Take a name that has to come now."""
        token = self.next()
        if token.kind != lex.NAME:
            raise MalformedArtifactError(f"a name is missing at {token.offset}")
        return token


class Expressions:
    """A parser of the expressions of one block."""

    __slots__ = ("_depth", "_stream")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._depth = 0

    def whole(self) -> Node:
        """Parse an expression, or several with commas, up to what cannot belong to it."""
        return self._sequence(self.one)

    def unconditional(self) -> Node:
        """Parse as ``whole``, but leave an ``if`` to the statement."""
        return self._sequence(self._binary)

    def one(self) -> Node:
        """Parse one expression."""
        self._depth += 1
        if self._depth > _DEPTH:
            raise MalformedArtifactError(f"an expression is nested more than {_DEPTH} deep")
        node = self._binary()
        if self._stream.accept("if"):
            condition = self._binary()
            rest = (self.one(),) if self._stream.accept("else") else ()
            node = _node("cond", None, node.offset, (condition, node, *rest))
        self._depth -= 1
        return node

    def arguments(self) -> tuple[tuple[Node, ...], tuple[str, ...]]:
        """Parse arguments up to the closing bracket, which is taken; the opening one was."""
        plain: list[Node] = []
        named: dict[str, Node] = {}
        unpacked = 0
        while not self._stream.accept(")"):
            stream = self._stream
            if stream.accept("*", "**"):
                unpacked += 1
                named[f"*{unpacked}"] = self.one()
            elif stream.current.kind == lex.NAME and stream.following[:2] == (lex.OPERATOR, "="):
                name = stream.next().value
                stream.expect("=")
                named[name] = self.one()
            else:
                plain.append(self.one())
            if not stream.at(")"):
                stream.expect(",")
        return (*plain, *named.values()), tuple(named)

    def _sequence(self, parse: Callable[[], Node]) -> Node:
        first = parse()
        if not self._stream.at(","):
            return first
        items = [first]
        while self._stream.accept(","):
            if self._stream.current.kind == lex.END or self._stream.at("=", ")"):
                break
            items.append(parse())
        return _node("list", None, first.offset, items)

    def _binary(self, level: int = 0) -> Node:
        """Parse operators of this level and tighter ones; equal ones become one node."""
        node = self._operand()
        while True:
            found = self._level()
            if found < level:
                return node
            operators: list[str] = []
            operands = [node]
            while self._level() == found:
                operator = self._stream.next().value
                if operator == "not":
                    self._stream.expect("in")
                operators.append(operator)
                operands.append(self._binary(found + 1))
            node = _node("op", tuple(operators), operands[0].offset, operands)

    def _level(self) -> int:
        """Return how tightly the next token binds as an operator; -1 if it is none."""
        token = self._stream.current
        if token.kind not in _OPERATORS:
            return -1
        return _PRECEDENCE.get(token.value, -1)

    def _operand(self) -> Node:
        offset = self._stream.current.offset
        if not self._stream.accept("not"):
            return self._unary()
        self._enter()
        operand = self._binary(_COMPARISON)
        self._depth -= 1
        return _node("unary", "not", offset, (operand,))

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _DEPTH:
            raise MalformedArtifactError(f"an expression is nested more than {_DEPTH} deep")

    def _unary(self, *, filters: bool = True) -> Node:
        stream = self._stream
        token = stream.current
        if stream.accept("-", "+"):
            self._enter()
            operand = self._unary(filters=False)
            self._depth -= 1
            node = _node("unary", token.value, token.offset, (operand,))
        else:
            node = self._postfix(self._primary())
        return self.filters(node) if filters else node

    def _postfix(self, node: Node) -> Node:
        stream = self._stream
        while True:
            token = stream.current
            if stream.accept("."):
                attribute = stream.next()
                if attribute.kind not in {lex.NAME, lex.INTEGER}:
                    raise MalformedArtifactError(f"a name is missing at {attribute.offset}")
                node = _node("attr", attribute.value, attribute.offset, (node,))
            elif stream.accept("["):
                node = _node("item", None, token.offset, (node, self._subscript()))
            elif stream.accept("("):
                children, keywords = self.arguments()
                node = _node("call", None, node.offset, (node, *children), keywords)
            else:
                return node

    def filters(self, node: Node) -> Node:
        """Parse filters, tests and calls that follow an operand."""
        stream = self._stream
        while True:
            token = stream.current
            if stream.accept("|"):
                name = self._dotted()
                children, keywords = self.arguments() if stream.accept("(") else ((), ())
                node = _node("filter", name, token.offset, (node, *children), keywords)
            elif stream.accept("is"):
                node = self._test(node, token.offset)
            elif stream.at("("):
                stream.next()
                children, keywords = self.arguments()
                node = _node("call", None, node.offset, (node, *children), keywords)
            else:
                return node

    def _test(self, node: Node, offset: int) -> Node:
        stream = self._stream
        stream.accept("not")
        name = self._dotted()
        arguments: tuple[Node, ...] = ()
        keywords: tuple[str, ...] = ()
        kind = stream.current.kind
        if stream.accept("("):
            arguments, keywords = self.arguments()
        elif (
            kind in {lex.STRING, lex.INTEGER, lex.FLOAT}
            or stream.at("[", "{")
            or (kind == lex.NAME and stream.current.value not in _NO_ARGUMENT)
        ):
            arguments = (self._postfix(self._primary()),)
        return _node("test", name, offset, (node, *arguments), keywords)

    def _dotted(self) -> str:
        name = self._stream.name().value
        while self._stream.accept("."):
            name += "." + self._stream.name().value
        return name

    def _primary(self) -> Node:
        stream = self._stream
        token = stream.next()
        if token.kind == lex.NAME:
            if token.value in _CONSTANTS:
                return _node("const", _CONSTANTS[token.value], token.offset)
            return _node("name", token.value, token.offset)
        if token.kind == lex.STRING:
            pieces = [token.value]
            while stream.current.kind == lex.STRING:
                pieces.append(stream.next().value)
            return _node("const", "".join(pieces), token.offset)
        if token.kind == lex.INTEGER:
            return _node("const", _integer(token), token.offset)
        if token.kind == lex.FLOAT:
            return _node("const", float(token.value.replace("_", "")), token.offset)
        if token.kind == lex.OPERATOR and token.value in {"(", "[", "{"}:
            self._enter()
            node = self._bracket(token)
            self._depth -= 1
            return node
        raise MalformedArtifactError(f"an expression is missing at {token.offset}")

    def _bracket(self, token: Token) -> Node:
        """Parse what stands in brackets: a tuple, a list, a dict, or one expression."""
        stream = self._stream
        close = {"(": ")", "[": "]", "{": "}"}[token.value]
        items: list[Node] = []
        commas = False
        while not stream.accept(close):
            items.append(self.one())
            if close == "}":
                stream.expect(":")
                items.append(self.one())
            if not stream.at(close):
                stream.expect(",")
                commas = True
        if close == ")" and len(items) == 1 and not commas:
            return items[0]
        return _node("dict" if close == "}" else "list", None, token.offset, items)

    def _subscript(self) -> Node:
        """Parse an index or a slice up to the closing bracket, which is taken."""
        stream = self._stream
        offset = stream.current.offset
        parts: list[Node] = []
        sliced = False
        while not stream.accept("]"):
            if stream.accept(":", ","):
                sliced = True
            else:
                parts.append(self.one())
        if sliced or len(parts) != 1:
            return _node("slice", None, offset, parts)
        return parts[0]


def _node(
    kind: str,
    value: object,
    offset: int,
    children: Iterable[Node] = (),
    keywords: tuple[str, ...] = (),
) -> Node:
    kept = tuple(children)
    depth = 1 + max((child.depth for child in kept), default=0)
    if depth > 2 * _DEPTH:
        raise MalformedArtifactError(f"an expression is nested more than {2 * _DEPTH} deep")
    return Node(kind, value, offset, kept, keywords, depth)


def _integer(token: Token) -> int:
    digits = token.value.replace("_", "")
    for base in (0, 10):  # 007 is a number of base 10
        try:
            return int(digits, base)
        except ValueError:
            continue
    raise MalformedArtifactError(f"no number at {token.offset}")
