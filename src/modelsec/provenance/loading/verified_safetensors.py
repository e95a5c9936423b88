"""Signed safetensors weights, as numpy arrays over the bytes that were hashed."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError, printable
from modelsec.provenance.loading.opening import MAX_BYTES, open_verified
from modelsec.provenance.loading.safetensors_arrays import Arrays
from modelsec.provenance.loading.verified_model import OnProgress, VerifiedModel
from modelsec.scanning import Limits, Policy
from modelsec.scanning.formats import json_text
from modelsec.scanning.limits import Budget
from modelsec.signing.claim import Authenticator, Signatures

if TYPE_CHECKING:
    from modelsec.provenance.loading.decryption import Decryption

INDEX = "model.safetensors.index.json"
"""Says which of several files holds which tensor, as models on the Hub do."""

_ENDING = ".safetensors"


def load_safetensors_verified(  # noqa: PLR0913 - options by keyword
    path: str | os.PathLike[str],
    verifier: Authenticator,
    *,
    signature: Signatures = None,
    scan: bool = True,
    decrypt: "Decryption | None" = None,
    policy: Policy | None = None,
    limits: Limits | None = None,
    raw: bool = False,
    max_bytes: int = MAX_BYTES,
    on_progress: OnProgress | None = None,
) -> Arrays:
    """Return the tensors of a signed model: read-only, by name, without a copy.

    Each file is read once, into one buffer; it is hashed on the way, and its header is interpreted
    only after the digest is right. The arrays keep the buffer alive.

    Of a directory, the files are those that ``model.safetensors.index.json`` names, and without
    it all ``*.safetensors`` at the top. Files below the top belong to other components: read them
    with ``open_verified(...).tensors(name)``.

    Args:
        path: a safetensors file, or the directory of a model.
        verifier: says what the model has to be.
        signature: the bundle, or several (one a signer); default: ``<path>.sig``.
        scan: also scan each file, for what hides beside its tensors.
        decrypt: for models that were encrypted and then signed; see ``open_verified``.
        policy: what files may do, as for ``modelsec.scanning.scan``.
        limits: what the scan of one file may cost.
        raw: return tensors of types that numpy does not have (``BF16``, ``F8_E4M3`` ...) as
            unsigned integers of the same width.
        max_bytes: of files that may be held at one time.
        on_progress: told the bytes that were hashed so far, and those of all files; may raise.

    Raises:
        VerificationError: the model is not what trusted signers signed, or cannot be decrypted.
        UnsafeArtifactError: a file is not safe to load.
        MalformedArtifactError: a file breaks the rules of safetensors, two files hold the same
            tensor, or the index tells of another.
        UnsupportedFormatError: there are no safetensors, or numpy has no such type.
        ResourceLimitError: the files do not fit into ``max_bytes``.
        ConfigurationError: the model cannot be opened, or an argument cannot be.
    """
    with open_verified(
        path,
        verifier,
        signature=signature,
        scan=scan,
        decrypt=decrypt,
        policy=policy,
        limits=limits,
        max_bytes=max_bytes,
        on_progress=on_progress,
    ) as model:
        if INDEX in model.names:
            return _indexed(model, limits, raw=raw)
        names = model.names
        if not model.claim.manifest.single_file:
            names = tuple(name for name in names if name.endswith(_ENDING) and "/" not in name)
        if not names:
            raise UnsupportedFormatError(
                f"there is no *{_ENDING} at the top of the model: name a file of it, with "
                "open_verified(...).tensors(name)"
            )
        return _merged(model, names, raw=raw)


def _merged(model: VerifiedModel, names: Iterable[str], *, raw: bool) -> Arrays:
    merged: Arrays = {}
    for name in names:
        found = model.tensors(name, raw=raw)
        twice = found.keys() & merged.keys()
        if twice:
            raise MalformedArtifactError(
                f"the tensor '{printable(min(twice), 60)}' of {printable(name, 60)} is in another "
                "file as well: read each with open_verified(...).tensors(name)"
            )
        merged |= found
    return merged


def _indexed(model: VerifiedModel, limits: Limits | None, *, raw: bool) -> Arrays:
    """Return the tensors that the index names, each from the file where it has to be."""
    document = json_text.parse(bytes(model.buffer(INDEX)), Budget(limits or Limits()))
    homes = document.value.get("weight_map") if isinstance(document.value, dict) else None
    if (
        document.duplicates
        or not isinstance(homes, dict)
        or not homes
        or not all(isinstance(home, str) and home.endswith(_ENDING) for home in homes.values())
    ):
        raise MalformedArtifactError(f"{INDEX} does not map tensors to *{_ENDING} files, once each")
    unsigned = sorted(set(homes.values()).difference(model.names))
    if unsigned:
        raise MalformedArtifactError(
            f"{INDEX} names {printable(unsigned[0], 60)}, which is not one of the signed files"
        )
    arrays: Arrays = {}
    for home in sorted(set(homes.values())):
        found = model.tensors(home, raw=raw)
        wanted = {name for name, where in homes.items() if where == home}
        if found.keys() != wanted:
            other = printable(min(found.keys() ^ wanted), 60)
            raise MalformedArtifactError(
                f"{INDEX} and {printable(home, 60)} do not agree on the tensor '{other}'"
            )
        arrays |= found
    return arrays
