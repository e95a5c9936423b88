"""The path from a leaf certificate to a certificate that the caller supplied."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from modelsec.errors import UntrustedSignerError, shown
from modelsec.signing.x509.facts import CertificateFacts, issued
from modelsec.signing.x509.rules import (
    issuer_faults,
    leaf_faults,
    signature_faults,
    validity_faults,
)

MAX_CHAIN = 8
"""Certificates in a chain, the leaf and the anchor counted."""

MAX_SIGNATURES = 64
"""Signatures of certificates that one search verifies: cross-signed loops end here."""

_REASONS = 3


def find_chain(
    leaf: CertificateFacts,
    intermediates: Sequence[CertificateFacts],
    anchors: Sequence[CertificateFacts],
    *,
    now: datetime,
) -> tuple[CertificateFacts, ...]:
    """Return a chain from a leaf to an anchor, every element of which passes the rules.

    An anchor is trusted by being supplied, whether it is a root, an intermediate or the leaf
    itself; who signed it is not asked, but its own validity and extensions count.

    Args:
        leaf: the certificate whose key signed.
        intermediates: what came with the bundle, in any order; what is not needed is ignored.
        anchors: what the caller supplied.
        now: the time at which every element has to be valid (aware).

    Raises:
        UntrustedSignerError: there is no such chain; the message has the reasons.
    """
    for fault in (*leaf_faults(leaf), *validity_faults(leaf, now)):
        raise UntrustedSignerError(fault)
    search = _Search(intermediates, anchors, now)
    chain = search.extend((leaf,))
    if chain is None:
        reasons = "; ".join(tuple(dict.fromkeys(search.reasons))[:_REASONS])
        raise UntrustedSignerError(
            f"no chain leads from {shown(leaf.subject)} to a trusted root: {reasons}"
        )
    return chain


class _Search:
    """Depth first, bounded in depth and in the signatures that it verifies."""

    def __init__(
        self,
        intermediates: Iterable[CertificateFacts],
        anchors: Sequence[CertificateFacts],
        now: datetime,
    ) -> None:
        self.reasons: list[str] = []
        self._trusted = {anchor.der for anchor in anchors}
        # Anchors first: the shortest way out of a bundle full of certificates.
        self._known = tuple({c.der: c for c in (*anchors, *intermediates)}.values())
        self._now = now
        self._left = MAX_SIGNATURES

    def extend(self, path: tuple[CertificateFacts, ...]) -> tuple[CertificateFacts, ...] | None:
        last = path[-1]
        if last.der in self._trusted:
            return path
        if len(path) == MAX_CHAIN:
            self.reasons.append(f"the chain is longer than {MAX_CHAIN} certificates")
            return None
        for issuer in self._issuers(path):
            chain = self.extend((*path, issuer))
            if chain is not None:
                return chain
        return None

    def _issuers(self, path: tuple[CertificateFacts, ...]) -> Iterator[CertificateFacts]:
        last = path[-1]
        used = {each.der for each in path}
        named = [
            each
            for each in self._known
            if each.subject_name == last.issuer_name and each.der not in used
        ]
        if not named:
            self.reasons.append(
                f"{shown(last.subject)} was issued by {shown(last.issuer)}, which is neither "
                "supplied as a root nor in the bundle"
            )
        for issuer in named:
            faults = (
                *issuer_faults(issuer, below=len(path) - 1),
                *signature_faults(last),
                *validity_faults(issuer, self._now),
            )
            if faults:
                self.reasons.append(faults[0])
            elif self._issued(last, issuer):
                yield issuer

    def _issued(self, child: CertificateFacts, issuer: CertificateFacts) -> bool:
        if self._left == 0:
            raise UntrustedSignerError(
                f"no chain was found within {MAX_SIGNATURES} signatures: the bundle holds too many "
                "certificates of the same name"
            )
        self._left -= 1
        if issued(child, issuer):
            return True
        self.reasons.append(
            f"the certificate of {shown(child.subject)} was not signed by the key of "
            f"{shown(issuer.subject)} that is known here"
        )
        return False
