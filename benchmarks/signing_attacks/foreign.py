"""A writer of OMS bundles that writes whatever it is told: a careless or compromised signer."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE = "https://model_signing/signature/v1.0"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
GIT = (".git", ".gitattributes", ".github", ".gitignore")

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}

Document = dict[str, Any]


def digest(content: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of a file's bytes, as hex."""
    if algorithm == "blake3":
        from blake3 import blake3  # noqa: PLC0415 - an extra, needed by one variant

        return str(blake3(content).hexdigest())
    return hashlib.new(algorithm, content).hexdigest()


def files(model: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below a directory by name, and follow every link."""
    if not model.is_dir():
        yield ".", model
        return
    for folder, _, names in os.walk(model, followlinks=True):
        for name in names:
            path = Path(folder, name)
            yield path.relative_to(model).as_posix(), path


def statement(
    model: Path,
    *,
    algorithm: str = "sha256",
    shard_size: int | None = None,
    names: Sequence[str] | None = None,
    single_file_name: str | None = None,
) -> Document:
    """Return the in-toto statement of a model, as OMS v1.0 writes it.

    Args:
        model: a file or a directory.
        algorithm: of the digests.
        shard_size: bytes; shards instead of files.
        names: the files to list; default: all.
        single_file_name: how to list a model that is one file; default: ``.``, as the reference.
    """
    resources = []
    for name, path in files(model):
        if names is not None and name not in names:
            continue
        label = single_file_name or name if name == "." else name
        content = path.read_bytes()
        if shard_size is None:
            resources.append(resource(label, content, algorithm))
            continue
        for start in range(0, len(content), shard_size):
            piece = content[start : start + shard_size]
            resources.append(resource(f"{label}:{start}:{start + len(piece)}", piece, algorithm))
    serialization_: Document = {
        "method": "files" if shard_size is None else "shards",
        "hash_type": algorithm,
        "allow_symlinks": False,
        "ignore_paths": list(GIT),
    }
    if shard_size is not None:
        serialization_["shard_size"] = shard_size
    return summed(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": model.name, "digest": {}}],
            "predicateType": PREDICATE,
            "predicate": {
                "resources": sorted(resources, key=lambda each: str(each["name"])),
                "serialization": serialization_,
            },
        }
    )


def resource(name: str, content: bytes, algorithm: str = "sha256") -> Document:
    """Return one entry of a statement."""
    return {"name": name, "digest": digest(content, algorithm), "algorithm": algorithm}


def summed(document: Document) -> Document:
    """Write the root digest of what is listed into a statement, and return it."""
    digests = [bytes.fromhex(each["digest"]) for each in document["predicate"]["resources"]]
    document["subject"][0]["digest"] = {"sha256": hashlib.sha256(b"".join(digests)).hexdigest()}
    return document


def encoded(document: object) -> bytes:
    """Return a document as JSON, in the order in which it was written."""
    return json.dumps(document, ensure_ascii=True).encode()


def pae(payload: bytes) -> bytes:
    """Return the pre-authentication encoding of DSSE v1."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def pae_of_0_2_0(payload: bytes) -> bytes:
    """Return the encoding that OMS 0.2.0 signed: the text of a Python literal."""
    return f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload!r}".encode()


def signed_by(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return an ECDSA signature with the hash that OMS pairs with the curve."""
    return key.sign(message, ec.ECDSA(_HASHES.get(key.curve.name, hashes.SHA256)()))


def bundle(
    payload: bytes,
    key: ec.EllipticCurvePrivateKey,
    material: Document | None = None,
    *,
    encoding: Callable[[bytes], bytes] = pae,
) -> Document:
    """Return a Sigstore bundle v0.3 of a payload, signed with a key.

    Args:
        payload: to sign.
        key: to sign with.
        material: the verification material; default: a hint of the key.
        encoding: of what is signed.
    """
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": material or {"publicKey": {"hint": hint(key)}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": b64(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": b64(signed_by(key, encoding(payload))), "keyid": ""}],
        },
    }


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public key's PEM text."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def hint(key: ec.EllipticCurvePrivateKey) -> str:
    """Return how OMS bundles hint at a key."""
    return hashlib.sha256(public_pem(key)).hexdigest()


def b64(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    """Return the bytes of standard base64."""
    return base64.b64decode(text)
