"""Text as the detectors see it: canonical form, keyed fingerprints, similarity sketches."""

from modelsec.text.fingerprints import KeyedFingerprints
from modelsec.text.minhash import alike_counts
from modelsec.text.normalisation import MAX_CHARACTERS, canonical

__all__ = ["MAX_CHARACTERS", "KeyedFingerprints", "alike_counts", "canonical"]
