"""What a conversion says about itself."""

from dataclasses import dataclass

from modelsec.provenance.conversion.state_dict import DroppedLeaf


@dataclass(frozen=True, slots=True)
class ConvertedTensor:
    """A tensor of the output.

    Attributes:
        name: dotted.
        dtype: safetensors' name of the element type.
        shape: sizes of the dimensions.
        nbytes: of its elements.
        sha256: hex digest of its elements, or None if it was not computed.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    sha256: str | None

    def to_dict(self) -> dict[str, object]:
        """Return the tensor as JSON-ready values."""
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "nbytes": self.nbytes,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did.

    Attributes:
        source: path of the file that was read.
        source_format: as the scan found it.
        source_sha256: hex digest of all of its bytes.
        target: path of the safetensors file.
        target_bytes: its size.
        target_sha256: hex digest of all of its bytes, or None if it was not computed.
        tensors: what it holds, in the order of the file.
        aliases: names of tensors that shared memory in the source, and no longer do.
        dropped: what was not a tensor, at most 10,000 entries.
        dropped_count: how many there were.
        policy: names of the policy's layers under which the source was judged safe.
        policy_digest: SHA-256 (hex) of the policy.
    """

    source: str
    source_format: str
    source_sha256: str
    target: str
    target_bytes: int
    target_sha256: str | None
    tensors: tuple[ConvertedTensor, ...]
    aliases: tuple[tuple[str, ...], ...]
    dropped: tuple[DroppedLeaf, ...]
    dropped_count: int
    policy: tuple[str, ...]
    policy_digest: str

    def to_dict(self) -> dict[str, object]:
        """Return the record as JSON-ready values."""
        return {
            "source": self.source,
            "source_format": self.source_format,
            "source_sha256": self.source_sha256,
            "target": self.target,
            "target_bytes": self.target_bytes,
            "target_sha256": self.target_sha256,
            "tensors": [tensor.to_dict() for tensor in self.tensors],
            "aliases": [list(names) for names in self.aliases],
            "dropped": [
                {"name": leaf.name, "kind": leaf.kind, "text": leaf.text} for leaf in self.dropped
            ],
            "dropped_count": self.dropped_count,
            "policy": list(self.policy),
            "policy_digest": self.policy_digest,
        }
