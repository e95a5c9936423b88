"""Is this model file safe to load? Decided by content, with proof of coverage."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelsec.scanning.file import scan
    from modelsec.scanning.finding import Coverage, Finding, Rule, Verdict
    from modelsec.scanning.limits import Limits
    from modelsec.scanning.policy import Policy
    from modelsec.scanning.report import ScanReport, TreeReport
    from modelsec.scanning.torch_rules import WeightsOnly, weights_only
    from modelsec.scanning.tree import Progress, scan_tree

_HOMES = {
    "Coverage": "finding",
    "Finding": "finding",
    "Limits": "limits",
    "Policy": "policy",
    "Progress": "tree",
    "Rule": "finding",
    "ScanReport": "report",
    "TreeReport": "report",
    "Verdict": "finding",
    "WeightsOnly": "torch_rules",
    "scan": "file",
    "scan_tree": "tree",
    "weights_only": "torch_rules",
}

__all__ = [
    "Coverage",
    "Finding",
    "Limits",
    "Policy",
    "Progress",
    "Rule",
    "ScanReport",
    "TreeReport",
    "Verdict",
    "WeightsOnly",
    "scan",
    "scan_tree",
    "weights_only",
]


def __getattr__(name: str) -> object:
    """Resolve a public name on first use: a scan of plain weights needs a tenth of the package."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
