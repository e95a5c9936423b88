"""XML: PMML and OpenVINO models, pictures in SVG, and web pages.

**The format.** Elements in angle brackets. PMML describes models as data, OpenVINO a graph, SVG a
picture, XSLT a program.

**What an attacker does with it.** A document type declaration defines entities: one that names a
file or address makes a careless reader fetch it and put it into the document, nested ones expand
to gigabytes. XInclude pulls in files without any declaration. An encoding that one reader knows
and another does not hides all of this from the latter.

**What is checked.** The encoding is determined first; whatever is not UTF-8, UTF-16 or a
single-byte superset of ASCII is not read (incomplete), and UTF-7 is dangerous. A declaration is
dangerous wherever it stands and is never interpreted. The exceptions are the published types of
SVG, HTML and property lists, by name, address and without a part of their own: a note. XInclude is
dangerous; style sheets, scripts in pictures, vendor extensions are noted; XSLT, Java classes named
by PMML functions and OpenVINO layers outside the standard sets are ``unknown``.

**What is not.** What a model computes. Text in angle brackets that is not well-formed and not
clearly XML is left to the readers of text: most of it begins a model card.
"""

import codecs
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats import encoded, text
from modelsec.scanning.formats.xml_tokens import Declaration, Element, Instruction, tokens
from modelsec.scanning.limits import MIB
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Span

DECLARED = Rule(
    "MS-XML-001",
    "a document type or entity is declared",
    Verdict.DANGEROUS,
    incomplete=True,  # nothing behind it is read
    capability="file read, network, resource exhaustion",
    remedy="refuse the file, or remove the declaration; no model needs one",
)
PUBLISHED = Rule(
    "MS-XML-002",
    "a published document type is named",
    Verdict.DATA_ONLY,
    remedy="read it with a parser that fetches nothing",
)
INCLUDED = Rule(
    "MS-XML-003",
    "other files are included (XInclude)",
    Verdict.DANGEROUS,
    capability="file read, network",
    reference="https://www.w3.org/TR/xinclude/",
    remedy="refuse the file",
)
INSTRUCTION = Rule("MS-XML-004", "an instruction to some program", Verdict.DATA_ONLY)
SCRIPT = Rule(
    "MS-XML-005",
    "a script in a picture or page",
    Verdict.DATA_ONLY,
    capability="code execution in a browser",
    remedy="do not open it in a browser that is signed in somewhere",
)
EXTENSION = Rule("MS-XML-006", "an extension that only its vendor reads", Verdict.DATA_ONLY)
CLASS = Rule(
    "MS-XML-007",
    "a function that a reader looks up as a class",
    Verdict.UNKNOWN,
    capability="import",
    remedy="use the functions that PMML defines",
)
PROGRAM = Rule(
    "MS-XML-008",
    "a program in XML (XSLT)",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="it is no model: ask what it is for",
)
CUSTOM = Rule(
    "MS-XML-009",
    "a layer outside the standard sets",
    Verdict.UNKNOWN,
    capability="native code",
    remedy="such a layer needs a library: make sure that you want it",
)
ENCODING = Rule(
    "MS-XML-010",
    "an encoding that hides text from other readers",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: nothing honest is written in it",
)
MORE = Rule("MS-XML-011", "more of the same was not listed", Verdict.DATA_ONLY)

YAML = Rule(
    "MS-XML-012",
    "XML that is YAML as well",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="ask why a tag of YAML stands in it; nothing honest needs one",
)

OBJECTS = Rule(
    "MS-XML-013",
    "XML that builds objects which run things",
    Verdict.DANGEROUS,
    capability="code execution",
    remedy="refuse the file: readers of beans, XStream and XAML make any object of it",
)

_LISTED = 20
_TEMPLATES = (".jinja", ".jinja2", ".j2")
_BUILDS = re.compile(
    rb"java\.beans\.(?:XMLDecoder|EventHandler)|java\.lang\.(?:ProcessBuilder|Runtime\b)"
    rb"|javax\.script\.|<(?:\w+:)?ObjectDataProvider\b|clr-namespace:System\.Diagnostics"
    rb"|springframework\.org/schema/beans"
)
_PYTHON_TAG = re.compile(rb"!!?python/|2002:python/")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")

_XML_DECLARATION = re.compile(
    rb"<\?xml[ \t\r\n]++version[ \t\r\n]*+=[ \t\r\n]*+(?:\"[^\"]*+\"|'[^']*+')"
    rb"(?:[ \t\r\n]++encoding[ \t\r\n]*+=[ \t\r\n]*+"
    rb"(?:\"([A-Za-z0-9._-]*+)\"|'([A-Za-z0-9._-]*+)'))?"
    rb"[^?>]*+\?>"
)
_SINGLE_BYTE = re.compile(r"iso-8859-[0-9]{1,2}|windows-125[0-9]|latin-?1|koi8-[ru]|us-ascii|ascii")
_UTF16 = frozenset({"utf-16", "utf-16le", "utf-16be", "iso-10646-ucs-2", "unicode"})
_DOCTYPE = re.compile(
    rb"<!DOCTYPE[ \t\r\n]++(?:"
    rb"(?:svg|html)[ \t\r\n]++PUBLIC[ \t\r\n]++\"-//W3C//DTD [A-Za-z0-9 .]{1,40}+//EN\""
    rb"[ \t\r\n]++\"https?://www\.w3\.org/[A-Za-z0-9/._-]{1,80}+\"|"
    rb"plist[ \t\r\n]++PUBLIC[ \t\r\n]++\"-//Apple(?: Computer)?//DTD PLIST 1\.0//EN\""
    rb"[ \t\r\n]++\"https?://www\.apple\.com/DTDs/PropertyList-1\.0\.dtd\"|"
    rb"(?:svg|html|plist))[ \t\r\n]*+>"
)
_HTML = re.compile(
    rb"[ \t\r\n]*+(?>(?:<!--(?>(?:[^-]++|-(?!->))*)-->[ \t\r\n]*+)*)"
    rb"<(?:!doctype[ \t\r\n]++html(?:[ \t\r\n]++system[ \t\r\n]++[\"']about:legacy-compat[\"']|"
    rb"[ \t\r\n]++public[ \t\r\n]++\"-//(?:W3C|IETF)//DTD X?HTML [A-Za-z0-9 .]{0,30}+//EN\""
    rb"(?:[ \t\r\n]++\"https?://www\.w3\.org/[A-Za-z0-9/._-]{1,80}+\")?)?"
    rb"[ \t\r\n]*+>|(?:html|head|body)[ \t\r\n>])",
    re.IGNORECASE,
)
_HTML_SCRIPT = re.compile(rb"<script[ \t\r\n>]", re.IGNORECASE)
_REFERENCE = re.compile(rb"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_INCLUDES = (b"http://www.w3.org/2001/XInclude", b"http://www.w3.org/2003/XInclude")
_XSLT = b"http://www.w3.org/1999/XSL/Transform"
_HANDLER = re.compile(rb"on[a-z]{3,20}")
_OPSET = re.compile(rb"opset[0-9]{1,2}")


def read(part: Part) -> Iterator[Observation]:
    """Accept XML, and web pages."""
    source = part.source
    if part.name.lower().endswith(_TEMPLATES):
        raise NotThisFormat  # a template is rendered, whatever else its text could be
    part.budget.allow_read(source.size)
    raw = source.read(0, source.size)
    wide = _wide_encoding(raw[:4])
    if wide:
        part.budget.allow_read(2 * source.size)
    data = _transcoded(raw, wide) if wide else raw
    begin = _start(data)
    declaration = _XML_DECLARATION.match(data, begin)
    yield from _about_encoding(declaration, data, wide)
    yield from _about_text(part, data)
    if _CONTROL.search(data):
        raise NotThisFormat
    if _HTML.match(data, begin):
        yield from _page(part, data)
        return
    reader = _Reader()
    try:
        for finding in _findings(reader, data, declaration.end() if declaration else begin, part):
            # In transcoded text the offsets are others than in the file.
            yield replace(finding, offset=None) if wide else finding
    except MalformedArtifactError:
        if declaration is None and not reader.certain:
            raise NotThisFormat from None
        yield Identified(reader.format)
        raise
    yield Identified(reader.format)
    yield Span(0, source.size)
    if text.is_code(part):  # a script host reads some programs as XML
        yield text.CODE.at(0, "source code beside a model", evidence=raw[:60])


def _about_text(part: Part, data: bytes) -> Iterator[Observation]:
    """Yield what the text is to other readers, wherever in it that stands."""
    tag = _PYTHON_TAG.search(data)
    if tag is not None:
        yield YAML.at(tag.start(), "a YAML reader would make Python objects", evidence=tag.group())
    built = _BUILDS.search(data)
    if built is not None:
        yield OBJECTS.at(built.start(), "a reader would build it", evidence=built.group())
    yield from encoded.pickles(part, data)


def _findings(reader: "_Reader", data: bytes, start: int, part: Part) -> Iterator[Finding]:
    doctypes = 0
    position: int | None = start
    while position is not None:
        start, position = position, None
        for token in tokens(data, start, part.budget):
            if isinstance(token, Declaration):
                if not token.keyword.isupper():
                    raise MalformedArtifactError(f"no declaration of XML at {token.offset}")
                doctypes += 1
                # Behind a published type the reading goes on; behind another nothing is trusted.
                position = _published(data, token.offset) if doctypes == 1 else None
                yield from reader.declaration(token, data, known=position is not None)
            else:
                yield from reader.see(token)
    yield from reader.unlisted()


def _published(data: bytes, offset: int) -> int | None:
    """Return where a known document type ends, or None if it is none."""
    match = _DOCTYPE.match(data, offset)
    return match.end() if match else None


class _Reader:
    """What the tokens mean, as far as anything acts on them."""

    def __init__(self) -> None:
        self.format = "xml"
        self.certain = False
        self._said: dict[Rule, int] = {}
        self._by_format: dict[str, Callable[[Element], Iterator[Finding]]] = {
            "pmml": self._pmml,
            "openvino": self._openvino,
            "svg": self._svg,
        }

    def see(self, token: Element | Instruction) -> Iterator[Finding]:
        """Yield what there is to say about a tag or an instruction."""
        if isinstance(token, Element):
            yield from self._element(token)
        else:
            yield from self._instruction(token)

    def declaration(self, token: Declaration, data: bytes, *, known: bool) -> Iterator[Finding]:
        """Yield what there is to say about a declaration."""
        self.certain = True
        evidence = data[token.offset : token.offset + 60]
        if known:
            yield PUBLISHED.at(token.offset, "a reader may fetch it", evidence=evidence)
        else:
            message = f"<!{token.keyword.decode()}: it can name files and addresses, or expand"
            yield DECLARED.at(token.offset, message, evidence=evidence)

    def unlisted(self) -> Iterator[Finding]:
        """Yield how many findings were not listed."""
        for rule, count in self._said.items():
            if count > _LISTED:
                yield MORE.at(None, f"{rule.title}: {count - _LISTED} more")

    def _say(self, rule: Rule, offset: int, message: str, subject: bytes) -> Iterator[Finding]:
        self._said[rule] = self._said.get(rule, 0) + 1
        if self._said[rule] <= _LISTED:
            yield rule.at(offset, message, subject=subject.decode("utf-8", "replace"))

    def _instruction(self, token: Instruction) -> Iterator[Finding]:
        if token.target.lower() == b"xml":
            raise MalformedArtifactError(f"an XML declaration in the midst, at {token.offset}")
        message = "a style sheet" if token.target == b"xml-stylesheet" else "an instruction"
        yield from self._say(INSTRUCTION, token.offset, message, token.target)

    def _element(self, token: Element) -> Iterator[Finding]:
        local = token.name.rpartition(b":")[2]
        if token.depth == 0:
            self._root(token, local)
        for name, value in token.attributes:
            if name == b"xmlns" or name.startswith(b"xmlns:"):
                yield from self._namespace(token.offset, _resolved(value).strip())
        judge = self._by_format.get(self.format)
        if judge is not None:
            yield from judge(token)

    def _root(self, token: Element, local: bytes) -> None:
        names = {name for name, _ in token.attributes}
        self.certain = any(name == b"xmlns" or name.startswith(b"xmlns:") for name in names)
        if local == b"PMML":
            self.format, self.certain = "pmml", True
        elif local == b"svg":
            self.format, self.certain = "svg", True
        elif local == b"net" and b"version" in names:
            self.format, self.certain = "openvino", True

    def _namespace(self, offset: int, value: bytes) -> Iterator[Finding]:
        if value in _INCLUDES:
            yield INCLUDED.at(offset, "elements of this namespace are replaced by files")
        elif value == _XSLT:
            yield PROGRAM.at(offset, "templates that a processor runs")

    def _pmml(self, token: Element) -> Iterator[Finding]:
        local = token.name.rpartition(b":")[2]
        if local == b"Extension":
            yield from self._say(EXTENSION, token.offset, "an Extension element", local)
        elif local == b"Apply":
            function = dict(token.attributes).get(b"function", b"")
            if b"." in function or b"&" in function:
                message = "a function with a dotted name: readers load the class of that name"
                yield from self._say(CLASS, token.offset, message, function)
        elif local.lower() == b"script":
            yield from self._say(SCRIPT, token.offset, "a script element", local)

    def _openvino(self, token: Element) -> Iterator[Finding]:
        if token.name != b"layer":
            return
        attributes = dict(token.attributes)
        version = attributes.get(b"version", b"")
        if not _OPSET.fullmatch(version):
            kind = attributes.get(b"type", b"")
            message = f"a layer of the set {version.decode('utf-8', 'replace') or 'without a name'}"
            yield from self._say(CUSTOM, token.offset, message, kind)

    def _svg(self, token: Element) -> Iterator[Finding]:
        local = token.name.rpartition(b":")[2].lower()
        active = local in {b"script", b"foreignobject"} or any(
            _HANDLER.fullmatch(name.lower())
            or _resolved(value).strip().lower().startswith(b"javascript:")
            for name, value in token.attributes
        )
        if active:
            yield from self._say(SCRIPT, token.offset, "a browser may run it", token.name)


def _page(part: Part, data: bytes) -> Iterator[Observation]:
    """A web page: text to everything but a browser."""
    include = next((data.find(name) for name in _INCLUDES if name in data), None)
    if include is not None:
        yield INCLUDED.at(include, "elements of this namespace are replaced by files")
    script = _HTML_SCRIPT.search(data)
    if script is not None:
        yield SCRIPT.at(script.start(), "a browser runs it")
    yield Identified("html")
    yield from text.read(part)


def _start(data: bytes) -> int:
    """Return where the text begins; a loader may strip blanks that XML does not permit there."""
    mark = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    return len(data) - len(data[mark:].lstrip(b" \t\r\n"))


def _about_encoding(
    declaration: re.Match[bytes] | None, data: bytes, wide: str
) -> Iterator[Finding]:
    """Check that the text is in an encoding in which markup is ASCII, and in the declared one.

    Raises:
        UnsupportedFormatError: it is in another one.
        NotThisFormat: it is no text.
    """
    if declaration is None and data[_start(data) :].startswith((b"<?xml ", b"<?xml\t", b"<?xml\n")):
        raise UnsupportedFormatError("the XML declaration is not understood")
    name = b""
    if declaration is not None:
        name = (declaration.group(1) or declaration.group(2) or b"").lower()
    declared = name.decode()
    if declared in {"utf-7", "utf7"}:
        evidence = declaration.group() if declaration else b""
        yield ENCODING.at(0, "the text is declared as UTF-7", evidence=evidence)
    if wide:
        if declared and declared not in _UTF16:
            raise UnsupportedFormatError(f"the text is UTF-16, and declared as {declared}")
    elif declared in {"", "utf-8", "utf8"}:
        _check_utf8(data)
    elif not _SINGLE_BYTE.fullmatch(declared):
        raise UnsupportedFormatError(f"XML in the encoding {declared} is not read")


def _transcoded(raw: bytes, encoding: str) -> bytes:
    """Return UTF-16 as UTF-8; a pair of surrogates costs more, and is never markup."""
    try:
        return raw.decode(encoding).removeprefix("\ufeff").encode("utf-8")
    except UnicodeError:
        raise NotThisFormat from None


def _wide_encoding(start: bytes) -> str:
    if start.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"<\0\0\0", b"\0\0\0<")):
        raise UnsupportedFormatError("XML in UTF-32 is not read")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if start[:1] and start[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if start[:1] == b"\0" else ""


def _check_utf8(data: bytes) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), MIB):
            decoder.decode(data[start : start + MIB], final=start + MIB >= len(data))
    except UnicodeDecodeError:
        raise NotThisFormat from None


def _resolved(value: bytes) -> bytes:
    """Return an attribute's value with character references replaced."""

    def character(match: re.Match[bytes]) -> bytes:
        number = int(match.group(1), 16) if match.group(1) else int(match.group(2))
        return chr(number).encode("utf-8", "replace") if number <= sys.maxunicode else b""

    return _REFERENCE.sub(character, value).replace(b"&amp;", b"&") if b"&" in value else value
