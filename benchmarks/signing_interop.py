"""Who verifies whose signatures: this library and the reference implementation of OMS, both ways.

Needs the test group of the project (``model-signing`` with ``pyopenssl``, without which it cannot
be imported). Prints a table and exits with 1 if a combination that has to work does not.

    python -m benchmarks.signing_interop
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import product
from pathlib import Path

import model_signing.hashing
import model_signing.signing
import model_signing.verifying
from benchmarks.harness import markdown
from tests.support.pki_files import write_pki

from modelsec.errors import ModelSecError
from modelsec.signing import (
    ANY_IDENTITY,
    STRICT,
    CertifiedKey,
    PrivateKey,
    TrustedKeys,
    TrustedRoots,
    Verifier,
    sign,
)

CURVES = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
ALGORITHMS = ("sha256", "blake3", "blake2b")
SHARD = 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One combination, and what came of it."""

    method: str
    key: str
    layout: str
    algorithm: str
    ours_read_by_reference: str
    reference_read_by_us: str
    required: bool


def make_model(folder: Path) -> Path:
    """Write a small model, with names whose order differs by code points and by components."""
    model = folder / "model"
    (model / "unet").mkdir(parents=True)
    (model / "config.json").write_text("{}\n", "utf-8")
    (model / "unet.bin").write_bytes(b"u" * 3000)
    (model / "unet" / "w.bin").write_bytes(bytes(range(256)) * 16)
    (model / "naïve (1).bin").write_bytes(b"n")
    return model


def rows(folder: Path) -> Iterator[Row]:
    """Try every combination."""
    model = make_model(folder)
    single = model / "config.json"
    combinations = product(CURVES, ("files", "shards"), ALGORITHMS)
    for number, (curve, layout, algorithm) in enumerate(combinations):
        yield with_key(folder / f"{number}", model, curve, layout, algorithm)
    yield with_key(folder / "single", single, "ecdsa-p256", "single file", "sha256")
    for curve in CURVES:
        yield with_certificate(folder / f"certificate-{curve}", model, curve)


def with_key(folder: Path, model: Path, curve: str, layout: str, algorithm: str) -> Row:
    """Sign with a bare key."""
    folder.mkdir()
    key = PrivateKey.generate(curve)
    private, public = folder / "key.pem", folder / "key.pub.pem"
    key.save(private)
    key.public.save(public)
    ours, theirs = folder / "ours.sig", folder / "theirs.sig"
    shard = SHARD if layout == "shards" else None
    sign(model, key, signature=ours, algorithm=algorithm, shard_size=shard)
    (
        model_signing.signing.Config()
        .use_elliptic_key_signer(private_key=private)
        .set_hashing_config(reference_hashing(layout, algorithm))
        .sign(model, theirs)
    )
    checker = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public)
    verifier = Verifier(TrustedKeys([key.public]), profile=STRICT)
    return Row(
        method="key",
        key=curve,
        layout=layout,
        algorithm=algorithm,
        ours_read_by_reference=tried(lambda: checker.verify(model, ours)),
        reference_read_by_us=tried(lambda: verifier.verify(model, theirs)),
        required=layout == "files" and algorithm != "blake2b",
    )


def with_certificate(folder: Path, model: Path, curve: str) -> Row:
    """Sign with a certificate, an intermediate between it and the root."""
    folder.mkdir()
    paths = write_pki(folder, curve.removeprefix("ecdsa-"))
    ours, theirs = folder / "ours.sig", folder / "theirs.sig"
    sign(model, CertifiedKey.load(paths.key, paths.leaf, [paths.intermediate]), signature=ours)
    (
        model_signing.signing.Config()
        .use_certificate_signer(
            private_key=paths.key,
            signing_certificate=paths.leaf,
            certificate_chain=[paths.intermediate],
        )
        .sign(model, theirs)
    )
    checker = model_signing.verifying.Config().use_certificate_verifier(
        certificate_chain=[paths.root]
    )
    verifier = Verifier(TrustedRoots([paths.root], identity=ANY_IDENTITY), profile=STRICT)
    return Row(
        method="certificate",
        key=curve,
        layout="files",
        algorithm="sha256",
        ours_read_by_reference=tried(lambda: checker.verify(model, ours)),
        reference_read_by_us=tried(lambda: verifier.verify(model, theirs)),
        required=True,
    )


def reference_hashing(layout: str, algorithm: str) -> model_signing.hashing.Config:
    """The reference's settings for a layout; it calls BLAKE2b ``blake2``."""
    config = model_signing.hashing.Config()
    name = "blake2" if algorithm == "blake2b" else algorithm
    if layout == "shards":
        return config.use_shard_serialization(hashing_algorithm=name, shard_size=SHARD)
    return config.use_file_serialization(hashing_algorithm=name)


def tried(verify: Callable[[], object]) -> str:
    """Say how a verification ended."""
    try:
        verify()
    except ModelSecError as error:
        return f"refused: {type(error).__name__}"
    except Exception as error:  # noqa: BLE001 - what the reference raises is a result
        return f"refused: {type(error).__name__}"
    return "verified"


def main() -> int:
    """Print the table; 1 if something that has to work does not."""
    with tempfile.TemporaryDirectory() as name:
        table = list(rows(Path(name)))
    versions = ", ".join(
        f"{package} {metadata.version(package)}"
        for package in ("modelsec", "model-signing", "cryptography", "sigstore")
    )
    print(f"{versions}\n")
    print(
        markdown(
            ("method", "key", "layout", "algorithm", "ours, read by the reference", "its, by us"),
            (
                (
                    row.method,
                    row.key,
                    row.layout,
                    row.algorithm,
                    row.ours_read_by_reference,
                    row.reference_read_by_us,
                )
                for row in table
            ),
        )
    )
    broken = [
        row
        for row in table
        if row.reference_read_by_us != "verified"
        or (row.required and row.ours_read_by_reference != "verified")
    ]
    print(f"\n{len(table)} combinations, {len(broken)} that have to work and do not")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
