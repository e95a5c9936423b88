"""Trust keyless signatures: a short-lived Sigstore certificate for a named identity, offline.

The ``sigstore`` package judges the certificate, the entry in the transparency log and the
signature. It is never asked to fetch anything: its trusted root comes with it, or from a file.

Sigstore judges a signature as of the time that its log (or a timestamp authority) recorded, not as
of the verification's reference time; that can only be used to refuse what was not yet signed.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
    shown,
)
from modelsec.signing.bundles.bundle import PAYLOAD_TYPE, KeylessMaterial
from modelsec.signing.keys.public_key import PublicKey
from modelsec.signing.keys.signatures import ALGORITHMS, verify_signature
from modelsec.signing.moments import rfc3339
from modelsec.signing.trust import Signatory
from modelsec.signing.x509.facts import CertificateFacts, read_der
from modelsec.signing.x509.identity import ANY_IDENTITY, AnyIdentity
from modelsec.signing.x509.rules import reference_time

if TYPE_CHECKING:
    from cryptography import x509
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier
    from sigstore.verify.policy import VerificationPolicy

    from modelsec.signing.bundles.bundle import Bundle
    from modelsec.signing.keys.signatures import PublicKeyObject

KEYLESS_KEY = "ecdsa-p256"
"""The sigstore package verifies DSSE with SHA-256 only, which OMS pairs with this curve."""

_REASON = 200
"""Characters of what Sigstore says: its sentences are long, and the reason is at their end."""


class TrustedIdentity:
    """Trust who proved an identity to an issuer, as Sigstore's certificate authority recorded it.

    Args:
        identity: an email address or a URI, compared exactly with the certificate's; or
            ``ANY_IDENTITY``: everybody who has an account with this issuer.
        issuer: URL of the OpenID Connect issuer, exactly; ``https://github.com/login/oauth``,
            ``https://accounts.google.com``, ... The same identity at another issuer may be
            somebody else, therefore there is no way to leave it out.
        trusted_root: file of a Sigstore trusted root (``trusted_root.json``). Default: the one in
            the cache of the ``sigstore`` package in the user's home, which it fills from its own
            copy. Give a file where others can write there, or where there is no home.
        staging: use the public staging instance instead of production.

    Raises:
        ConfigurationError: an argument is missing, empty, or excludes another one.
    """

    def __init__(
        self,
        identity: str | AnyIdentity,
        issuer: str,
        *,
        trusted_root: str | Path | None = None,
        staging: bool = False,
    ) -> None:
        if not isinstance(identity, AnyIdentity) and not _is_text(identity):
            raise ConfigurationError(
                f"identity={shown(identity)} must be the email address or URI of the signer, or "
                "ANY_IDENTITY for everybody at this issuer"
            )
        if not _is_text(issuer):
            raise ConfigurationError(
                f"issuer={shown(issuer)} must be the URL of the OpenID Connect issuer"
            )
        if trusted_root is not None and not isinstance(trusted_root, str | Path):
            raise ConfigurationError(f"trusted_root={shown(trusted_root)} must be a path")
        if type(staging) is not bool or (staging and trusted_root is not None):
            raise ConfigurationError("give a trusted root, or staging=True, or neither")
        self._identity = identity
        self._issuer = issuer
        self._trusted_root = trusted_root
        self._staging = staging

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What this trust says nothing about, one sentence each."""
        gaps = [
            "Sigstore's trusted root was not refreshed: keys that it withdrew lately would pass",
            "the keyless certificate was judged as of the time in the log, not of the verification",
        ]
        if self._identity is ANY_IDENTITY:
            gaps.append("no identity was named: anyone with an account at the issuer would pass")
        return tuple(gaps)

    def authenticate(
        self,
        bundle: "Bundle",
        *,
        now: datetime,
        legacy: bool = False,  # noqa: ARG002 - OMS 0.2.0 is not read here: Sigstore signs DSSE only
        identity: bool = True,  # noqa: ARG002 - the constructor makes sure that one was named
    ) -> Signatory:
        """Return who signed: see ``Trust``.

        Raises:
            BundleFormatError: the certificate, or the log entry, breaks the rules of its format.
            UnsupportedBundleError: the bundle was not signed keyless, or with a key or a kind of
                entry that is not supported.
            UntrustedSignerError: it is another identity or issuer; the certificate or the log
                entry is not by the instance that is trusted; or it was signed after ``now``.
            SignatureMismatchError: the signature is not by the certificate's key over this payload.
            ConfigurationError: the extra is not installed, there is no trusted root, or ``now``
                has no time zone.
        """
        now = reference_time(now)
        if not isinstance(bundle.material, KeylessMaterial):
            raise UnsupportedBundleError(
                "the bundle was not signed keyless, which is all that TrustedIdentity judges: use "
                "TrustedKeys for bare keys, TrustedRoots for certificate chains"
            )
        leaf = read_der(bundle.material.certificate)
        if leaf.key != KEYLESS_KEY:
            raise UnsupportedBundleError(
                f"the keyless certificate has a key of the kind {leaf.key}: only {KEYLESS_KEY} is "
                "supported"
            )
        if leaf.not_before > now:
            raise UntrustedSignerError(
                f"the keyless certificate is of {rfc3339(leaf.not_before)}, and it is "
                f"{rfc3339(now)}: nothing was signed yet"
            )
        public = cast("PublicKeyObject", leaf.loaded.public_key())
        if verify_signature(public, bundle) is None:
            raise SignatureMismatchError(
                "the signature is not by the key of the keyless certificate over this statement: "
                "one of the three was changed or replaced"
            )
        self._ask_sigstore(bundle, leaf)
        key = PublicKey(public)
        found = self._identity
        if isinstance(found, AnyIdentity):
            found = next((value for _, value in leaf.names), "")
        return Signatory(
            method="sigstore",
            key_id=key.key_id,
            algorithm=ALGORITHMS[key.kind],
            identity=found or None,
            issuer=self._issuer,
        )

    def _ask_sigstore(self, bundle: "Bundle", leaf: CertificateFacts) -> None:
        """Have certificate, log entry, identity and signature judged; raise if one is refused."""
        verifier = self._verifier()
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - extra
        from sigstore.models import Bundle as SigstoreBundle  # noqa: PLC0415 - as in _verifier

        policy = _Remembering(self._policy())
        # Errors of sigstore, pydantic, cryptography, rfc3161_client, ...: each is a refusal.
        try:
            read = SigstoreBundle.from_json(bundle.raw)
            der = read.signing_certificate.public_bytes(Encoding.DER)
        except Exception as error:
            raise BundleFormatError(
                f"Sigstore cannot read the keyless bundle: {shown(str(error), _REASON)}"
            ) from error
        try:
            kind, payload = verifier.verify_dsse(read, policy)
        except Exception as error:
            reason = (
                policy.refusal or f"Sigstore does not vouch for it: {shown(str(error), _REASON)}"
            )
            raise UntrustedSignerError(f"the keyless signature is refused: {reason}") from error
        if (kind, payload, der) != (PAYLOAD_TYPE, bundle.payload, leaf.der):
            raise BundleFormatError(
                "Sigstore read another payload or certificate from the bundle than this verifier"
            )

    def _verifier(self) -> "Verifier":
        try:
            from sigstore.verify import Verifier  # noqa: PLC0415 - an extra that takes seconds
        except ImportError as error:
            raise ConfigurationError(
                "keyless signatures need: pip install 'modelsec[sigstore]'"
            ) from error
        try:
            return Verifier(trusted_root=self._roots())
        # OSError, ValueError, errors of sigstore: all of them about the trusted root.
        except Exception as error:
            raise ConfigurationError(
                f"Sigstore's trusted root cannot be used: {shown(str(error), _REASON)}. Give the "
                "path of a trusted_root.json as trusted_root"
            ) from error

    def _roots(self) -> "TrustedRoot":
        from sigstore.models import ClientTrustConfig, TrustedRoot  # noqa: PLC0415 - as above

        if self._trusted_root is not None:
            return TrustedRoot.from_file(str(self._trusted_root))
        instance = ClientTrustConfig.staging if self._staging else ClientTrustConfig.production
        return instance(offline=True).trusted_root

    def _policy(self) -> "VerificationPolicy":
        from sigstore.verify import policy  # noqa: PLC0415 - as above

        if isinstance(self._identity, AnyIdentity):
            return policy.OIDCIssuer(self._issuer)
        return policy.Identity(identity=self._identity, issuer=self._issuer)


class _Remembering:
    """A Sigstore policy that remembers why it refused, so that the reason can be told apart."""

    def __init__(self, policy: "VerificationPolicy") -> None:
        self.refusal: str | None = None
        self._policy = policy

    def verify(self, cert: "x509.Certificate") -> None:
        """Judge a certificate as the policy does."""
        try:
            self._policy.verify(cert)
        except Exception as error:
            self.refusal = f"it is of another signer or issuer: {shown(str(error), _REASON)}"
            raise


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
