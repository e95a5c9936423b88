"""Models whose signer is the test: a manifest of what is there, and a claim that says so."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import blake3
import numpy as np
from safetensors.numpy import save

from modelsec.signing.claim import Claim, Signatures
from modelsec.signing.manifest import Algorithm, Layout, Manifest, Resource, ordered
from modelsec.signing.profile import STRICT, Profile
from modelsec.signing.receipt import Release
from modelsec.signing.trust import Signatory

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
KEY = "ab" * 32
HASHES: Mapping[str, Callable[[bytes], Any]] = {
    "sha256": hashlib.sha256,
    "blake2b": hashlib.blake2b,
    "blake3": blake3.blake3,
}


def tensors(fill: float = 1.0, rows: int = 64) -> bytes:
    """Return a safetensors file with one matrix and a bias, ``256 * rows`` bytes and a header."""
    matrix = np.full((rows, 64), fill, "f4")
    return bytes(save({"weight": matrix, "bias": np.arange(4, dtype="f8") * fill}))


def manifest_of(
    files: Mapping[str, bytes],
    *,
    algorithm: Algorithm = "sha256",
    shard_size: int | None = None,
    single_file: bool = False,
) -> Manifest:
    """Return the manifest of a model, made without the code that is tested."""
    resources, empty = [], []
    for name, content in files.items():
        if shard_size is None:
            resources.append(Resource(name, HASHES[algorithm](content).digest()))
        elif not content:
            empty.append(name)
        else:
            for start in range(0, len(content), shard_size):
                piece = content[start : start + shard_size]
                digest = HASHES[algorithm](piece).digest()
                resources.append(Resource(name, digest, start, start + len(piece)))
    layout = Layout(algorithm, shard_size)
    return Manifest(ordered(resources), layout, tuple(empty), single_file)


def write_model(root: Path, files: Mapping[str, bytes]) -> Path:
    """Write a model into a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@dataclass
class Claimed:
    """An ``Authenticator`` that vouches for a manifest, and may do something right after.

    Attributes:
        manifest: what the model has to be.
        afterwards: called when the signature has been verified, before anything is read.
        accept: called when the first file was verified, before it is used.
    """

    manifest: Manifest
    profile: Profile = STRICT
    afterwards: Callable[[], object] = field(default=lambda: None)
    bundles: tuple[Path, ...] = ()
    accept: Callable[[], None] = field(default=lambda: None)

    def authenticate(self, path: str | Path, signature: Signatures = None) -> Claim:
        assert signature is None or isinstance(signature, str | Path)
        self.afterwards()
        return Claim(
            path=Path(path),
            manifest=self.manifest,
            signatories=(Signatory("key", KEY, "ecdsa-p256-sha256"),),
            bundles=self.bundles,
            profile=self.profile,
            now=NOW,
            release=Release("demo", "1", 7),
            unchecked=("of the claim",),
            accept=self.accept,
        )
