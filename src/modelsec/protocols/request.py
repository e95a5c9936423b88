"""One inference request as signal scorers see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Fingerprints(Protocol):
    """Keyed, one-way images of text: what a store may hold instead of the text."""

    def fingerprint(self, text: str) -> int:
        """Return a keyed 64-bit fingerprint, equal for equal text only."""
        ...

    def sketch(self, text: str) -> int:
        """Return a keyed 32-bit sketch, alike for texts that share much of their wording."""
        ...


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """The fields of one request that matter here, read leniently from an OpenAI-style body.

    A field that is absent, null, of the wrong type or not a finite number reads as ``None``. The
    ``repr`` shows neither body nor text, so that logs and tracebacks do not, either.

    Attributes:
        body: the request as it came; read it with suspicion, nothing in it is validated.
        text: canonical form of the new input (what follows the last answer of the model,
            without system messages), at most 8,192 characters.
        temperature: sampling temperature.
        top_p: nucleus size.
        top_k: number of candidates.
        max_tokens: smallest of the token limits given.
        wants_logprobs: whether log-probabilities were asked for in any way.
        fingerprints: keyed hashing for plug-ins that remember text.
    """

    body: Mapping[str, object] = field(repr=False)
    text: str = field(repr=False)
    temperature: float | None
    top_p: float | None
    top_k: float | None
    max_tokens: float | None
    wants_logprobs: bool
    fingerprints: Fingerprints

    def fingerprint(self, text: str) -> int:
        """Return a keyed 64-bit fingerprint of ``text``, for features that remember it."""
        return self.fingerprints.fingerprint(text)

    def sketch(self) -> int:
        """Return the keyed 32-bit similarity sketch of :attr:`text`."""
        return self.fingerprints.sketch(self.text)
