"""Which signers are meant: identities that a certificate has to carry, compared exactly."""

import re
from collections.abc import Collection
from enum import Enum

from modelsec.errors import ConfigurationError, UntrustedSignerError, shown
from modelsec.signing.x509.facts import CertificateFacts


class AnyIdentity(Enum):
    """The type of ``ANY_IDENTITY``."""

    ANY_IDENTITY = "any identity"


ANY_IDENTITY = AnyIdentity.ANY_IDENTITY
"""Says in so many words that whoever the issuer vouches for may sign."""

Identity = str | Collection[str] | AnyIdentity | None

_KINDS = ("subject", "email", "dns", "uri")
_NAME_TYPES = ("email", "dns", "uri")
# An RFC 4514 name starts with an attribute type, as a word or an OID, and an equals sign.
_DISTINGUISHED_NAME = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)=")


class PinnedIdentity:
    """Identities of which a leaf certificate has to carry one.

    A value is compared exactly: no patterns, no case folding, no change of order. One that starts
    like a distinguished name (``CN=...``) is compared with the subject as RFC 4514 writes it, most
    specific part first: ``CN=release,O=Example,C=GB``. Every other value is compared with the
    email, DNS and URI entries of SubjectAlternativeName. ``subject:``, ``email:``, ``dns:`` and
    ``uri:`` before a value say which of them is meant. What a value is compared with depends on
    the value alone, never on the certificate: a name in one field cannot pass for one in another.

    Args:
        identity: one value, or several of which one is enough; ``ANY_IDENTITY``; None for none
            named.

    Raises:
        ConfigurationError: a value is not text, or empty; there is no value.
    """

    def __init__(self, identity: Identity) -> None:
        self.any = identity is ANY_IDENTITY
        self._wanted: tuple[tuple[tuple[str, ...], str], ...] = ()
        if identity is None or isinstance(identity, AnyIdentity):
            return
        values = (identity,) if isinstance(identity, str) else identity
        if not isinstance(values, Collection) or not values:
            raise _not_an_identity(identity)
        self._wanted = tuple(_parsed(value) for value in values)

    @property
    def names_somebody(self) -> bool:
        """Whether not just anyone will do."""
        return bool(self._wanted)

    def require(self, leaf: CertificateFacts, *, named: bool) -> str | None:
        """Return the identity that was found; of an unpinned one the subject, or first name.

        Args:
            leaf: a certificate for which a trusted root vouches.
            named: whether the caller has to have named an identity (or any, in so many words).

        Raises:
            UntrustedSignerError: the leaf carries none of those wanted, or none was named.
        """
        if not self._wanted:
            if named and not self.any:
                raise UntrustedSignerError(
                    f"nobody said that {shown(leaf.subject)} may sign, only who may issue "
                    "certificates: give identity=..., or ANY_IDENTITY if anyone whom the issuer "
                    "vouches for will do"
                )
            return leaf.subject or next((value for _, value in leaf.names), None)
        carried = {("subject", leaf.subject), *leaf.names}
        for kinds, value in self._wanted:
            if any((kind, value) in carried for kind in kinds):
                return value
        found = ", ".join((leaf.subject, *(f"{kind}:{value}" for kind, value in leaf.names)))
        wanted = " or ".join(value for _, value in self._wanted)
        raise UntrustedSignerError(
            f"the certificate is of {shown(found)}, not of {shown(wanted)}: it is another signer"
        )


def _parsed(value: object) -> tuple[tuple[str, ...], str]:
    if not isinstance(value, str) or not value:
        raise _not_an_identity(value)
    kind, colon, rest = value.partition(":")
    if colon and kind in _KINDS:
        if not rest:
            raise _not_an_identity(value)
        return (kind,), rest
    if _DISTINGUISHED_NAME.match(value):
        return ("subject",), value
    return _NAME_TYPES, value


def _not_an_identity(value: object) -> ConfigurationError:
    return ConfigurationError(
        f"an identity is text like 'CN=release,O=Example' or 'email:alice@example.com', or "
        f"several of them, or ANY_IDENTITY, not {shown(value)}"
    )
