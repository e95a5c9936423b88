"""Chat templates: small Jinja programs that come with a model, rendered at every request.

A template has the conversation in its hands, and through attributes whose names begin with an
underscore the whole interpreter: ``transformers`` renders it in a sandbox, other runtimes did not
(CVE-2024-34359). Templates come in GGUF metadata, in ``tokenizer_config.json``, in
``chat_template.jinja``.

What is checked, on a parsed template, never on its text:

* attributes and constant subscripts, also as ``attribute=`` of filters: none begins with an
  underscore or leads to frames and code objects;
* subscripts that are computed: a string that the template itself builds (``~``, ``%``, ``join``,
  slices, blocks of text ...) may not select an attribute; ``formats.jinja_flow`` says how it is
  told from the keys of the conversation;
* ``attr``, ``str.format`` with fields, ``lipsum``, ``cycler``, ``joiner``, ``self``, loading of
  other templates;
* calls, filters and tests: what is not known is ``unknown``;
* ranges and repetitions of astronomical size.

Honest tool templates, with macros, namespaces and JSON schemas walked by recursion, use none of it.
Not checked: what a template *says*. A prompt hidden in a template is text.
"""

import re
from collections.abc import Iterator

from modelsec.errors import ArtifactError, MalformedArtifactError, ResourceLimitError
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats import text as plain
from modelsec.scanning.formats.jinja_check import check
from modelsec.scanning.formats.jinja_flow import nodes
from modelsec.scanning.formats.jinja_statements import statements
from modelsec.scanning.formats.jinja_tree import Statement
from modelsec.scanning.limits import MIB, Budget
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span

BROKEN = Rule(
    "MS-JIN-008",
    "a template that is not understood",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="render it only in an immutable sandbox; does it render at all?",
)

_NAMES = (".jinja", ".jinja2", ".j2")
_PROSE = (".md", ".markdown", ".rst", ".html", ".htm", ".py", ".tex")
_SPOKEN = frozenset({"messages", "add_generation_prompt", "bos_token"})
_LARGEST = 2 * MIB
"""Bytes, or characters, of a template; the longest honest ones have a hundredth of it."""
_MARKS = re.compile(r"\{[%{]")


def read(part: Part) -> Iterator[Observation]:
    """Accept a template: by its ending, or because it renders ``messages``.

    Documentation that shows templates, and text with doubled braces of other kinds, stays text.
    """
    name = part.name.lower()
    named = name.endswith(_NAMES)
    if name.endswith(_PROSE) or plain.is_code(part):
        raise NotThisFormat
    if part.source.size > _LARGEST:
        if named:
            raise ResourceLimitError(f"a template of more than {_LARGEST} bytes")
        raise NotThisFormat
    raw = part.source.read(0, part.source.size)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if named and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            yield BROKEN.at(0, f"the template is not UTF-8 at byte {error.start}")
            yield Span(0, part.source.size)
            return
        raise NotThisFormat from None
    if not _MARKS.search(text) or "\0" in text:
        raise NotThisFormat
    if not named and not _is_meant(text, part.budget):
        raise NotThisFormat
    yield Span(0, part.source.size)
    yield from check_template(text, part.budget, 0)


def _is_meant(text: str, budget: Budget) -> bool:
    """Whether a text without a template's name is one: it speaks of messages, or it attacks."""
    try:
        spoken = not _SPOKEN.isdisjoint(_names(text, budget))
        return spoken or any(
            found.verdict is Verdict.DANGEROUS for found in check_template(text, budget)
        )
    except MalformedArtifactError:
        return False


def check_bytes(data: bytes, budget: Budget, offset: int | None = None) -> Iterator[Finding]:
    """Check a template that is not decoded yet; see ``check_template``."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        yield BROKEN.at(offset, f"the template is not UTF-8 at byte {error.start}")
    else:
        yield from check_template(text, budget, offset)


def check_template(text: str, budget: Budget, offset: int | None = None) -> Iterator[Finding]:
    """Yield what a template does that chat templates have no need for.

    Args:
        text: the template.
        budget: pays for its tokens.
        offset: of the template within the part, in bytes; None if it has none there (a string in
            JSON): findings then say where they are in characters of the template.
    """
    if not _MARKS.search(text):
        return  # a text without blocks renders as itself
    if len(text) > _LARGEST:  # parsed, it takes sixty times the memory
        raise ResourceLimitError(f"a template of more than {_LARGEST} characters")
    parsed, broken = _parse(text, budget)
    last, at = 0, offset
    for finding, where in check(parsed, budget):
        if at is not None:  # from one finding to the next, or many would cost the square
            between = text[min(last, where) : max(last, where)].encode("utf-8", "replace")
            last, at = where, at + (len(between) if where > last else -len(between))
        message = finding.message if at is not None else f"{finding.message}, character {where}"
        yield finding.rule.at(
            at,
            message,
            operation=finding.operation,
            subject=finding.subject,
            evidence=text[where : where + 100],
        )
    if broken is not None:  # what stands before the break was judged
        yield BROKEN.at(offset, str(broken))


def _parse(text: str, budget: Budget) -> tuple[list[Statement], ArtifactError | None]:
    """Return the statements up to the break, and the break if there is one."""
    parsed: list[Statement] = []
    try:
        parsed.extend(statements(text, budget))
    except ArtifactError as error:
        return parsed, error
    return parsed, None


def _names(text: str, budget: Budget) -> set[str]:
    """Return the names that a template reads."""
    return {
        str(node.value)
        for statement in statements(text, budget)
        for root in statement.expressions
        for node in nodes(root)
        if node.kind == "name"
    }
