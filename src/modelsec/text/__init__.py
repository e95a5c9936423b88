"""Text as the detectors see it: canonical form, keyed fingerprints, similarity sketches."""

from modelsec.text.canonical import MAX_CHARACTERS, canonical
from modelsec.text.fingerprints import KeyedFingerprints
from modelsec.text.minhash import alike_counts

__all__ = ["MAX_CHARACTERS", "KeyedFingerprints", "alike_counts", "canonical"]
