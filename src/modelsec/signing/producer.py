"""Sign a model: walk it, hash it, state what it is, and write the bundle beside it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.errors import ConfigurationError, VerificationError, shown, shown_path
from modelsec.files import atomic_binary
from modelsec.signing.asked_signer import AskedSigner
from modelsec.signing.bundles.bundle import pae, parse_bundle, read_bundle, write_bundle
from modelsec.signing.bundles.statement import build_statement
from modelsec.signing.hashing.survey import survey
from modelsec.signing.manifest import Algorithm, Layout, Manifest
from modelsec.signing.places import bundle_path, model_path
from modelsec.signing.profile import STRICT, Profile
from modelsec.signing.receipt import Release
from modelsec.signing.trees.names import ignore_path_fault
from modelsec.signing.trees.tree import DEFAULT_EXCLUDED, open_tree
from modelsec.signing.trust import Signer

if TYPE_CHECKING:
    from modelsec.signing.hashing.digest_cache import DigestCache


@dataclass(frozen=True, slots=True, repr=False)
class Signed:
    """A signature that was written.

    Attributes:
        bundle: the file.
        manifest: what was signed.
        subject: the name in the statement: that of the file or directory.
        key_id: of the key that signed.
        release: which model it is, if that was said.
        excluded: names that exist and were left out.
    """

    bundle: Path
    manifest: Manifest
    subject: str
    key_id: str
    release: Release | None = None
    excluded: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return what was signed as JSON-ready values."""
        return {
            "bundle": str(self.bundle),
            "subject": self.subject,
            "key_id": self.key_id,
            "algorithm": self.manifest.layout.algorithm,
            "shard_size": self.manifest.layout.shard_size,
            "root_digest": self.manifest.root_digest,
            "tree_digest": self.manifest.tree_digest,
            "files": list(self.manifest.names),
            "excluded": list(self.excluded),
            "release": None if self.release is None else self.release.to_dict(),
        }

    def __repr__(self) -> str:
        """Show which file, which model and which key; ``to_dict`` has the rest."""
        return (
            f"Signed({shown_path(self.bundle)}, subject={shown(self.subject)}, "
            f"files={len(self.manifest.names)}, key_id={self.key_id[:16]!r})"
        )


def sign(  # noqa: PLR0913 - the front door's options, all by keyword
    path: str | Path,
    signer: Signer,
    *,
    signature: str | Path | None = None,
    release: Release | None = None,
    algorithm: Algorithm = "sha256",
    shard_size: int | None = None,
    ignore: Sequence[str] = (),
    profile: Profile = STRICT,
    workers: int | None = None,
    cache: "DigestCache | None" = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Signed:
    """Sign a model and write the bundle (OpenSSF Model Signing v1.0, section 6).

    Keys of the OMS registry (ECDSA on P-256, P-384, P-521) make bundles that every implementation
    of OMS verifies; an Ed25519 key makes one with a predicate of its own, which only this library
    does.

    Args:
        path: a file or a directory.
        signer: holds the private key: ``PrivateKey``, ``CertifiedKey``, or your own ``Signer``.
        signature: where the bundle goes; default: ``<path>.sig``, beside the model. It replaces
            what is there, at once or not at all.
        release: which model this is. Without it, any other model of the same signer can be put
            in its place.
        algorithm: of the digests: ``sha256``, ``blake2b`` or ``blake3`` (extra).
        shard_size: bytes; hash ranges of this size instead of whole files, so that one large file
            keeps all cores busy.
        ignore: paths to leave out, relative to the model. With ``STRICT`` none of them may exist.
        profile: which trees may be signed.
        workers: threads; default: one a core.
        cache: digests of files that did not change since, on storage that is trusted.
        on_progress: told the bytes that are hashed, and that there are in all; may raise, and
            nothing is written.

    Raises:
        UnsafeTreeError: the tree holds what no signature can cover, or is empty.
        DigestMismatchError: a file changed while it was read.
        ConfigurationError: the model cannot be opened, the bundle cannot be written, an extra is
            missing, or the signer returned no signature of its key.
        KeyServiceError: the signer failed.
    """
    model = model_path(path)
    bundle = bundle_path(model, signature)
    if isinstance(ignore, str) or not isinstance(ignore, Sequence):
        raise ConfigurationError(f"ignore={shown(ignore)} must be a list of paths")
    if not isinstance(signer, Signer):
        raise ConfigurationError(f"{shown(signer)} cannot sign: give a PrivateKey or a Signer")
    ignore_paths = (*DEFAULT_EXCLUDED, *ignore)
    _refuse_to_replace(bundle, model)
    with open_tree(model, profile=profile, ignore_paths=ignore_paths, bundles=(bundle,)) as tree:
        layout = Layout(
            algorithm=algorithm,
            shard_size=shard_size,
            ignore_paths=tuple(dict.fromkeys((*ignore_paths, *_inside(bundle, model)))),
        )
        manifest = survey(
            tree, layout, on_progress=on_progress, workers=workers, cache=cache
        ).manifest
        excluded = tree.excluded
    subject = Path(os.path.abspath(model)).name  # noqa: PTH100 - resolve() would follow links
    asked = AskedSigner(signer)
    payload = build_statement(
        manifest, subject=subject, release=release, predicate_type=asked.predicate_type()
    )
    content = write_bundle(payload, asked.sign(pae(payload)), asked.material())
    key_id = asked.key_id()
    with atomic_binary(bundle) as file:
        file.write(content)
    return Signed(
        bundle=bundle,
        manifest=manifest,
        subject=subject,
        key_id=key_id,
        release=release,
        excluded=excluded,
    )


def _refuse_to_replace(bundle: Path, model: Path) -> None:
    """Refuse to write the signature over the model, or over a file of it that is no signature."""
    if not os.path.exists(bundle) or not Path(os.path.realpath(bundle)).is_relative_to(  # noqa: PTH110
        os.path.realpath(model)
    ):
        return
    try:
        parse_bundle(read_bundle(bundle))
    except VerificationError as error:
        raise ConfigurationError(
            f"{shown_path(bundle)} is a file of the model, and the signature would replace it: "
            "choose another name for the signature"
        ) from error


def _inside(bundle: Path, model: Path) -> tuple[str, ...]:
    """The bundle's own name if it lies inside the model: it cannot sign itself."""
    # Not resolve(), which raises at links that lead in circles.
    folder, root = (Path(os.path.realpath(each)) for each in (bundle.parent, model))
    if not folder.is_relative_to(root) or not root.is_dir():
        return ()
    name = (folder / bundle.name).relative_to(root).as_posix()
    fault = ignore_path_fault(name)
    if fault is not None:
        raise ConfigurationError(
            f"the signature cannot lie inside the model as {shown(name)}, which {fault}: choose "
            "another name, or put it beside the model"
        )
    return (name,)
