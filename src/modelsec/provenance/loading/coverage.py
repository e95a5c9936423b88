"""What of a model was read until now, and the receipt that says so."""

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from modelsec.errors import shown
from modelsec.scanning import ScanReport
from modelsec.signing.claim import Claim
from modelsec.signing.receipt import Verification

if TYPE_CHECKING:
    from modelsec.encryption.receipts import Decrypted

_NAMED = 3


class Coverage:
    """Files whose bytes were found to be what was signed. Threads may share it.

    Args:
        claim: what was signed.
        path: as the caller named it.
        names: of all signed files.
        ignored: names that the signer left out.
        unsigned: names that nobody signed.

    Attributes:
        copied: whether files were written where others can change them.
    """

    def __init__(
        self,
        claim: Claim,
        *,
        path: str,
        names: tuple[str, ...],
        ignored: tuple[str, ...],
        unsigned: tuple[str, ...],
    ) -> None:
        self._claim = claim
        self._path = path
        self._names = names
        self._ignored = ignored
        self._unsigned = unsigned
        self._covered: set[str] = set()
        self._lock = threading.Lock()
        self.copied = False

    def accept(self, name: str) -> None:
        """Note that a file is right; the first one has the release remembered, before its use.

        Raises:
            StaleModelError: a newer release was accepted meanwhile.
        """
        with self._lock:
            if not self._covered:
                self._claim.accept()
            self._covered.add(name)

    def receipt(
        self, reports: Mapping[str, ScanReport] | None, decrypted: "tuple[Decrypted, ...]"
    ) -> Verification:
        """Return the receipt of what was read until now.

        Args:
            reports: of the files that were scanned; None if none are.
            decrypted: what was signed as ciphertext.
        """
        with self._lock:
            covered = tuple(sorted(self._covered))
        manifest, claim = self._claim.manifest, self._claim
        return Verification(
            path=self._path,
            signatories=claim.signatories,
            root_digest=manifest.root_digest,
            tree_digest=manifest.tree_digest,
            algorithm=manifest.layout.algorithm,
            shard_size=manifest.layout.shard_size,
            verified_at=claim.now,
            profile=claim.profile.name,
            files=covered,
            release=claim.release,
            partial=len(covered) < len(self._names),
            ignored=self._ignored,
            unsigned=self._unsigned,
            unchecked=(
                *claim.unchecked,
                *self._unread(covered),
                *_unscanned(covered, reports),
                *_ciphertext(decrypted),
            ),
        )

    def _unread(self, covered: tuple[str, ...]) -> Iterator[str]:
        if len(covered) < len(self._names):
            yield "only the files that were read are verified: the others may be anything"
        if self.copied:
            yield "files were given out as private copies, which the same user can change"


def _unscanned(covered: tuple[str, ...], reports: Mapping[str, ScanReport] | None) -> Iterator[str]:
    if reports is None:
        yield "no file was scanned: signed files may still be unsafe to load"
        return
    refused = [name for name in covered if name in reports and not reports[name].safe]
    if refused:
        yield f"what was signed is not safe to load, and was refused: {_listed(refused)}"
    beside = [name for name in covered if name not in reports]
    if beside:
        yield f"read, and not scanned by themselves: {_listed(beside)}"


def _ciphertext(decrypted: "tuple[Decrypted, ...]") -> Iterator[str]:
    for key_id in sorted({each.key_id for each in decrypted}):
        names = [each.source for each in decrypted if each.key_id == key_id]
        yield (
            f"what was verified is ciphertext; its plaintext was authenticated under the key "
            f"{shown(key_id)}, which is no signature: {_listed(names)}"
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(shown, names[:_NAMED])) + more
