"""A signer written from the text of OMS v1.0 alone: an oracle that shares no code with the library.

It writes every legal variant, and whatever illegal one a test puts in its hands.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blake3 import blake3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Document = dict[str, Any]
Key = ec.EllipticCurvePrivateKey

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
GIT = (".git", ".gitignore", ".gitattributes", ".github")


def digest(data: bytes, algorithm: str = "sha256") -> bytes:
    """Hash bytes as the algorithm registry says."""
    if algorithm == "blake3":
        return blake3(data).digest()
    return hashlib.new({"sha256": "sha256", "blake2b": "blake2b"}[algorithm], data).digest()


def names_in(model: Path, ignored: Sequence[str] = (), *, links: bool = False) -> list[str]:
    """List the files of a model (6.1, 6.2): relative, with ``/``, in code-point order."""
    if model.is_file():
        return [model.name]
    left_out = {*GIT, *ignored}
    found = []
    for path in model.rglob("*"):
        name = path.relative_to(model).as_posix()
        above = [name, *(parent.as_posix() for parent in Path(name).parents)]
        if path.is_file() and (links or not path.is_symlink()) and left_out.isdisjoint(above):
            found.append(name)
    return sorted(found)


def resources(
    model: Path, names: Sequence[str], algorithm: str = "sha256", shard_size: int | None = None
) -> list[Document]:
    """Describe files, or their byte ranges (6.3), in code-point order of the names (6.4)."""
    entries = []
    for name in names:
        data = (model if model.is_file() else model / name).read_bytes()
        if shard_size is None:
            parts = [(name, data)]
        else:
            parts = [
                (f"{name}:{at}:{min(at + shard_size, len(data))}", data[at : at + shard_size])
                for at in range(0, len(data), shard_size)
            ]
        entries += [
            {"name": label, "digest": digest(part, algorithm).hex(), "algorithm": algorithm}
            for label, part in parts
        ]
    return sorted(entries, key=lambda entry: entry["name"])


def root_digest(entries: Sequence[Document]) -> str:
    """Hash the raw digests in the order given, always with SHA-256 (6.5.1)."""
    return digest(b"".join(bytes.fromhex(entry["digest"]) for entry in entries)).hex()


def statement(  # noqa: PLR0913 - what the text lets a signer choose
    model: Path,
    *,
    algorithm: str = "sha256",
    shard_size: int | None = None,
    ignored: Sequence[str] | None = (),
    subject: str | None = None,
    links: bool = False,
) -> Document:
    """State what a model is (6.6); ``ignored`` None leaves ``ignore_paths`` out."""
    entries = resources(model, names_in(model, ignored or (), links=links), algorithm, shard_size)
    serialization: Document = {
        "method": "files" if shard_size is None else "shards",
        "hash_type": algorithm,
        "allow_symlinks": links,
    }
    if shard_size is not None:
        serialization["shard_size"] = shard_size
    if ignored is not None:
        serialization["ignore_paths"] = [*GIT, *ignored]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": subject or model.name, "digest": {"sha256": root_digest(entries)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"resources": entries, "serialization": serialization},
    }


def sealed(
    content: Document | bytes, key: Key, material: Document, *, payload_type: str = PAYLOAD_TYPE
) -> Document:
    """Sign a statement and put it into a bundle (6.7, 6.8)."""
    payload = content if isinstance(content, bytes) else json.dumps(content, indent=2).encode()
    kind = payload_type.encode()
    message = b" ".join(
        [b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload]
    )
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": material,
        "dsseEnvelope": {
            "payload": encoded(payload),
            "payloadType": payload_type,
            "signatures": [{"sig": encoded(key.sign(message, ec.ECDSA(hash_of(key.curve))))}],
        },
    }


def hash_of(curve: ec.EllipticCurve) -> hashes.HashAlgorithm:
    """Return the hash of a curve (Sigstore algorithm registry)."""
    pairs = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}
    return pairs[curve.key_size]


def public_pem(key: Key) -> bytes:
    """Return the public key as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def by_hint(key: Key) -> Document:
    """Name a key by its fingerprint (4.1), as current bundles do."""
    return {"publicKey": {"hint": digest(public_pem(key)).hex()}}


def by_bytes(key: Key) -> Document:
    """Bring the key along (11.1), as bundles before 1.1.0 do."""
    details = f"PKIX_ECDSA_P{key.curve.key_size}_SHA_{hash_of(key.curve).digest_size * 8}"
    return {"publicKey": {"rawBytes": encoded(public_pem(key)), "keyDetails": details}}


def by_chain(*chain: x509.Certificate) -> Document:
    """Bring a chain along, the leaf first (4.1)."""
    entries = [{"rawBytes": encoded(each.public_bytes(Encoding.DER))} for each in chain]
    return {"x509CertificateChain": {"certificates": entries}}


def encoded(data: bytes) -> str:
    """Return base64 (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()
