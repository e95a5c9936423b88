"""The tags of a Jinja template, one after another.

Blocks are not nested here: what a statement does to names is judged for the template as a whole, so
it does not matter which statement stands within which.
"""

from collections.abc import Callable, Iterator

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.formats import jinja_lexer as lex
from modelsec.scanning.formats.jinja_lexer import Token
from modelsec.scanning.formats.jinja_parser import Expressions, Stream
from modelsec.scanning.formats.jinja_tree import Node, Statement
from modelsec.scanning.limits import Budget

CAPTURED = "captured"
"""Kind of the node that stands for text that a block renders."""

LOADING = frozenset({"import", "from", "include", "extends"})
BARE = frozenset(
    {"else", "break", "continue", "generation"}
    | {"endif", "endfor", "endset", "endmacro", "endcall", "endfilter", "endwith"}
    | {"endgeneration", "endautoescape", "endblock"}
)


def statements(text: str, budget: Budget) -> Iterator[Statement]:
    """Yield a template's statements and outputs.

    Raises:
        MalformedArtifactError: it is no Jinja template, or one of extensions we do not know.
        ResourceLimitError: it is too long.
    """
    begin: Token | None = None
    block: list[Token] = []
    for token in lex.tokens(text, budget):
        if token.kind in {lex.BEGIN, lex.OUTPUT}:
            begin, block = token, []
        elif token.kind == lex.END and begin is not None:
            yield _statement(begin, Stream(block, token.offset))
        else:
            block.append(token)


def _statement(begin: Token, stream: Stream) -> Statement:
    if begin.kind == lex.OUTPUT:
        found = Statement("", begin.offset, (Expressions(stream).whole(),))
    else:
        tag = stream.name()
        if tag.value in LOADING:
            return Statement(tag.value, tag.offset)
        if tag.value in BARE:
            found = Statement(tag.value, tag.offset)
            if tag.value.startswith("end") and stream.current.kind == lex.NAME:
                stream.next()  # {% endblock name %}
        elif tag.value in _PARSERS:
            found = _PARSERS[tag.value](stream, tag)
        else:
            raise MalformedArtifactError(f"the tag at {tag.offset} is none of Jinja's own")
    if stream.current.kind != lex.END:
        raise MalformedArtifactError(f"the block does not end at {stream.current.offset}")
    return found


def _condition(stream: Stream, tag: Token) -> Statement:
    return Statement(tag.value, tag.offset, (Expressions(stream).unconditional(),))


def _expression(stream: Stream, tag: Token) -> Statement:
    return Statement(tag.value, tag.offset, (Expressions(stream).whole(),))


def _for(stream: Stream, tag: Token) -> Statement:
    targets = _targets(stream)
    stream.expect("in")
    items = Expressions(stream).unconditional()
    condition = (Expressions(stream).one(),) if stream.accept("if") else ()
    stream.accept("recursive")
    return Statement(tag.value, tag.offset, (items, *condition), targets, (items,))


def _set(stream: Stream, tag: Token) -> Statement:
    targets = _targets(stream)
    if stream.accept("="):
        value = Expressions(stream).whole()
        if value.kind == "list" and len(value.children) == len(targets) > 1:
            return Statement(tag.value, tag.offset, (value,), targets, value.children)
        return Statement(tag.value, tag.offset, (value,), targets, (value,))
    captured = _captured(stream, tag)
    return Statement(tag.value, tag.offset, (captured,), targets, (captured,))


def _captured(stream: Stream, tag: Token) -> Node:
    """Parse the filters of a block whose text is captured."""
    node = Node(CAPTURED, None, tag.offset)
    if stream.at("|"):
        return Expressions(stream).filters(node)
    return node


def _filter(stream: Stream, tag: Token) -> Statement:
    stream.position -= 1  # the tag stands where an expression would have its bar
    stream.tokens[stream.position] = Token(lex.OPERATOR, "|", tag.offset)
    return Statement(tag.value, tag.offset, (_captured(stream, tag),))


def _macro(stream: Stream, tag: Token) -> Statement:
    name = stream.name()
    targets, values = _parameters(stream)
    return Statement(tag.value, tag.offset, values, targets, values, name.value)


def _call(stream: Stream, tag: Token) -> Statement:
    targets, values = _parameters(stream) if stream.at("(") else ((), ())
    called = Expressions(stream).one()
    return Statement(tag.value, tag.offset, (*values, called), targets, values)


def _parameters(stream: Stream) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """Parse a macro's parameters and their defaults; without one it is ``none``."""
    targets, values = [], []
    stream.expect("(")
    while not stream.accept(")"):
        token = stream.name()
        targets.append(Node("name", token.value, token.offset))
        default = Expressions(stream).one() if stream.accept("=") else None
        values.append(default or Node("const", None, token.offset))
        if not stream.at(")"):
            stream.expect(",")
    return tuple(targets), tuple(values)


def _with(stream: Stream, tag: Token) -> Statement:
    targets, values = [], []
    while stream.current.kind != lex.END:
        token = stream.name()
        stream.expect("=")
        targets.append(Node("name", token.value, token.offset))
        values.append(Expressions(stream).one())
        stream.accept(",")
    return Statement(tag.value, tag.offset, tuple(values), tuple(targets), tuple(values))


def _block(stream: Stream, tag: Token) -> Statement:
    return Statement(tag.value, tag.offset, name=stream.name().value)


def _targets(stream: Stream) -> tuple[Node, ...]:
    """Parse what is assigned to: names, attributes of a namespace, in brackets or not."""
    targets = []
    while stream.current.kind == lex.NAME and not stream.at("in"):
        token = stream.next()
        node = Node("name", token.value, token.offset)
        if stream.accept("."):
            attribute = stream.name()
            node = Node("attr", attribute.value, attribute.offset, (node,), depth=1)
        targets.append(node)
        stream.accept(")")
        if not stream.accept(","):
            break
        stream.accept("(")
    if not targets and stream.accept("("):
        return _targets(stream)
    if not targets:
        raise MalformedArtifactError(f"a name is missing at {stream.current.offset}")
    return tuple(targets)


_PARSERS: dict[str, Callable[[Stream, Token], Statement]] = {
    "if": _condition,
    "elif": _condition,
    "for": _for,
    "set": _set,
    "macro": _macro,
    "call": _call,
    "filter": _filter,
    "with": _with,
    "do": _expression,
    "autoescape": _expression,
    "block": _block,
}
