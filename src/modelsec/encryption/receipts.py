"""What was encrypted, decrypted or rewrapped: results without secrets."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Encrypted:
    """One file that was encrypted.

    Attributes:
        source: the plaintext, as the caller named it.
        target: the ciphertext, as the caller named it.
        key_id: of the wrapper.
        context: what the ciphertext is bound to, sorted by name.
        plaintext_size: bytes.
        ciphertext_size: bytes, header included.
        segment_size: bytes.
        plaintext_sha256: hex, if it was asked for.
    """

    source: str
    target: str
    key_id: str
    context: tuple[tuple[str, str], ...]
    plaintext_size: int
    ciphertext_size: int
    segment_size: int
    plaintext_sha256: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values."""
        return {
            "source": self.source,
            "target": self.target,
            "key_id": self.key_id,
            "context": dict(self.context),
            "plaintext_size": self.plaintext_size,
            "ciphertext_size": self.ciphertext_size,
            "segment_size": self.segment_size,
            "plaintext_sha256": self.plaintext_sha256,
        }


@dataclass(frozen=True, slots=True)
class Decrypted:
    """One file that was decrypted, all of it verified.

    Attributes:
        source: the ciphertext, as the caller named it.
        target: the plaintext, as the caller named it.
        key_id: as the header says, verified by the wrapper.
        context: what the ciphertext is bound to, equal to what the caller expected.
        plaintext_size: bytes.
        plaintext_sha256: hex, if it was asked for.
    """

    source: str
    target: str
    key_id: str
    context: tuple[tuple[str, str], ...]
    plaintext_size: int
    plaintext_sha256: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values."""
        return {
            "source": self.source,
            "target": self.target,
            "key_id": self.key_id,
            "context": dict(self.context),
            "plaintext_size": self.plaintext_size,
            "plaintext_sha256": self.plaintext_sha256,
        }


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """One file whose data key was wrapped anew.

    Attributes:
        source: the ciphertext, as the caller named it.
        target: the rewrapped ciphertext; the same name if it was replaced.
        old_key_id: as the old header said.
        new_key_id: of the new wrapper.
        context: unchanged.
    """

    source: str
    target: str
    old_key_id: str
    new_key_id: str
    context: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, object]:
        """Return JSON-ready values."""
        return {
            "source": self.source,
            "target": self.target,
            "old_key_id": self.old_key_id,
            "new_key_id": self.new_key_id,
            "context": dict(self.context),
        }
