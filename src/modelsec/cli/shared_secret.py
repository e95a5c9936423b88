"""``--secret-file``: one secret instead of a key pair, for both ``sign`` and ``verify``.

An HMAC signature covers the files and a name, and nothing else: every option that asks for more is
refused, because one that is dropped in silence looks as if it had been honoured.
"""

import json
import os
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.cli.given import refuse
from modelsec.cli.profiles import chosen_profile
from modelsec.cli.progress import progress
from modelsec.cli.secret_files import secret
from modelsec.errors import ConfigurationError, printable, shown, shown_path
from modelsec.files import atomic_text
from modelsec.signing.bounded_file import read_at_most
from modelsec.signing.bundles.bundle import BUNDLE_LIMIT

if TYPE_CHECKING:
    from modelsec.signing import ModelSigner, Verification

_NOT_SIGNED = (
    "password_file",
    "certificate",
    "chain",
    "allow_expired",
    "model_version",
    "serial",
    "not_after",
    "supersedes",
    "algorithm",
    "shards",
    "ignore",
    "cache",
)
_NOT_VERIFIED = (
    "key",
    "key_set",
    "root",
    "identity",
    "any_identity",
    "issuer",
    "model_version",
    "trust_store",
    "file",
    "ignore",
    "ignore_unsigned",
    "legacy",
    "threshold",
    "at",
    "cache",
)
_REASON = "a shared secret (--secret-file) cannot do this; use a key pair (--key)"
_UNNAMED = "no model name was expected: another model signed with this secret would pass"


def sign_with_secret(options: Namespace) -> str:
    """Sign, and return what to print.

    Raises:
        ConfigurationError: an option cannot be honoured, or a file cannot be read or written.
    """
    refuse(options, _NOT_SIGNED, _REASON)
    if options.signature is not None:
        _check_place(options.signature, options.model)
    signer = _signer(options)
    with progress("signing") as on_progress:
        token = signer.sign_model(options.model, name=options.name, on_progress=on_progress)
    if options.signature is not None:
        with atomic_text(options.signature) as file:
            file.write(token + "\n")
    if options.json:
        said = {
            "method": "hmac",
            "key_id": signer.key_id,
            "name": options.name,
            "signature": options.signature,
            "token": token,
        }
        return json.dumps(said, indent=1)
    if options.signature is None:
        return token
    return f"{printable(options.signature, 500)}: signed with the secret {signer.key_id}"


def verify_with_secret(options: Namespace) -> "Verification":
    """Verify, and return the receipt.

    Raises:
        VerificationError: the signature does not fit.
        ConfigurationError: an option cannot be honoured, or a file cannot be read.
    """
    refuse(options, _NOT_VERIFIED, _REASON)
    if not options.signature or len(options.signature) != 1:
        raise ConfigurationError("--secret-file needs one --signature, the file with the signature")
    signer = _signer(options)
    token = _token(options.signature[0])
    with progress("verifying") as on_progress:
        found = signer.verify(options.model, token, name=options.name, on_progress=on_progress)
    gaps = () if options.name is not None else (_UNNAMED,)
    return replace(found, unchecked=(*found.unchecked, *gaps))


def _signer(options: Namespace) -> "ModelSigner":
    from modelsec.signing import ModelSigner  # noqa: PLC0415 - on use

    return ModelSigner(secret(options.secret_file), profile=chosen_profile(options))


def _token(path: str) -> str:
    content = read_at_most(path, BUNDLE_LIMIT) or b""
    if content.lstrip().startswith(b"{"):
        raise ConfigurationError(
            f"{shown_path(path)} is a bundle, not the signature of a shared secret: verify it with "
            "--key, --root or --issuer; modelsec inspect shows which"
        )
    return content.decode("ascii", "replace").strip()


def _check_place(signature: str, model: str) -> None:
    """Refuse to write into the model: the signature would replace, or add, a file of it."""
    if Path(os.path.realpath(signature)).is_relative_to(os.path.realpath(model)):
        raise ConfigurationError(
            f"the signature {shown(signature)} must not lie inside the model: put it beside it"
        )
