"""YAML: configurations that name what a program is to call.

**The format.** Text of nested keys and values; also JSON-like brackets, anchors and aliases, tags,
five ways to write a string.

**What an attacker does with it.** Hydra, NeMo (CVE-2025-23304) and their like import the dotted
name under ``_target_`` (``target``, ``class_path``, ``_component_``) and call it. An unsafe YAML
loader does the same for tags such as ``!!python/object/apply``. MLflow imports the
``loader_module`` of an ``MLmodel`` file and puts its ``code`` folder on the path. A key can be
hidden from a search by quotes, escapes, anchors, brackets or a complex key.

**What is checked.** The text is tokenised (not searched): every key with its scalar, every tag.
Dotted names are asked of the policy (layer ``yaml``; classes below ``nemo.collections`` and
``nemo.core`` by form); known capabilities are dangerous, other names ``unknown``. Python tags that
name something are dangerous; unknown tags, needless escapes in keys, and aliased or complex keys
that would call something are ``unknown``. Only
text that can hold any of this is tokenised at all. A model card's front matter is a document; the
prose behind it is not YAML, and is left alone.

**What is not.** Interpolations (``${...}``) are not resolved: as a name to call they are
``unknown``.
"""

import re
import sys
from collections.abc import Generator, Iterator

from modelsec.errors import ResourceLimitError
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats import text as plain
from modelsec.scanning.formats.yaml_events import BrokenYamlError, Ended, Pair, Tag
from modelsec.scanning.formats.yaml_tokens import Scanner, next_document
from modelsec.scanning.limits import MIB
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Permitted
from modelsec.scanning.pickle.capabilities import capability

CAPABILITY = Rule(
    "MS-YML-001",
    "a configuration calls something harmful",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2025-23304",
    remedy="refuse the file",
)
UNLISTED = Rule(
    "MS-YML-002",
    "a configuration names something to call outside the policy",
    Verdict.UNKNOWN,
    capability="call",
    reference="CVE-2025-23304",
    remedy="if the package is yours, add the name to a policy layer",
)
PYTHON_TAG = Rule(
    "MS-YML-003",
    "a tag that makes Python objects",
    Verdict.DANGEROUS,
    capability="code execution",
    remedy="refuse the file; read YAML with a safe loader only",
)
OTHER_TAG = Rule(
    "MS-YML-004",
    "a tag of an unknown kind",
    Verdict.UNKNOWN,
    remedy="only the program that wrote it knows what it means",
)
HIDDEN = Rule(
    "MS-YML-005",
    "a key is written so that a search does not find it",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="ask why; nothing honest needs it",
)
BROKEN = Rule(
    "MS-YML-006",
    "text that names things to call, and is not understood as YAML",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="loaders differ on broken YAML: get the file again, or read it",
)
LOADER = Rule(
    "MS-YML-007",
    "an MLflow model names a module or code to import",
    Verdict.UNKNOWN,
    capability="import",
    remedy="read the code that comes with the model before you load it",
)
EXPRESSION = Rule(
    "MS-YML-009",
    "a configuration holds Python expressions",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="read them: some loaders evaluate layers and activations (YOLO) and what begins with a "
    "dollar sign (MONAI)",
)
MORE = Rule("MS-YML-008", "more of the same was not listed", Verdict.DATA_ONLY)

_LARGEST = 16 * MIB
_LISTED = 50
_OVERLAP = 64
_LARGE_INTEREST = re.compile(
    rb"_target_|class_path|_component_|loader_module|!!?python/|2002:python|[\n ]target[\"']?+\s*+:"
)
_LONGEST_NAME = 500

_CALLS = frozenset({"_target_", "_component_", "class_path"})
_NAMING = frozenset({"target", "loader_module"})
_ORDINARY = frozenset(
    ("type", "class", "cls", "func", "function", "callable", "factory", "handler", "()")
)
"""Ordinary words, behind which only what no configuration needs is a finding."""
_INTEREST = re.compile(
    r"target|_component_|class_path|loader_module|custom_imports"
    r"|(?:os|posix|nt|subprocess|sys|builtins|importlib|shutil|socket|pickle|ctypes|pty|runpy"
    r"|marshal|__builtins__|__globals__)\.[a-zA-Z_]"
)
_EXPRESSION = re.compile(
    r"__(?:import|builtins|globals|subclasses)__|\bos\.system\(|\b(?:eval|exec)\("
    r"|(?:^|[\s\"'])\$\s*+(?:import\s|from\s|[A-Za-z_][\w.]*+\s*+\(|@)"
)
_CODE_KEYS = frozenset({"code", "code_path", "code_paths"})
_NOTHING = frozenset({"", "null", "~", "None"})
_CONFIGURATIONS = (".yaml", ".yml")
_TAGGED = re.compile(r"(?:^|[\s,\[{:-])!", re.MULTILINE)
_BROKEN_INTEREST = re.compile(
    r"(?:^|[\[{,])[ \t?-]*+[\"']?(?:_target_|_component_|class_path)[\"']?\s*+:"
    r"|:\s++!!?python/|2002:python/",
    re.MULTILINE,
)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)  # no YAML begins a line like that
_DOTTED = re.compile(r"[A-Za-z_]\w*+(?>(?:\.[A-Za-z_]\w*+)+)")
_FRAMEWORK = re.compile(
    r"nemo\.(?:collections|core)\.((?>(?:[a-z_][a-z0-9_]*+\.)*))[A-Z][A-Za-z0-9_]*+"
)
_CORE_TAG = "tag:yaml.org,2002:"
_CORE_TAGS = frozenset(
    ("str", "int", "float", "bool", "null", "map", "seq", "binary", "set", "omap", "pairs")
) | {"timestamp", "merge", "value"}
_PYTHON_DATA = frozenset(
    ("none", "bool", "str", "unicode", "bytes", "int", "long", "float", "complex", "list")
) | {"tuple", "dict"}
_PICTURE = re.compile(r"!\[.*+")  # of Markdown; a list of them is YAML by accident
_REACHED = frozenset(
    ("os", "posix", "nt", "subprocess", "sys", "builtins", "importlib", "shutil", "socket")
) | {"pickle", "ctypes", "pty", "runpy", "marshal", "__builtins__", "__globals__"}
_ALIASES = frozenset({"torch", "numpy", "np", "pd", "hydra", "omegaconf", "yaml", "lightning"})


def read(part: Part) -> Iterator[Observation]:
    """Accept text in which a document is a mapping or a sequence that could act."""
    claimed = list(plain.read(part))  # what makes it text; raises if it is none
    if part.source.size > _LARGEST:
        _refuse_large(part)
    raw = part.source.read(0, part.source.size)
    utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    content = raw.decode("utf-16" if utf16 else "utf-8")
    expression = None
    if part.name.lower().endswith(_CONFIGURATIONS):
        expression = _EXPRESSION.search(content)
    if expression is None and not _may_act(content):
        raise NotThisFormat
    judge = _Judge(part)
    accepted = yield from _documents(content, judge)
    if expression is not None:
        yield EXPRESSION.at(None, "Python within a value", evidence=expression.group())
    elif not accepted:
        raise NotThisFormat
    yield Identified("yaml")
    yield from claimed
    yield from judge.unlisted()


def _may_act(content: str) -> bool:
    return bool(
        _INTEREST.search(content) or _TAGGED.search(content) or ('"' in content and "\\" in content)
    )


def _refuse_large(part: Part) -> None:
    """A large text is YAML if a key stands at its beginning, or one that acts stands anywhere."""
    start = part.source.read(0, 4096).decode("utf-8", "ignore")
    if re.match(r"\s*+(?:[\[{]|-{3}\s|- |[\w\"']++\s*+:\s)", start) is None:
        for offset in range(0, part.source.size, MIB):
            part.budget.check_time()
            length = min(MIB + _OVERLAP, part.source.size - offset)
            if _LARGE_INTEREST.search(part.source.read(offset, length).replace(b"\0", b"")):
                break
        else:
            raise NotThisFormat
    raise ResourceLimitError(f"a YAML text of more than {_LARGEST} bytes")


def _documents(content: str, judge: "_Judge") -> Generator[Observation, None, bool]:
    """Judge document after document; go on behind one that breaks."""
    accepted = False
    position: int | None = 0
    while position is not None:
        begin = position
        position = None
        seen: list[Observation] = []
        try:
            for event in Scanner(content, begin, judge.budget).events():
                if isinstance(event, Ended):
                    accepted = (
                        accepted
                        or event.container
                        or any(
                            isinstance(found, Finding) and _is_dangerous(found) for found in seen
                        )
                    )
                    begin = event.position
                    yield from seen
                    seen = []
                else:
                    seen.extend(judge.see(event))
        except BrokenYamlError as error:
            position = next_document(content, max(error.position - 1, begin))
            rest = content[begin : len(content) if position is None else position]
            # Nothing of a broken document is built. What is dangerous is told all the same.
            told = [found for found in seen if isinstance(found, Finding) and _is_dangerous(found)]
            if error.container and _BROKEN_INTEREST.search(_FENCED.sub("", rest)):
                message = "it stops being YAML here, and names things to call"
                told.append(BROKEN.at(error.position, message))
            accepted = accepted or bool(told)
            yield from told
    return accepted


def _is_dangerous(found: Finding) -> bool:
    return found.verdict is Verdict.DANGEROUS


class _Judge:
    """What keys, values and tags mean."""

    def __init__(self, part: Part) -> None:
        self.budget = part.budget
        self._policy = part.policy
        self._mlflow = False
        self._code: list[tuple[int, str]] = []
        self._count = 0

    def see(self, event: Pair | Tag) -> Iterator[Observation]:
        """Yield what there is to say about one event."""
        for observed in self._tag(event) if isinstance(event, Tag) else self._pair(event):
            self._count += 1
            # The dangerous ones are always told; of the rest, the first ones.
            if self._count <= _LISTED or (
                isinstance(observed, Finding) and _is_dangerous(observed)
            ):
                yield observed

    def unlisted(self) -> Iterator[Finding]:
        """Yield how many observations were not listed."""
        if self._count > _LISTED:
            yield MORE.at(None, f"{self._count - _LISTED} more")

    def _pair(self, pair: Pair) -> Iterator[Observation]:
        if pair.odd and (pair.escaped or pair.key in _CALLS or pair.key in _NAMING):
            yield HIDDEN.at(pair.offset, pair.odd, subject=pair.key)
        value = (pair.value or "").strip()
        if pair.key == "loader_module":
            self._mlflow = True
            yield from self._module(pair.offset, value)
            yield from self._beside()
        elif pair.key in _CODE_KEYS and value not in _NOTHING:
            if len(self._code) < _LISTED:  # it counts if a loader is named, before or behind it
                self._code.append((pair.offset, value))
            yield from self._beside()
        elif pair.key in _ORDINARY:
            if value.partition(".")[0] in _REACHED and _DOTTED.fullmatch(value[:_LONGEST_NAME]):
                yield from self._call(pair.offset, value)
        elif value and (pair.key in _CALLS or (pair.key == "target" and _DOTTED.fullmatch(value))):
            yield from self._call(pair.offset, value)

    def _beside(self) -> Iterator[Observation]:
        """Yield the code beside a model of MLflow that was not reported yet."""
        if self._mlflow:
            code, self._code = self._code, []
            for offset, value in code:
                yield LOADER.at(offset, "code beside the model is imported", subject=value)

    def _call(self, offset: int, value: str) -> Iterator[Observation]:
        if len(value) > _LONGEST_NAME or not _DOTTED.fullmatch(value):
            message = "what is called is not a dotted name"
            yield UNLISTED.at(offset, message, operation="call", subject=value)
            return
        module, _, name = value.rpartition(".")
        allowance = self._policy.permits("call", module, name)
        if allowance is not None:
            yield Permitted(allowance.layer, "call", f"{module}:{name}")
        elif "yaml" in self._policy.layers and _is_framework_class(value):
            yield Permitted("yaml", "call", f"{module}:{name}")
        elif able := _able(value):
            message = f"the loader calls {value}, which {able}"
            yield CAPABILITY.at(offset, message, operation="call", subject=value)
        else:
            message = f"the loader calls {value}"
            yield UNLISTED.at(offset, message, operation="call", subject=value)

    def _module(self, offset: int, value: str) -> Iterator[Observation]:
        value = value[:_LONGEST_NAME]
        module, _, name = value.rpartition(".")
        allowance = self._policy.permits("import", module, name)
        if allowance is not None:
            yield Permitted(allowance.layer, "import", value)
        elif value and not value.startswith("mlflow.") and (able := capability(value, "")):
            message = f"the loader imports {value}, which {able}"
            yield CAPABILITY.at(offset, message, operation="import", subject=value)
        elif value:
            yield LOADER.at(offset, f"the loader imports {value}", subject=value)

    def _tag(self, event: Tag) -> Iterator[Observation]:
        tag = event.tag
        short = tag.removeprefix(_CORE_TAG)
        kind = short.removeprefix("python/")
        if short in _CORE_TAGS and short != tag:
            return
        if kind != short or tag.startswith(("!python/", "!!python/")):
            if kind in _PYTHON_DATA:
                return
            yield from self._python(event.offset, kind, tag)
        elif short != tag and "." in short:
            message = f"the tag names a class: {short}"
            yield PYTHON_TAG.at(event.offset, message, operation="call", subject=short)
        elif not _PICTURE.match(tag):
            yield OTHER_TAG.at(event.offset, f"the tag {tag}", subject=tag)

    def _python(self, offset: int, kind: str, tag: str) -> Iterator[Observation]:
        what, _, path = kind.partition(":")
        module, _, name = path.rpartition(".")
        operation = "import" if what in {"name", "module"} else "call"
        allowance = self._policy.permits(operation, module, name)
        if allowance is not None:
            yield Permitted(allowance.layer, operation, f"{module}:{name}")
        else:
            message = f"an unsafe loader makes {path or kind} of it"
            yield PYTHON_TAG.at(offset, message, operation=operation, subject=tag)


def _is_framework_class(value: str) -> bool:
    """A class of NeMo, by form: a name that is reached through another module is none."""
    match = _FRAMEWORK.fullmatch(value)
    if match is None:
        return False
    pieces = set(match.group(1).split("."))
    return not pieces & (sys.stdlib_module_names | _ALIASES)


def _able(value: str) -> str:
    """Return what a dotted name can do, also if it is reached through a module in between."""
    pieces = value.split(".")
    if pieces[0] != "nemo" and (able := capability(".".join(pieces[:-1]), pieces[-1])):
        return able
    for number, piece in enumerate(pieces[:-1]):
        if piece in _REACHED:
            module = ".".join(pieces[number:-1])
            return capability(module, pieces[-1]) or "reaches what it should not"
    return ""
