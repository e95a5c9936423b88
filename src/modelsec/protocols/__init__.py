"""What users implement: small protocols, and the plain data that crosses them.

* :class:`Clock`, :class:`EventSink`: injected surroundings.
* :class:`KeyWrapper`: where the keys that encrypt other keys live.
* :class:`SignalScorer` with its features (:class:`Ring`, :class:`Gaps`, :class:`Total`,
  :class:`Peak`, :class:`Distinct`): one signal of the theft detector.
* :class:`Store`, :class:`AsyncStore` with their operations: where per-account state lives.
"""

from modelsec.protocols.events import Event, EventSink
from modelsec.protocols.features import (
    Distinct,
    Feature,
    FeatureValue,
    Gaps,
    Peak,
    Ring,
    Total,
)
from modelsec.protocols.keys import KeyWrapper
from modelsec.protocols.request import Fingerprints, InferenceRequest
from modelsec.protocols.scorer import Signal, SignalScorer, Window
from modelsec.protocols.store import (
    AsyncStore,
    CellUpdate,
    Clock,
    Forget,
    Operation,
    Recall,
    Record,
    Remember,
    Reply,
    Store,
)

__all__ = [
    "AsyncStore",
    "CellUpdate",
    "Clock",
    "Distinct",
    "Event",
    "EventSink",
    "Feature",
    "FeatureValue",
    "Fingerprints",
    "Forget",
    "Gaps",
    "InferenceRequest",
    "KeyWrapper",
    "Operation",
    "Peak",
    "Recall",
    "Record",
    "Remember",
    "Reply",
    "Ring",
    "Signal",
    "SignalScorer",
    "Store",
    "Total",
    "Window",
]
