"""See who is extracting the model through its API.

The front doors are :class:`ModelTheftDetector` (asynchronous) and
:class:`SyncModelTheftDetector`; both are thin shells around the pure :class:`Judge`.
"""

from modelsec.extraction.assessment import Action, Assessment
from modelsec.extraction.detector import ModelTheftDetector, SyncModelTheftDetector
from modelsec.extraction.judge import Judge, Plan
from modelsec.extraction.policy import DEFAULT_WEIGHTS, DetectionPolicy
from modelsec.extraction.recorded import (
    AccountSummary,
    BadLine,
    ReplayReport,
    read_requests,
    replay,
)
from modelsec.extraction.registry import Weighted
from modelsec.extraction.request import parse_request

__all__ = [
    "DEFAULT_WEIGHTS",
    "AccountSummary",
    "Action",
    "Assessment",
    "BadLine",
    "DetectionPolicy",
    "Judge",
    "ModelTheftDetector",
    "Plan",
    "ReplayReport",
    "SyncModelTheftDetector",
    "Weighted",
    "parse_request",
    "read_requests",
    "replay",
]
