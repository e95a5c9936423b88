"""Keras: ``.keras`` archives, and the configuration that every Keras file format shares.

A Keras model is a tree of JSON objects ``{"class_name", "module", "registered_name", "config"}``.
Loading imports each class and calls it with its ``config``; so the tree is a program. A ``.keras``
file is a zip with this tree in ``config.json``, ``metadata.json``, weights in
``model.weights.h5`` (or ``.npz``) and, sometimes, files in ``assets/``. HDF5 files of Keras hold
the same tree in attributes, older versions write it to JSON files.

What an attacker does with it, and what is checked, wherever in the tree it stands:

* **Lambda**: Python bytecode, as a layer or as any function, nested in wrappers and sub-models
  (CVE-2024-3660); in H5 files some versions load it whatever ``safe_mode`` says (CVE-2025-9905).
* **module**: older versions import any module and call any of its objects (CVE-2025-1550). Modules
  of the standard library and of packages that can load or fetch things are dangerous.
* **Keras' own functions** that download, read, write or switch protection off: ``get_file``
  (CVE-2025-8747), ``enable_unsafe_deserialization`` (CVE-2025-9906), and whole families of such.
* **TorchModuleWrapper** unpickles (CVE-2025-49655), **TFSMLayer** runs a SavedModel by path
  (CVE-2026-1462), **vocabularies by path** read files or URLs (CVE-2025-12058), **TFOpLambda**
  calls any TensorFlow function by name.
* **Member names** that leave the archive's folder (CVE-2025-12060).

Everything else has to be in a policy, by family and name; user-defined objects are ``unknown``
until a policy of the user's own lists them, e.g. ``module = "keras:by-name"`` with
``names = ["my_package>MyLayer"]``.

Not checked: whether arguments are sensible (a Dense layer with 10**12 units exhausts memory), and
strings that name functions (``"activation": "relu"``): they are looked up among Keras' functions
of one family and among what the caller has registered, which the file cannot change.

``safe_mode=True`` is Keras' own defence. It refuses bytecode, and newer versions refuse more of the
above; it is no sandbox, and older versions ignore it for H5 files.
"""

from collections.abc import Generator, Iterator
from typing import TypeAlias

from modelsec.scanning.containers.archive import Archive, Member, Taken
from modelsec.scanning.finding import Finding
from modelsec.scanning.formats import json_text, keras_rules
from modelsec.scanning.formats.keras_objects import Judge
from modelsec.scanning.limits import Budget
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Permitted, Span
from modelsec.scanning.policy import Policy

_CONFIG, _METADATA = "config.json", "metadata.json"
_WEIGHTS = frozenset({"model.weights.h5", "model.weights.npz"})
_ASSETS = "assets/"

Trail: TypeAlias = "tuple[Trail, str] | None"


def check_config(
    value: object, budget: Budget, policy: Policy, *, origin: str = ""
) -> Iterator[Finding | Permitted]:
    """Yield what a configuration can do when Keras builds the model.

    Args:
        value: the JSON document, as ``json_text`` reads it.
        budget: pays for the values.
        policy: what is permitted.
        origin: of the configuration, for messages.

    Raises:
        ResourceLimitError: there are too many values.
    """
    judge = Judge(policy, origin)
    seen: set[Permitted] = set()
    pending: list[tuple[object, Trail]] = [(value, None)]
    while pending:
        current, trail = pending.pop()
        children: list[tuple[str, object]] = []
        if isinstance(current, dict):
            for observed in _object(judge, current, trail):
                if isinstance(observed, Finding) or observed not in seen:
                    yield observed
                if isinstance(observed, Permitted):
                    seen.add(observed)
            children = [(f".{key}", child) for key, child in current.items()]
        elif isinstance(current, list):
            children = [(f"[{index}]", child) for index, child in enumerate(current)]
        budget.opcodes(len(children) + 1)
        pending += [
            (child, (trail, step))
            for step, child in reversed(children)
            if isinstance(child, dict | list)
        ]


def _object(judge: Judge, value: dict[str, object], trail: Trail) -> Iterator[Finding | Permitted]:
    if "class_name" in value:
        yield from judge.judge(value, _place(trail))
    vocabulary = value.get("vocabulary")
    if isinstance(vocabulary, str):
        yield keras_rules.VOCABULARY.at(
            None,
            f"{_place(trail)} takes its vocabulary from a path",
            operation="read",
            subject=vocabulary,
        )


def _place(trail: Trail) -> str:
    """Return where a value stands, from the root."""
    steps = []
    while trail is not None:
        trail, step = trail
        steps.append(step[:60])
    return "".join(reversed(steps)).lstrip(".") or "the root"


def read_archive(part: Part, archive: Archive) -> Iterator[Observation | Taken]:
    """Read a ``.keras`` file: its configuration, and the names of its members.

    Raises:
        NotThisFormat: there is no configuration of Keras in it.
    """
    if not any(member.name == _CONFIG for member in archive.members):
        raise NotThisFormat
    yield Identified("keras")
    for member in archive.members:
        yield from _name(member)
        if member.name in {_CONFIG, _METADATA}:
            reader = read_config if member.name == _CONFIG else read_metadata
            yield part.child(member.source(part), member.name, reader=reader)
            yield Taken(member.index)


def _name(member: Member) -> Iterator[Finding]:
    """Judge the name of a member; its content is scanned like any other's."""
    name = member.name.replace("\\", "/")
    pieces = name.split("/")
    if name.startswith("/") or ".." in pieces or ":" in pieces[0]:
        yield keras_rules.TRAVERSAL.at(
            member.header_offset, "a name leaves the archive", operation="write", subject=name
        )
    elif name not in _WEIGHTS | {_CONFIG, _METADATA} and not name.startswith(_ASSETS):
        yield keras_rules.MEMBER.at(
            member.header_offset, "a member beside the known ones", subject=name
        )


def read_config(part: Part) -> Iterator[Observation]:
    """Read a configuration.

    Raises:
        MalformedArtifactError: it is no JSON.
        ResourceLimitError: it is too large or too deep.
    """
    document = yield from _document(part)
    yield from check_config(document.value, part.budget, part.policy)


def read_metadata(part: Part) -> Iterator[Observation]:
    """Read the metadata: a version and a date, which nothing acts on.

    Raises:
        MalformedArtifactError: it is no JSON.
    """
    yield from _document(part)


def _document(part: Part) -> Generator[Observation, None, json_text.Document]:
    part.budget.allow_read(part.source.size)
    document = json_text.parse(part.source.read(0, part.source.size), part.budget)
    yield Span(0, part.source.size)
    yield Identified("json")
    for key in document.duplicates:
        yield keras_rules.DUPLICATE.at(None, "a key occurs twice in one object", subject=key)
    return document
