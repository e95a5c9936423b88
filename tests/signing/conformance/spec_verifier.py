"""A verifier written from the text of OMS v1.0 alone: the second half of the oracle.

It knows bare keys and certificates; the order is that of section 8.
"""

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from tests.signing.conformance.spec_signer import (
    MEDIA_TYPE,
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    hash_of,
    names_in,
    resources,
    root_digest,
)

ALGORITHMS = {"sha256": 64, "blake2b": 128, "blake3": 64}


class RefusedError(Exception):
    """The text says no."""


def require(holds: object, clause: str) -> None:
    """Refuse, unless a clause holds."""
    if not holds:
        raise RefusedError(clause)


def verify(  # noqa: PLR0913 - what the text lets a verifier choose
    raw: bytes,
    model: Path,
    *,
    key: ec.EllipticCurvePublicKey | None = None,
    root: x509.Certificate | None = None,
    ignore_unsigned: bool = False,
    besides: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the statement of a bundle that fits a model, signed by a key or under a root.

    ``besides`` are paths that the caller leaves out, such as that of the bundle (6.2).
    """
    try:
        bundle = json.loads(raw)
        exactly(bundle, {"mediaType", "verificationMaterial", "dsseEnvelope"}, set())
        require(bundle["mediaType"] == MEDIA_TYPE, "8.1 mediaType")
        payload = _opened(bundle, key, root)
        statement: dict[str, Any] = json.loads(payload)
        _check_statement(statement)
        _check_model(statement["predicate"], model, besides, ignore_unsigned=ignore_unsigned)
    except (
        *(ValueError, KeyError, TypeError, AttributeError, RecursionError),
        InvalidSignature,
    ) as error:
        raise RefusedError(repr(error)) from error
    return statement


def exactly(holder: dict[str, Any], required: set[str], optional: set[str]) -> None:
    """Refuse members that the schemas do not know, and missing ones."""
    require(isinstance(holder, dict) and required <= holder.keys(), f"lacks one of {required}")
    require(holder.keys() <= required | optional, f"more than {required | optional}")


def _opened(
    bundle: dict[str, Any], key: ec.EllipticCurvePublicKey | None, root: x509.Certificate | None
) -> bytes:
    envelope, material = bundle["dsseEnvelope"], bundle["verificationMaterial"]
    exactly(envelope, {"payload", "payloadType", "signatures"}, set())
    require(envelope["payloadType"] == PAYLOAD_TYPE, "6.7 payloadType")
    (signature,) = envelope["signatures"]
    exactly(signature, {"sig"}, {"keyid"})
    payload = base64.b64decode(envelope["payload"], validate=True)
    message = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    if key is not None:
        require({"hint", "rawBytes"} & material["publicKey"].keys(), "4.1 publicKey")
    else:
        chain = [
            x509.load_der_x509_certificate(base64.b64decode(each["rawBytes"], validate=True))
            for each in material["x509CertificateChain"]["certificates"]
        ]
        key = _leaf_key(chain, root)
    key.verify(
        base64.b64decode(signature["sig"], validate=True), message, ec.ECDSA(hash_of(key.curve))
    )
    return payload


def _leaf_key(
    chain: Sequence[x509.Certificate], root: x509.Certificate | None
) -> ec.EllipticCurvePublicKey:
    require(root is not None, "8.2 a root is needed")
    assert root is not None
    now = datetime.now(UTC)
    path = [*chain] if chain[-1] == root else [*chain, root]
    for child, issuer in pairwise(path):
        child.verify_directly_issued_by(issuer)
        require(child.not_valid_before_utc <= now <= child.not_valid_after_utc, "8.2 validity")
    key = chain[0].public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _check_statement(statement: dict[str, Any]) -> None:
    exactly(statement, {"_type", "subject", "predicateType", "predicate"}, set())
    require(statement["_type"] == STATEMENT_TYPE, "8.3 _type")
    require(statement["predicateType"] == PREDICATE_TYPE, "8.3 predicateType")
    exactly(statement["predicate"], {"resources", "serialization"}, set())
    serialization = statement["predicate"]["serialization"]
    entries = statement["predicate"]["resources"]
    exactly(
        serialization,
        {"method", "hash_type", "allow_symlinks"}
        | ({"shard_size"} if serialization["method"] == "shards" else set()),
        {"ignore_paths"},
    )
    require(serialization["method"] in {"files", "shards"}, "5.2.2 method")
    require(type(serialization["allow_symlinks"]) is bool, "5.2.2 allow_symlinks")
    size = serialization.get("shard_size", 1)
    require(type(size) is int and size > 0, "5.2.2 shard_size")
    for path in serialization.get("ignore_paths", []):
        require(path and not set("*?[") & set(path), "6.2.1 no glob characters")
        require(not path.startswith("/") and ".." not in path.split("/"), "6.2.1 relative")
    require(entries, "5.2.1 at least one entry")
    labels = [entry["name"] for entry in entries]
    require(labels == sorted(set(labels)), "5.2.1 sorted")
    for entry in entries:
        _check_resource(entry, serialization["hash_type"])
    (subject,) = statement["subject"]
    require(subject["name"], "6.5 name")
    require(subject["digest"]["sha256"] == root_digest(entries), "6.5.1 root digest")


def _check_resource(entry: dict[str, Any], algorithm: str) -> None:
    require(entry["algorithm"] == algorithm, "6.3.2 the algorithm is the hash_type")
    require(re.fullmatch(f"[0-9a-f]{{{ALGORITHMS[algorithm]}}}", entry["digest"]), "5.2.1 digest")
    name = entry["name"]
    canonical = PurePosixPath(name).as_posix() == name and ".." not in name.split("/")
    require(canonical and not name.startswith("/") and name != ".", "6.1.2 canonical")


def _check_model(
    predicate: dict[str, Any], model: Path, besides: Sequence[str], *, ignore_unsigned: bool
) -> None:
    serialization = predicate["serialization"]
    links = serialization["allow_symlinks"]
    if not links and model.is_dir():
        require(not any(each.is_symlink() for each in model.rglob("*")), "6.1.1 a link")
    names = names_in(model, [*serialization.get("ignore_paths", ()), *besides], links=links)
    found = {
        (entry["name"], entry["digest"])
        for entry in resources(
            model, names, serialization["hash_type"], serialization.get("shard_size")
        )
    }
    signed = {(entry["name"], entry["digest"]) for entry in predicate["resources"]}
    require(signed <= found, "8.4 missing or changed")
    require(ignore_unsigned or found <= signed, "8.4 not signed")
