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
* Python that a reader evaluates or rebuilds: strings behind ``$`` (MONAI bundles), ``py/object``
  (jsonpickle), ``:serialized:`` (Stable-Baselines), pickles in base64 anywhere.
* ``weight_map`` and manifests: files that are opened; none may leave the folder.
* ``class_name`` with ``config``, wherever it stands: a Keras model, see ``formats.keras``.
* notebooks, which are code.

The words in strings are never judged: a vocabulary holds ``os.system`` and ``eval``. JSON Lines and
documents in a row are read as well. Encodings other than UTF-8 and keys that occur twice are
findings, because loaders disagree on them.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from modelsec.errors import ArtifactError, MalformedArtifactError, printable
from modelsec.scanning.finding import Finding
from modelsec.scanning.formats import encoded, json_text
from modelsec.scanning.formats.json_keys import (
    KEYS,
    ORDINARY,
    check_expressions,
    check_names,
    check_path,
    check_templates,
)
from modelsec.scanning.formats.json_names import LIBRARIES, PIPELINES, is_class, power
from modelsec.scanning.formats.json_rules import (
    CODE,
    ELSEWHERE,
    ENCODING,
    MARK,
    NOTEBOOK,
    POWER,
    TWICE,
    TWICE_ACTING,
)
from modelsec.scanning.formats.json_text import Document
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Span

_CLEARLY = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?:\[\s*+)?\{\s*+\"")
_TEMPLATE = re.compile(rb"\s*+\{[{%#]")
_TEMPLATES = (".jinja", ".jinja2", ".j2")
_EXPRESSION = re.compile(rb"\"(?:\$|\\u0024)[^\"]{0,60}?[(@\\ ]")
_ONNX = frozenset({"irVersion", "opsetImport"})
_RENDERED = re.compile(rb"[_a-z]template|template[_a-z]*+\"|\\u", re.IGNORECASE)
_BLOCK = re.compile(rb"\{[{%]|\\u007[bB]")
_KERAS = "class_name"
_PARTS = (2, 3)  # of a pipeline: library and class, sometimes more
_WATCHED = frozenset(KEYS) | {_KERAS}
_ACTING = (frozenset(KEYS) - ORDINARY) | {_KERAS, "registered_name"}


def read(part: Part) -> Iterator[Observation]:
    """Look for what acts in one or more JSON documents."""
    source = part.source
    start = source.read(0, min(256, source.size))
    if _TEMPLATE.match(start) or part.name.lower().endswith(_TEMPLATES):
        raise NotThisFormat  # a template is rendered, whatever else its text could be
    clear = _CLEARLY.match(start) is not None
    try:
        part.budget.allow_read(source.size)
        data = source.read(0, source.size)
        text = _Text(data)
        for document in json_text.documents(data, part.budget, watch=_WATCHED):
            yield from _check(document, part, text)
        yield from encoded.pickles(part, data)
    except MalformedArtifactError:
        if not clear:
            raise NotThisFormat from None
        yield Span(0, 1)
        raise
    except ArtifactError:
        yield Span(0, 1)
        raise
    yield Span(0, source.size)


class _Text:
    """What is asked of the bytes of a file, each question once: it may hold many documents."""

    __slots__ = ("_data", "_places", "evaluated", "rendered")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._places: dict[str, int | None] = {}
        self.evaluated = _EXPRESSION.search(data) is not None
        self.rendered = _RENDERED.search(data) is not None and _BLOCK.search(data) is not None

    def place(self, key: str) -> int | None:
        """Return where a key is written first, if it is written plainly."""
        if key not in self._places:
            found = self._data.find(b'"' + key.encode("utf-8", "replace") + b'"')
            self._places[key] = found if found >= 0 else None
        return self._places[key]

    def placed(self, observed: Observation, key: str) -> Observation:
        """Return a finding with its place; what is no finding, or has one, as it is."""
        if isinstance(observed, Finding) and observed.offset is None:
            return replace(observed, offset=self.place(key))
        return observed


def _check(document: Document, part: Part, text: _Text) -> Iterator[Observation]:
    if document.encoding == "utf-8-sig":
        yield MARK.at(0, "a byte order mark stands before the text")
    elif document.encoding != "utf-8":
        yield ENCODING.at(0, f"the text is {document.encoding}")
    for key in document.duplicates:
        rule = TWICE_ACTING if key in _ACTING else TWICE
        place = text.place(key) if rule is TWICE_ACTING else None
        yield rule.at(place, f"the key '{printable(key)}' occurs twice", subject=key)
    for holder in document.watched:
        for key in KEYS.keys() & holder.keys():
            for observed in KEYS[key](holder[key], holder, part):
                yield text.placed(observed, key)
    if text.evaluated:
        yield from check_expressions(document.value)
    if text.rendered:
        yield from check_templates(document.value, part)
    yield from _check_whole(document.value)
    yield from _check_keras(document, part)


def _check_whole(value: object) -> Iterator[Observation]:
    """What is known by the form of the whole document."""
    if isinstance(value, dict):
        if "nbformat" in value or _has_cells(value):
            yield Identified("notebook")
            yield NOTEBOOK.at(0, "the cells of a notebook are source code")
        if "_class_name" in value:
            yield from _pipeline(value)
        if isinstance(value.get("graph"), dict) and not _ONNX.isdisjoint(value):
            yield ELSEWHERE.at(0, "the JSON form of an ONNX model")
    elif isinstance(value, list):
        for item in value:
            path = item.get("type") if isinstance(item, dict) and "path" in item else None
            if isinstance(path, str) and "." in path:
                yield from check_path(path, "type")
                yield from check_names(item["path"])


def _has_cells(value: dict[str, object]) -> bool:
    cells = value.get("cells")
    first = cells[0] if isinstance(cells, list) and cells else None
    return isinstance(first, dict) and "cell_type" in first


def _pipeline(value: dict[str, object]) -> Iterator[Finding]:
    """The parts of a diffusers pipeline: [library, class] by name, or with a hint of the two."""
    if not isinstance(value["_class_name"], str):
        yield CODE.at(None, "the class of the pipeline is of a module of its own")
    for role, pieces in value.items():
        if role.startswith("_") or not isinstance(pieces, list) or len(pieces) not in _PARTS:
            continue
        hint = pieces[-1].get("type_hint") if isinstance(pieces[-1], dict) else None
        for pair in (pieces, hint):
            if isinstance(pair, list) and len(pair) in _PARTS:
                library, name = pair[:2]
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


def _objects_within(value: object) -> Iterator[int]:
    """Yield the identities of the objects of Keras in a document."""
    stack = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, dict):
            if _KERAS in current:
                yield id(current)
            stack += [child for child in current.values() if isinstance(child, dict | list)]
        elif isinstance(current, list):
            stack += [child for child in current if isinstance(child, dict | list)]


def _check_keras(document: Document, part: Part) -> Iterator[Observation]:
    """Hand a Keras model's configuration to the reader of Keras files, wherever it stands."""
    within: set[int] = set()
    for holder in reversed(document.watched):  # the outermost objects are the last ones
        if id(holder) in within or not isinstance(holder.get(_KERAS), str):
            continue
        if "config" in holder:
            from modelsec.scanning.formats import keras  # noqa: PLC0415 - needed by few files

            within.update(_objects_within(holder))
            yield from keras.check_config(holder, part.budget, part.policy)
