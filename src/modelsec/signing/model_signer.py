"""A shared secret instead of a key pair: who can verify can also forge.

Use it where the signer and the verifier are one party, e.g. a registry that recognises its own
files. For everybody else there are key pairs (``modelsec.signing.sign`` and ``Verifier``).
"""

import hmac
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    SignatureMismatchError,
    UntrustedSignerError,
    VerificationError,
    shown,
    shown_path,
)
from modelsec.keyed.secret import Secret
from modelsec.signing.hashing.survey import survey
from modelsec.signing.manifest import Algorithm, Layout, Manifest
from modelsec.signing.moments import utc
from modelsec.signing.profile import STRICT, Profile
from modelsec.signing.receipt import Verification
from modelsec.signing.trees.tree import open_tree
from modelsec.signing.trust import Signatory

if TYPE_CHECKING:
    from collections.abc import Callable

_SCHEME = "hmac-sha256"
_DOMAIN = b"modelsec/model-signer/v1\x00"
_TOKEN = re.compile(r"hmac-sha256:v1:([0-9a-f]{16}):([0-9a-f]{64})", re.ASCII)
_UNCHECKED = (
    "everybody who can verify a shared-secret signature can also make one",
    "a shared-secret signature states no release: an older one would pass",
)


class ModelSigner:
    """Sign models, files or directories, with HMAC-SHA256 (RFC 2104).

    The signature covers the name-binding tree digest: the names and bytes of all files. That of
    a single file covers its name, too; give ``name`` to sign it under another one.

    Args:
        signing_key: at least 16 bytes, uniformly random (``secrets.token_bytes(32)``). Text is
            encoded as UTF-8. The key itself is never used: a subkey for this purpose is.
        algorithm: of the files' digests: ``sha256``, ``blake2b`` or ``blake3`` (extra).
        profile: which trees may be signed.

    Raises:
        ConfigurationError: the key is too short, or neither bytes nor text.
    """

    __slots__ = ("_algorithm", "_key", "_profile", "key_id")

    def __init__(
        self,
        signing_key: bytes | str,
        *,
        algorithm: Algorithm = "sha256",
        profile: Profile = STRICT,
    ) -> None:
        secret = Secret(_utf8(signing_key, "key") if isinstance(signing_key, str) else signing_key)
        self._key = secret.subkey("model-signer/mac")
        self._algorithm: Algorithm = algorithm
        self._profile = profile
        self.key_id: str = secret.subkey("model-signer/key-id")[:8].hex()

    def __repr__(self) -> str:
        """Show which key, not the key."""
        return f"ModelSigner(key_id={self.key_id!r})"

    def __reduce__(self) -> str:
        """Refuse to be pickled: keys do not travel in files."""
        raise TypeError("a ModelSigner cannot be pickled; make one where it is needed")

    def sign_model(
        self,
        model_path: str | Path,
        *,
        name: str | None = None,
        on_progress: "Callable[[int, int], None] | None" = None,
    ) -> str:
        """Return the signature of a model as text: scheme, version, key id and tag.

        Args:
            model_path: a file or a directory.
            name: the model's name, which is signed, too; default: a file's own name, and nothing
                for a directory.
            on_progress: told the bytes that are done, and that there are in all; may raise.

        Raises:
            ConfigurationError: the model cannot be opened.
            UnsafeTreeError: the tree holds what no signature can cover.
        """
        manifest = self._survey(model_path, on_progress)
        return f"{_SCHEME}:v1:{self.key_id}:{self._tag(manifest, name).hex()}"

    def verify_signature(
        self, model_path: str | Path, signature: str, *, name: str | None = None
    ) -> bool:
        """Say whether the signature was made with this key for exactly this model.

        ``verify`` says why not.

        Raises:
            ConfigurationError: the model cannot be opened.
        """
        try:
            self.verify(model_path, signature, name=name)
        except VerificationError:
            return False
        return True

    def verify(
        self,
        model_path: str | Path,
        signature: str,
        *,
        name: str | None = None,
        now: datetime | None = None,
        on_progress: "Callable[[int, int], None] | None" = None,
    ) -> Verification:
        """Return the receipt of a signature that was made with this key for this model.

        Raises:
            BundleFormatError: the text is not a signature of this kind.
            UntrustedSignerError: it was made with another key.
            SignatureMismatchError: model, name or signature were changed.
            UnsafeTreeError: the tree holds what no signature can cover.
            ConfigurationError: the model cannot be opened, or ``now`` is no aware time.
        """
        moment = utc(datetime.now(UTC) if now is None else now, "the time of the verification")
        match = _TOKEN.fullmatch(signature) if isinstance(signature, str) else None
        if match is None:
            raise BundleFormatError(
                f"{shown(signature)} is not a signature of sign_model, which has the form "
                f"{_SCHEME}:v1:<key id>:<64 hex digits>"
            )
        if not hmac.compare_digest(match[1], self.key_id):
            raise UntrustedSignerError(
                f"the signature was made with key {match[1]}, this signer holds {self.key_id}"
            )
        manifest = self._survey(model_path, on_progress)
        if not hmac.compare_digest(self._tag(manifest, name), bytes.fromhex(match[2])):
            raise SignatureMismatchError(
                f"the signature does not fit {shown_path(model_path)}: its files, their names or "
                "the signature were changed"
            )
        return Verification(
            path=str(model_path),
            signatories=(Signatory("hmac", self.key_id, _SCHEME),),
            root_digest=manifest.root_digest,
            tree_digest=manifest.tree_digest,
            algorithm=self._algorithm,
            verified_at=moment,
            profile=self._profile.name,
            files=manifest.names,
            unchecked=_UNCHECKED,
        )

    def _survey(
        self, path: str | Path, on_progress: "Callable[[int, int], None] | None"
    ) -> Manifest:
        with open_tree(path, profile=self._profile) as tree:
            return survey(tree, Layout(self._algorithm), on_progress=on_progress).manifest

    def _tag(self, manifest: Manifest, name: str | None) -> bytes:
        if not isinstance(name, str | None):
            raise ConfigurationError(f"a model's name must be text, not {shown(name)}")
        if manifest.single_file:
            (resource,) = manifest.resources
            name = resource.name if name is None else name
            _utf8(name, "name")
            manifest = replace(manifest, resources=(replace(resource, name=name),))
        label = _utf8(name or "", "name")
        message = _DOMAIN + len(label).to_bytes(8, "big") + label
        return hmac.digest(self._key, message + bytes.fromhex(manifest.tree_digest), "sha256")


def _utf8(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # From None: the message of the original holds the text, which may be a key.
        raise ConfigurationError(f"the {what} is text that UTF-8 cannot encode") from None
