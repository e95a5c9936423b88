"""Keys of JSON files on which some library acts, and what is to be said of their values.

See ``json_config``. A key counts wherever in a document it stands. Ordinary words (``target``,
``type``, ``imports``) count only together with the keys that give them their meaning, or if they
name something that no configuration needs.
"""

import base64
import re
from collections.abc import Callable, Iterator

from modelsec.errors import printable
from modelsec.scanning.finding import Finding, Verdict
from modelsec.scanning.formats import jinja, json_text
from modelsec.scanning.formats.json_names import LIBRARIES, is_dotted, is_honest, power
from modelsec.scanning.formats.json_rules import (
    CODE,
    EXPRESSION,
    OUTSIDE,
    POWER,
    SERIALIZED,
    TARGET,
    TRUST,
)
from modelsec.scanning.part import Observation, Part
from modelsec.scanning.source import BytesSource

_LEAVES = re.compile(r"(?:^|[/\\])\.(?:\.|git)(?:[/\\]|$)|^[/\\~]|^[A-Za-z]:|\\|\0|://")
_NEVER = frozenset(
    ("os", "posix", "nt", "subprocess", "sys", "builtins", "importlib", "shutil", "socket")
) | {"pickle", "ctypes", "pty", "runpy", "marshal", "code", "__builtin__", "commands"}
"""Modules of which no configuration needs anything."""
_TEMPLATES = frozenset({"chat_template", "chat_templates"})
_YES = frozenset({"true", "yes", "1", "on"})
_EXPRESSION = re.compile(
    r"\$\s*+(?:import\s|from\s|[A-Za-z_][\w.]*+\s*+\(|@|lambda\b|[(\[].*?\w\()"
)

Handler = Callable[[object, dict[str, object], Part], Iterator[Observation]]


def check_path(value: object, role: str) -> Iterator[Finding]:
    """Judge what a loader imports and calls by its dotted path."""
    if not isinstance(value, str) or "." not in value or is_honest(value):
        return
    # A path can walk in circles (os.path.os.path.os), so that its length is no excuse.
    capability = power(value) if is_dotted(value) else ""
    message = f"the {role} '{printable(value)}'"
    if capability:
        yield POWER.at(None, f"{message}: {capability}", operation="call", subject=value)
    else:
        yield TARGET.at(None, message, operation="call", subject=value)


def check_names(value: object) -> Iterator[Finding]:
    """Judge the names of files: one, a list, or the values of a map."""
    names = [*value.values()] if isinstance(value, dict) else value
    names = names if isinstance(names, list) else [names]
    for name in dict.fromkeys(name for name in names if isinstance(name, str)):
        if _LEAVES.search(name):
            message = f"the file '{printable(name)}' is not within the folder"
            yield OUTSIDE.at(None, message, operation="open", subject=name)


def check_expressions(value: object) -> Iterator[Finding]:
    """Report the first string that a MONAI bundle evaluates: Python behind a dollar sign."""
    stack: list[Iterator[object]] = [iter([value])]
    while stack:
        for child in stack[-1]:
            if isinstance(child, str) and _EXPRESSION.match(child):
                message = f"the expression '{printable(child)}'"
                yield EXPRESSION.at(None, message, operation="call", subject=child)
                return
            if isinstance(child, dict | list):
                stack.append(iter(child.values() if isinstance(child, dict) else child))
                break
        else:
            stack.pop()


def check_templates(value: object, part: Part) -> Iterator[Finding]:
    """Look for attacks in strings under keys that speak of templates: some program renders them."""
    stack: list[object] = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            for key, text in current.items():
                if isinstance(text, str) and key not in KEYS and "template" in key.lower():
                    found = jinja.check_template(text, part.budget)
                    yield from (one for one in found if one.verdict is Verdict.DANGEROUS)
            current = [child for key, child in current.items() if key not in _TEMPLATES]
        if isinstance(current, list):
            stack += [child for child in current if isinstance(child, dict | list)]


def _code(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """Classes by role: strings, lists of them, or nested."""
    del holder, part
    for path, name in json_text.walk(value):
        if isinstance(name, str) and name:
            elsewhere = ", of another repository" if "--" in name else ""
            role = printable(".".join(map(str, path)))
            message = f"code '{printable(name)}' for '{role}'{elsewhere}"
            yield CODE.at(None, message, operation="import", subject=name)


def _kernel(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """An implementation of attention: ``owner/name`` is fetched, and is native code."""
    for _, name in json_text.walk(value):
        if isinstance(name, str) and "/" in name:
            yield from _code(name, holder, part)


def _python_file(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    if isinstance(value, str) and value.endswith(".py"):
        yield from _code(value, holder, part)
        yield from check_names(value)


def _parent(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """The module that a PEFT adapter imports its base class from."""
    del holder, part
    library = value.get("parent_library") if isinstance(value, dict) else None
    if isinstance(library, str) and library.partition(".")[0] not in LIBRARIES:
        message = f"the base class is imported from '{printable(library)}'"
        yield CODE.at(None, message, operation="import", subject=library)


def _trust(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    del holder, part
    if value is True or (isinstance(value, str) and value.strip().lower() in _YES):
        yield TRUST.at(None, "trust_remote_code is true")


def _call(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    del holder, part
    yield from check_path(value, "target")


def _target(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """A path to instantiate; ``target`` is an ordinary word without ``params`` beside it."""
    if "params" in holder:
        yield from check_path(value, "target")
    else:
        yield from _hostile(value, holder, part)


def _hostile(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """Judge an ordinary word, behind which only what no configuration needs is a finding."""
    del holder, part
    if isinstance(value, str) and value.partition(".")[0] in _NEVER:
        yield from check_path(value, "value")


def _activation(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    del holder, part
    if is_dotted(value):
        yield from check_path(value, "activation")


def _routes(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """The classes of a Sentence Transformers router, by name."""
    del value, part
    types = holder.get("types")
    for path in types.values() if isinstance(types, dict) else ():
        yield from check_path(path, "type")


def _rebuilt(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """Objects as jsonpickle writes them."""
    if isinstance(value, str | list | dict):  # a number by that name is a word's, in a vocabulary
        found = list(check_path(value, "class"))
        yield from found or _code("py/...", holder, part)


def _constructed(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """Objects of LangChain, by a path in pieces."""
    del value, part
    pieces = holder.get("id")
    if holder.get("type") == "constructor" and isinstance(pieces, list):
        path = ".".join(piece for piece in pieces if isinstance(piece, str))
        if not path.startswith("langchain"):
            yield from check_path(path, "class")


def _imports(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """``custom_imports`` of OpenMMLab: modules that are imported before anything else."""
    if isinstance(value, dict):
        yield from _code(value.get("imports"), holder, part)


def _template(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """A template, or several: by name, or as objects with ``name`` and ``template``."""
    del holder
    for _, text in json_text.walk(value):
        if isinstance(text, str):
            yield from jinja.check_template(text, part.budget)


def _prompt(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    if value == "jinja2":
        yield from _template(holder.get("template"), holder, part)


def _serialized(value: object, holder: dict[str, object], part: Part) -> Iterator[Observation]:
    """Base64 of a cloudpickle; Stable-Baselines decodes it as leniently as is done here."""
    del holder
    if not isinstance(value, str | list | dict):
        return  # a word of a vocabulary
    try:
        content = base64.b64decode(value) if isinstance(value, str) else b""
    except ValueError:
        content = b""
    if content:
        yield part.child(BytesSource(content), ":serialized:")
    else:
        yield SERIALIZED.at(None, "the value of :serialized: is no base64")


def _files(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    del holder, part
    yield from check_names(value)


def _manifest(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """``paths`` of a weights manifest; elsewhere it is an ordinary word."""
    del part
    if isinstance(holder.get("weights"), list):
        yield from check_names(value)


def _external(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """Where the tensors of an ONNX model in JSON lie."""
    del holder, part
    for entry in value if isinstance(value, list) else ():
        if isinstance(entry, dict) and entry.get("key") == "location":
            yield from check_names(entry.get("value"))


KEYS: dict[str, Handler] = {
    ":serialized:": _serialized,
    "auto_map": _code,
    "custom_pipelines": _code,
    "custom_pipeline": _code,
    "custom_imports": _imports,
    "loader_module": _code,
    "model_file": _python_file,
    "auto_mapping": _parent,
    "trust_remote_code": _trust,
    "_target_": _call,
    "_component_": _call,
    "class_path": _call,
    "()": _call,
    "target": _target,
    "type": _hostile,
    "class": _hostile,
    "cls": _hostile,
    "func": _hostile,
    "function": _hostile,
    "callable": _hostile,
    "factory": _hostile,
    "handler": _hostile,
    "structure": _routes,
    "py/object": _rebuilt,
    "py/type": _rebuilt,
    "py/class": _rebuilt,
    "py/function": _rebuilt,
    "py/reduce": _rebuilt,
    "py/repr": _rebuilt,
    "py/newargs": _rebuilt,
    "py/newargsex": _rebuilt,
    "lc": _constructed,
    "_attn_implementation": _kernel,
    "attn_implementation": _kernel,
    "_attn_implementation_internal": _kernel,
    "_experts_implementation": _kernel,
    "activation_fn": _activation,
    "activation_function": _activation,
    "sbert_ce_default_activation_function": _activation,
    "chat_template": _template,
    "chat_templates": _template,
    "template_format": _prompt,
    "weight_map": _files,
    "paths": _manifest,
    "externalData": _external,
}
"""What to ask of the value, by key."""

ORDINARY = frozenset(
    ("target", "paths", "type", "class", "cls", "func", "function", "callable", "factory")
) | {"handler", "structure", "lc", "()"}
"""Words that may well occur twice without anybody acting on them."""
