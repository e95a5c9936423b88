"""Is this model file safe to load? Decided by content, with proof of coverage."""

from modelsec.scanning.finding import Coverage, Finding, Rule, Verdict
from modelsec.scanning.limits import Limits
from modelsec.scanning.policy import Policy
from modelsec.scanning.report import ScanReport, TreeReport
from modelsec.scanning.scan import scan

__all__ = [
    "Coverage",
    "Finding",
    "Limits",
    "Policy",
    "Rule",
    "ScanReport",
    "TreeReport",
    "Verdict",
    "scan",
]
