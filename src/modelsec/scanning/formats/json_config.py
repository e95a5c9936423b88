"""JSON files beside a model: configurations that name code, templates, and files elsewhere.

Most are data: vocabularies of many megabytes, hyperparameters, indices. A few keys make a loader
do something, and these are looked at, wherever in the document they stand:

* ``auto_map``, ``custom_pipelines``, ``auto_mapping``, ``model_file``: Python code that comes with
  the model and is run if its user sets ``trust_remote_code``. Without that it is not touched, and
  many honest models have it: ``unknown``, not ``dangerous``; the code itself has to be read.
* ``trust_remote_code: true``: a configuration that answers for its user.
* ``_target_``, ``target`` with ``params``, the ``type`` of modules, activations: dotted paths that
  a loader imports and calls (CVE-2025-23304). Classes of known families pass, known capabilities
  are dangerous.
* ``chat_template``: a Jinja program, see ``formats.jinja``.
* ``weight_map`` and manifests: files that are opened; none may leave the folder.
* ``class_name`` with ``config``: a Keras model, see ``formats.keras``.
* notebooks, which are code.

The words in strings are never judged: a vocabulary holds ``os.system`` and ``eval``. JSON Lines and
documents in a row are read as well. Encodings other than UTF-8 and keys that occur twice are
findings, because loaders disagree on them.
"""

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from modelsec.errors import ArtifactError, MalformedArtifactError
from modelsec.scanning.finding import Finding, Rule, Verdict, printable
from modelsec.scanning.formats import jinja, json_text
from modelsec.scanning.formats.json_names import (
    LIBRARIES,
    PIPELINES,
    is_class,
    is_dotted,
    is_honest,
    power,
)
from modelsec.scanning.formats.json_text import Document
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Span
from modelsec.scanning.source import BytesSource

_READ_CODE = "read the code, pin its revision, or load the model without trust_remote_code"

CODE = Rule(
    "MS-JSN-001",
    "a configuration names Python code that comes with the model",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy=_READ_CODE,
)
TRUST = Rule(
    "MS-JSN-002",
    "a configuration trusts remote code on behalf of its user",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy=_READ_CODE,
)
TARGET = Rule(
    "MS-JSN-003",
    "a configuration names a callable that no rule permits",
    Verdict.UNKNOWN,
    capability="code execution",
    reference="CVE-2025-23304",
    remedy="look up what the loader does with the path; permit it only if it is a plain class",
)
POWER = Rule(
    "MS-JSN-004",
    "a configuration names a callable of a known capability",
    Verdict.DANGEROUS,
    capability="code execution",
    reference="CVE-2025-23304",
    remedy="refuse the file: no model is configured with it",
)
OUTSIDE = Rule(
    "MS-JSN-005",
    "a configuration names files outside its folder",
    Verdict.DANGEROUS,
    capability="file read",
    remedy="refuse the file: the parts of a model lie beside it",
)
NOTEBOOK = Rule(
    "MS-JSN-006",
    "a notebook: source code",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="read it; it is not needed to load a model",
)
TWICE = Rule("MS-JSN-007", "a key occurs twice", Verdict.DATA_ONLY)
TWICE_ACTING = Rule(
    "MS-JSN-008",
    "a key that loaders act on occurs twice",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="refuse the file: one loader takes the first, another the last",
)
ENCODING = Rule(
    "MS-JSN-009",
    "JSON that is not UTF-8",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="write the file anew in UTF-8",
)
MARK = Rule("MS-JSN-010", "JSON with a byte order mark", Verdict.DATA_ONLY)

_CLEARLY = re.compile(rb"(?:\xef\xbb\xbf)?+\s*+(?:\[\s*+)?+\{\s*+\"")
_TEMPLATE = re.compile(rb"\s*+\{[{%#]")
_LEAVES = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\~]|^[A-Za-z]:|\\|\0|://")


def read(part: Part) -> Iterator[Observation]:
    """Look for what acts in one or more JSON documents."""
    source = part.source
    start = source.read(0, min(256, source.size))
    if _TEMPLATE.match(start):
        raise NotThisFormat
    clear = _CLEARLY.match(start) is not None
    try:
        part.budget.allow_read(source.size)
        data = source.read(0, source.size)
        for document in json_text.documents(data, part.budget, watch=_WATCHED):
            yield from _check(document, part, data)
    except MalformedArtifactError:
        if not clear:
            raise NotThisFormat from None
        yield Span(0, 1)
        raise
    except ArtifactError:
        yield Span(0, 1)
        raise
    yield Span(0, source.size)


def _check(document: Document, part: Part, data: bytes) -> Iterator[Observation]:
    if document.encoding == "utf-8-sig":
        yield MARK.at(0, "a byte order mark stands before the text")
    elif document.encoding != "utf-8":
        yield ENCODING.at(0, f"the text is {document.encoding}")
    for key in document.duplicates:
        rule = TWICE_ACTING if key in _ACTING else TWICE
        yield rule.at(_place(data, key), f"the key '{printable(key)}' occurs twice", subject=key)
    for holder in document.watched:
        for key in _KEYS.keys() & holder.keys():
            for observed in _KEYS[key](holder[key], holder, part):
                yield _placed(observed, data, key) if isinstance(observed, Finding) else observed
    yield from _check_whole(document.value)
    yield from _check_keras(document, part)


def _place(data: bytes, key: str) -> int | None:
    """Return where a key is written, if it is written plainly."""
    found = data.find(b'"' + key.encode("utf-8", "replace") + b'"')
    return found if found >= 0 else None


def _placed(finding: Finding, data: bytes, key: str) -> Finding:
    return finding if finding.offset is not None else replace(finding, offset=_place(data, key))


def _check_whole(value: object) -> Iterator[Observation]:
    """What is known by the form of the whole document."""
    if isinstance(value, dict):
        if isinstance(value.get("nbformat"), int):
            yield Identified("notebook")
            yield NOTEBOOK.at(0, "the cells of a notebook are source code")
        if "_class_name" in value:
            yield from _pipeline(value)
    elif isinstance(value, list):
        for item in value[:_MODULES]:
            if isinstance(item, dict) and "path" in item and is_dotted(item.get("type")):
                yield from _path(item["type"], "type")
                yield from _leaving(item["path"])


def _pipeline(value: dict[str, object]) -> Iterator[Finding]:
    """The parts of a diffusers pipeline: [library, class] by name."""
    if not isinstance(value["_class_name"], str):
        yield CODE.at(None, "the class of the pipeline is of a module of its own")
    for role, pair in value.items():
        if isinstance(pair, list) and len(pair) == 2:  # noqa: PLR2004 - a pair
            library, name = pair
            if role.startswith("_"):
                continue
            if isinstance(library, str) and isinstance(name, str):
                yield from _component(role, library, name)


def _component(role: str, library: str, name: str) -> Iterator[Finding]:
    if library in LIBRARIES | PIPELINES and is_class(name):
        return
    subject = f"{library}:{name}"
    message = f"the part '{printable(role)}' is {printable(subject)}"
    capability = "" if library in LIBRARIES else power(f"{library}.{name}")
    if capability:
        yield POWER.at(None, f"{message}: {capability}", operation="import", subject=subject)
    else:
        yield CODE.at(None, f"{message}, of no known library", operation="import", subject=subject)


def _check_keras(document: Document, part: Part) -> Iterator[Observation]:
    """Hand a Keras model's configuration to the reader of Keras files."""
    value = document.value
    for key in ("modelTopology", "model_config"):
        inner = value.get(key) if isinstance(value, dict) else None
        value = inner if isinstance(inner, dict) else value
    if not (isinstance(value, dict) and isinstance(value.get("class_name"), str)):
        return
    if isinstance(value.get("config"), dict | list):
        from modelsec.scanning.formats import keras  # noqa: PLC0415 - needed by few files

        yield from keras.check_config(value, part.budget, part.policy)


def _code(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """Classes by role: strings, lists of them, or nested."""
    del holder, part
    for path, name in json_text.walk(value):
        if isinstance(name, str) and name:
            elsewhere = ", of another repository" if "--" in name else ""
            role = printable(".".join(map(str, path)))
            message = f"code '{printable(name)}' for '{role}'{elsewhere}"
            yield CODE.at(None, message, operation="import", subject=name)


def _python_file(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    if isinstance(value, str) and value.endswith(".py"):
        yield from _code(value, holder, part)
        yield from _leaving(value)


def _parent(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """The module that a PEFT adapter imports its base class from."""
    del holder, part
    library = value.get("parent_library") if isinstance(value, dict) else None
    if isinstance(library, str) and library.partition(".")[0] not in LIBRARIES:
        message = f"the base class is imported from '{printable(library)}'"
        yield CODE.at(None, message, operation="import", subject=library)


def _trust(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    del holder, part
    if value is True:
        yield TRUST.at(None, "trust_remote_code is true")


def _target(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """A path to instantiate; ``target`` is an ordinary word without ``params`` beside it."""
    del part
    if "_target_" in holder or isinstance(holder.get("params"), dict):
        yield from _path(value, "target")


def _activation(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    del holder, part
    yield from _path(value, "activation")


def _path(value: object, role: str) -> Iterator[Finding]:
    if not isinstance(value, str) or not is_dotted(value) or is_honest(value):
        return
    capability = power(value)
    message = f"the {role} '{printable(value)}'"
    if capability:
        yield POWER.at(None, f"{message}: {capability}", operation="call", subject=value)
    else:
        yield TARGET.at(None, message, operation="call", subject=value)


def _template(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """A template, or several: by name, or as objects with ``name`` and ``template``."""
    del holder
    for _, text in json_text.walk(value):
        if isinstance(text, str):
            yield from jinja.check_template(text, part.budget)


def _serialized(
    value: object, holder: dict[str, object], part: Part
) -> Iterator[Observation]:
    """Base64 of a cloudpickle, which Stable-Baselines loads."""
    del holder
    if not isinstance(value, str):
        return
    try:
        content = base64.b64decode(value, validate=True)
    except ValueError:
        return
    if content:
        yield part.child(BytesSource(content), ":serialized:")


def _files(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    del holder, part
    yield from _leaving(value)


def _manifest(value: object, holder: dict[str, object], part: Part) -> Iterator[Finding]:
    """``paths`` of a weights manifest; elsewhere it is an ordinary word."""
    del part
    if isinstance(holder.get("weights"), list):
        yield from _leaving(value)


def _leaving(value: object) -> Iterator[Finding]:
    """File names that leave the folder: one, a list, or the values of a map."""
    names = [*value.values()] if isinstance(value, dict) else value
    names = names if isinstance(names, list) else [names]
    for name in dict.fromkeys(name for name in names if isinstance(name, str)):
        if _LEAVES.search(name):
            message = f"the file '{printable(name)}' is not within the folder"
            yield OUTSIDE.at(None, message, operation="open", subject=name)


_MODULES = 1000
_KEYS: dict[str, Callable[[object, dict[str, object], Part], Iterator[Observation]]] = {
    ":serialized:": _serialized,
    "auto_map": _code,
    "custom_pipelines": _code,
    "custom_pipeline": _code,
    "loader_module": _code,
    "model_file": _python_file,
    "auto_mapping": _parent,
    "trust_remote_code": _trust,
    "_target_": _target,
    "target": _target,
    "activation_fn": _activation,
    "activation_function": _activation,
    "sbert_ce_default_activation_function": _activation,
    "chat_template": _template,
    "chat_templates": _template,
    "weight_map": _files,
    "paths": _manifest,
}
_WATCHED = frozenset(_KEYS)
_ACTING = _WATCHED - {"target", "paths"}
