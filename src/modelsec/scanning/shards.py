"""The shards that an index names: are they there?

A checkpoint in several files comes with ``<name>.index.json``, whose ``weight_map`` says which file
holds which tensor. A name that leaves the folder is reported where the index itself is scanned.
"""

from collections.abc import Iterator
from pathlib import Path

from modelsec.errors import ArtifactError
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats import json_text
from modelsec.scanning.limits import MIB, Budget, Limits

MISSING = Rule(
    "MS-DIR-010",
    "a shard is missing",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="get the whole model: what is loaded was not all scanned",
)

_LARGEST = 64 * MIB
_LISTED = 10


def missing_shards(path: Path, limits: Limits) -> Iterator[Finding]:
    """Yield a finding for each file that an index names and that does not lie beside it."""
    try:
        if path.stat().st_size > _LARGEST:
            return
        value = json_text.parse(path.read_bytes(), Budget(limits)).value
    except (OSError, ArtifactError):
        return  # its own report says so
    weights = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(weights, dict):
        return
    names = sorted({name for name in weights.values() if isinstance(name, str)})
    absent = [name for name in names if "\0" not in name and not (path.parent / name).exists()]
    for name in absent[:_LISTED]:
        message = f"one of {len(absent)} files that the index names and the folder does not hold"
        yield MISSING.at(None, message, subject=name)
