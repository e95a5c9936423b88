"""Loading exactly what was signed: the bytes that are handed out are those that were hashed.

To verify a path and then to load that path are two readings of a file, and between them it can be
another file. Here a file is read once, into memory that nobody else writes. That memory is hashed,
scanned and handed out.
"""

import os
from contextlib import ExitStack
from pathlib import Path

from modelsec.errors import ConfigurationError, shown
from modelsec.provenance.loading.holdings import Holdings
from modelsec.provenance.loading.inspection import Inspection
from modelsec.provenance.loading.verified_files import match_names, signed_files
from modelsec.provenance.loading.verified_model import OnProgress, VerifiedModel
from modelsec.scanning import Limits, Policy
from modelsec.signing.claim import Authenticator
from modelsec.signing.trees.tree import open_tree

MAX_BYTES = 64 << 30
"""Bytes that a verified model may hold in memory at one time, unless told otherwise."""


def open_verified(  # noqa: PLR0913 - the front door's options, all by keyword
    path: str | os.PathLike[str],
    verifier: Authenticator,
    *,
    signature: str | Path | None = None,
    scan: bool = True,
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
        signature: the bundle; default: ``<path>.sig``.
        scan: also refuse files that are not safe to load, signed or not.
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
    if not callable(getattr(verifier, "authenticate", None)):
        raise ConfigurationError(
            f"{shown(verifier)} cannot say what the model has to be: give a Verifier or a "
            "PinnedDigest"
        )
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
        raise ConfigurationError(f"max_bytes must be 1 or more, not {shown(max_bytes)}")
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"the model is a path, not {shown(path)}")
    claim = verifier.authenticate(Path(path), signature)
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
        holdings = Holdings(max_bytes)
        resources.callback(holdings.close)
        inspection = Inspection(policy, limits) if scan else None
    except BaseException:
        resources.close()
        raise
    return VerifiedModel(
        claim=claim,
        path=os.fspath(path),
        files=signed,
        tree=tree,
        match=match,
        holdings=holdings,
        inspection=inspection,
        on_progress=on_progress,
        resources=resources,
    )
