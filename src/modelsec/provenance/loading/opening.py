"""Loading exactly what was signed: the bytes that are handed out are those that were hashed.

To verify a path and then to load that path are two readings of a file, and between them it can be
another file. Here a file is read once, into memory that nobody else writes. That memory is hashed,
scanned and handed out.
"""

import inspect
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from modelsec.errors import ConfigurationError, shown
from modelsec.files import as_path
from modelsec.provenance.loading.coverage import Coverage
from modelsec.provenance.loading.holdings import Holdings
from modelsec.provenance.loading.inspection import Inspection
from modelsec.provenance.loading.verified_files import match_names, signed_files
from modelsec.provenance.loading.verified_model import OnProgress, VerifiedModel
from modelsec.scanning import Limits, Policy
from modelsec.signing.claim import Authenticator, Claim, Signatures
from modelsec.signing.trees.tree import open_tree

if TYPE_CHECKING:
    from modelsec.provenance.loading.decryption import Decryption, Decryptor

MAX_BYTES = 64 << 30
"""Bytes that a verified model may hold in memory at one time, unless told otherwise."""


def open_verified(  # noqa: PLR0913 - the front door's options, all by keyword
    path: str | os.PathLike[str],
    verifier: Authenticator,
    *,
    signature: Signatures = None,
    scan: bool = True,
    decrypt: "Decryption | None" = None,
    policy: Policy | None = None,
    limits: Limits | None = None,
    ignore_unsigned: bool = False,
    max_bytes: int = MAX_BYTES,
    on_progress: OnProgress | None = None,
) -> VerifiedModel:
    """Open a model of which nothing but signed and safe bytes can be read.

    The signature is verified, and the names of all files are compared, before this returns. Each
    file is read, hashed and scanned when it is asked for; nobody has to read what nobody uses.

    Args:
        path: a file or a directory.
        verifier: says what the model has to be: a ``Verifier``, a ``PinnedDigest``, or your own.
        signature: the bundle, or several (one a signer); default: ``<path>.sig``.
        scan: also refuse files that are not safe to load, signed or not.
        decrypt: for models that were encrypted and then signed: hand out the plaintext of files
            that are encrypted, once their ciphertext was verified.
        policy: what files may do; default: that of ``modelsec.scanning.scan``.
        limits: what the scan of one file may cost.
        ignore_unsigned: permit files that nobody signed; they cannot be read through the result.
        max_bytes: of files that may be held in memory at one time.
        on_progress: told the bytes that were hashed so far, and those of all files; may raise.

    Raises:
        VerificationError: the signature, the signer, the release or the tree is not what it has
            to be (``DigestMismatchError``: files are missing or were added).
        ConfigurationError: the model cannot be opened, or an argument cannot be.
    """
    check_verifier(verifier)
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
        raise ConfigurationError(f"max_bytes must be 1 or more, not {shown(max_bytes)}")
    inspection = Inspection(policy, limits) if scan else None
    claim = verifier.authenticate(as_path(path, "model"), signature)
    if not isinstance(claim, Claim):
        raise ConfigurationError(f"{shown(verifier)} made no Claim, but {shown(claim)}")
    signed = signed_files(claim.manifest)
    resources = ExitStack()
    try:
        tree = resources.enter_context(
            open_tree(
                claim.path,
                profile=claim.profile,
                ignore_paths=claim.manifest.layout.ignore_paths,
                bundles=claim.bundles,
                allow_symlinks=claim.manifest.layout.allow_symlinks,
            )
        )
        match = match_names(claim, signed, tree, ignore_unsigned=ignore_unsigned)
        names = tuple(match.entries)
        decryptor = None if decrypt is None else _decryptor(decrypt, names)
        holdings = Holdings(max_bytes)
        resources.callback(holdings.close)
    except BaseException:
        resources.close()
        raise
    return VerifiedModel(
        claim=claim,
        files=signed,
        tree=tree,
        match=match,
        holdings=holdings,
        inspection=inspection,
        coverage=Coverage(
            claim,
            path=os.fspath(path),
            names=names,
            ignored=tree.excluded,
            unsigned=match.unsigned,
        ),
        decryptor=decryptor,
        on_progress=on_progress,
        resources=resources,
    )


def check_verifier(verifier: object) -> None:
    """Raise unless something can say what a model has to be.

    Raises:
        ConfigurationError: it cannot; the message says what is missing.
    """
    method = getattr(verifier, "authenticate", None)
    if isinstance(verifier, type) or not callable(method):
        raise ConfigurationError(
            f"{shown(verifier)} cannot say what the model has to be: give a Verifier or a "
            "PinnedDigest, made and not only named"
        )
    try:
        asked = inspect.signature(method)
    except (TypeError, ValueError):  # of a method that is not written in Python
        return
    try:
        asked.bind("path", None)
    except TypeError as error:
        hint = "authenticate() of an Authenticator takes a path and a signature"
        if "bundle" in asked.parameters:
            hint = (
                "a Trust says who may sign, not what was signed; wrap it: "
                f"Verifier({type(verifier).__name__}(...))"
            )
        raise ConfigurationError(f"{shown(verifier)} is not a verifier: {hint}") from error


def _decryptor(decrypt: "Decryption", names: tuple[str, ...]) -> "Decryptor":
    from modelsec.provenance.loading import decryption  # noqa: PLC0415 - few models are encrypted

    return decryption.Decryptor(decrypt, names)
