"""TorchServe archives (``.mar``): a checkpoint, and the code that serves it.

**The format.** A zip with ``MAR-INF/MANIFEST.json``, which names the model, the ``handler`` (a
Python file, or the name of one that TorchServe has), the ``serializedFile``, and perhaps a
``modelFile`` (Python), a ``requirementsFile`` and a ``configFile``.

**What an attacker does with it.** The handler runs in the server, a requirements file installs
packages there, the serialised file is a checkpoint like any other.

**What is checked.** The manifest is parsed, and every name in it must be that of a member and stay
inside. A handler of TorchServe's own is fine; a Python file is code that comes with the model and
is ``unknown`` (it is what such archives are for: read it), as is a requirements file that installs
at start. All members are scanned by content.

**What is not.** What the handler does.
"""

from collections.abc import Iterator

from modelsec.scanning.containers.archive import Archive, Taken
from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.formats import json_text
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part

HANDLER = Rule(
    "MS-MAR-001",
    "code that comes with the model",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="read the handler before you serve the archive",
)
REQUIREMENTS = Rule(
    "MS-MAR-002",
    "packages are installed when the archive is served",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="install what the model needs yourself, with pinned versions",
)
OUTSIDE = Rule(
    "MS-MAR-003",
    "the manifest names something outside the archive",
    Verdict.DANGEROUS,
    capability="file read",
    remedy="refuse the archive",
)
MISSING = Rule(
    "MS-MAR-004",
    "a member that the manifest names is missing",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="get the archive again from its source",
)
MANIFEST = Rule(
    "MS-MAR-005",
    "a manifest that is not understood",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="the server may read it in another way: make the archive anew",
)

_MANIFEST = "MAR-INF/MANIFEST.json"
_OWN_HANDLERS = frozenset(
    {"image_classifier", "image_segmenter", "object_detector", "text_classifier", "base_handler"}
)
_FILES = ("serializedFile", "modelFile", "handler", "requirementsFile", "configFile")


def read_archive(part: Part, archive: Archive) -> Iterator[Observation | Taken]:
    """Accept an archive with a TorchServe manifest."""
    manifests = [member for member in archive.members if member.name == _MANIFEST]
    if not manifests:
        raise NotThisFormat
    names = {member.name for member in archive.members}
    for member in manifests:
        source = member.source(part)
        part.budget.allow_read(source.size)
        document = json_text.parse(source.read(0, source.size), part.budget)
        model = document.value.get("model") if isinstance(document.value, dict) else None
        if not isinstance(model, dict) or document.duplicates:
            yield MANIFEST.at(
                None, "the manifest is not one object with a model", subject=member.name
            )
            continue
        yield Identified("torchserve")
        yield Taken(member.index)
        for key in _FILES:
            yield from _named(key, model.get(key), names)


def _named(key: str, value: object, names: set[str]) -> Iterator[Observation]:
    if value is None or value == "":
        return
    if not isinstance(value, str):
        yield MANIFEST.at(None, f"{key} is not a name", subject=key)
        return
    if key == "handler" and value.removesuffix(".py") in _OWN_HANDLERS and value not in names:
        return
    file, _, entry = value.partition(":")  # handler.py:function
    if key == "handler" and "." not in file and f"{file}.py" in names:
        file = f"{file}.py"
    pieces = file.replace("\\", "/").split("/")
    if ".." in pieces or file.startswith(("/", "\\")) or (":" in value and key != "handler"):
        yield OUTSIDE.at(None, f"{key} leaves the archive", subject=value)
    elif file not in names and file.rpartition("/")[2] not in names:
        yield MISSING.at(None, f"{key} is not in the archive", subject=value)
    if key in {"handler", "modelFile"}:
        message = f"{key} is Python that the server runs"
        yield HANDLER.at(None, message, operation="import", subject=value, evidence=entry)
    elif key == "requirementsFile":
        yield REQUIREMENTS.at(None, "the server may install these packages", subject=value)
