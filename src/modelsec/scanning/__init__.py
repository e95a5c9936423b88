"""Is this model file safe to load? Decided by content, with proof of coverage."""

from typing import TYPE_CHECKING

from modelsec.lazy import resolver

if TYPE_CHECKING:
    from modelsec.scanning.file import scan
    from modelsec.scanning.finding import Coverage, Finding, Rule, Verdict
    from modelsec.scanning.limits import Limits
    from modelsec.scanning.policy import Policy
    from modelsec.scanning.report import ScanReport, TreeReport
    from modelsec.scanning.torch_rules import WeightsOnly, weights_only
    from modelsec.scanning.tree import Progress, scan_tree

_HOMES = {
    "Coverage": "modelsec.scanning.finding",
    "Finding": "modelsec.scanning.finding",
    "Limits": "modelsec.scanning.limits",
    "Policy": "modelsec.scanning.policy",
    "Progress": "modelsec.scanning.tree",
    "Rule": "modelsec.scanning.finding",
    "ScanReport": "modelsec.scanning.report",
    "TreeReport": "modelsec.scanning.report",
    "Verdict": "modelsec.scanning.finding",
    "WeightsOnly": "modelsec.scanning.torch_rules",
    "scan": "modelsec.scanning.file",
    "scan_tree": "modelsec.scanning.tree",
    "weights_only": "modelsec.scanning.torch_rules",
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

# A scan of plain weights needs a tenth of the package.
__getattr__, __dir__ = resolver(__name__, _HOMES, globals())
