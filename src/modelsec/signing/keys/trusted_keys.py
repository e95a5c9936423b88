"""Trust in bare keys: a set of them, each with the time in which it is trusted."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modelsec.errors import (
    ConfigurationError,
    SignatureMismatchError,
    UnsupportedBundleError,
    UntrustedSignerError,
    shown,
)
from modelsec.signing.bundles.bundle import Bundle, ChainMaterial, KeyMaterial
from modelsec.signing.keys.public_key import PublicKey
from modelsec.signing.moments import rfc3339, utc
from modelsec.signing.trust import Signatory


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key, and when it is trusted.

    The times are those of the verification: a bare key proves no time of signing. From
    ``not_after`` on, nothing that the key ever signed is accepted.

    Attributes:
        public: the key.
        not_before: first moment of trust (aware); None: no limit.
        not_after: last moment of trust (aware); None: no limit.
        label: what people call it; for messages only.
        revoked: never trusted again; kept so that a refusal can say so.
    """

    public: PublicKey
    not_before: datetime | None = None
    not_after: datetime | None = None
    label: str | None = None
    revoked: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.public, PublicKey):
            raise ConfigurationError(
                f"a trusted key must be a PublicKey, not {type(self.public).__name__}"
            )
        for name in ("not_before", "not_after"):
            if getattr(self, name) is not None:
                utc(getattr(self, name), name)
        if self.not_before and self.not_after and self.not_before > self.not_after:
            raise ConfigurationError(f"{self}: not_before is later than not_after")
        if self.label is not None and not isinstance(self.label, str):
            raise ConfigurationError(f"a label must be text, not {shown(self.label)}")
        if not isinstance(self.revoked, bool):
            raise ConfigurationError(f"revoked must be true or false, not {shown(self.revoked)}")

    def __str__(self) -> str:
        name = f" ({shown(self.label)})" if self.label else ""
        return f"key {self.public.key_id[:16]}{name}"

    def refusal(self, now: datetime) -> str | None:
        """Say why the key is not trusted at a moment; None: it is."""
        if self.revoked:
            return f"{self} was revoked"
        if self.not_before is not None and now < self.not_before:
            return f"{self} is trusted from {rfc3339(self.not_before)} only"
        if self.not_after is not None and now > self.not_after:
            return f"{self} was trusted until {rfc3339(self.not_after)} only"
        return None


class TrustedKeys:
    """Trust bundles that are signed by one of these keys: a ``Trust``.

    To rotate, add the new key, sign with both for a while (one bundle each), then give the old
    one a ``not_after``, and drop it later. What a bundle says about its key is not signed: a hint
    only selects the candidate, and one that names no trusted key is refused.

    Args:
        keys: public keys: objects, PEM bytes, or paths of PEM files; with times as ``TrustedKey``.

    Raises:
        ConfigurationError: there is none, one is unreadable, or one occurs with different times.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[PublicKey | TrustedKey | bytes | str | Path]) -> None:
        if isinstance(keys, bytes | str | os.PathLike) or not isinstance(keys, Iterable):
            raise ConfigurationError(
                f"trusted keys are given as a list, not as one {type(keys).__name__}: "
                "TrustedKeys([...]); a file that lists keys is read by TrustedKeys.load"
            )
        self._keys: dict[str, TrustedKey] = {}
        for key in keys:
            self._add(_trusted(key))
        if not self._keys:
            raise ConfigurationError("a set of trusted keys must hold at least one key")

    @classmethod
    def load(cls, path: str | Path) -> "TrustedKeys":
        """Read a key set from a file: ``.toml``, ``.json``, or ``.pem`` with one key.

        A key set in TOML (JSON holds the same tables; times are texts there)::

            [[key]]
            file = "release-2026.pub.pem"      # beside the key set, or: pem = '''...'''
            label = "release key of 2026"
            not_before = 2026-01-01T00:00:00Z
            not_after = 2027-03-01T00:00:00Z

            [[key]]
            file = "release-2025.pub.pem"
            revoked = true

        Raises:
            ConfigurationError: it cannot be read, has a member that is unknown, or is empty.
        """
        from modelsec.signing.keys.key_set import read_key_set  # noqa: PLC0415 - it makes TrustedKey

        return cls(read_key_set(path))

    @property
    def keys(self) -> tuple[TrustedKey, ...]:
        """All keys, in the order in which they were given."""
        return tuple(self._keys.values())

    def __repr__(self) -> str:
        return f"TrustedKeys([{', '.join(map(str, self._keys.values()))}])"

    def authenticate(
        self,
        bundle: Bundle,
        *,
        now: datetime,
        legacy: bool = False,
        identity: bool = True,  # noqa: ARG002 - the protocol's; a bare key has no identity
    ) -> Signatory:
        """Return which trusted key signed (see ``Trust``).

        Raises:
            UnsupportedBundleError: the bundle was signed with a certificate.
            UntrustedSignerError: its key is not in the set, or not trusted now.
            SignatureMismatchError: the signature does not fit.
        """
        now = utc(now, "now")
        if not isinstance(bundle, Bundle):
            raise ConfigurationError(f"authenticate needs a parsed Bundle, not {shown(bundle)}")
        candidates = self._candidates(bundle)
        for key in candidates:
            encoding = key.public.verify_bundle(bundle, legacy=legacy)
            if encoding is None:
                continue
            if refusal := key.refusal(now):
                raise UntrustedSignerError(f"the signature is right, but {refusal}")
            return Signatory(
                method="key",
                key_id=key.public.key_id,
                algorithm=key.public.algorithm,
                compatibility=encoding == "compatibility",
            )
        names = ", ".join(map(str, candidates[:5]))
        raise SignatureMismatchError(
            f"the signature does not fit: it is forged or damaged, or another key than {names} "
            "made it"
        )

    def _candidates(self, bundle: Bundle) -> list[TrustedKey]:
        """Return the trusted keys that a bundle may mean: the one that it names, or all."""
        material = bundle.material
        if not isinstance(material, KeyMaterial):
            other = "TrustedRoots" if isinstance(material, ChainMaterial) else "TrustedIdentity"
            raise UnsupportedBundleError(
                f"the bundle is signed with a certificate, not with a bare key: verify it with "
                f"{other}"
            )
        found = list(self._keys.values())
        if material.hint is not None:
            found = [key for key in found if key.public.key_id == material.hint]
        if material.raw_bytes is not None:
            raw = material.raw_bytes.strip()
            found = [key for key in found if raw in (key.public.pem.strip(), key.public.der)]
        if not found:
            named = material.hint if material.hint is not None else "its own"
            count = len(self._keys)
            trusted = "not the trusted one" if count == 1 else f"not among the {count} trusted ones"
            raise UntrustedSignerError(
                f"the bundle names the key {shown(named)}, which is {trusted}"
            )
        return found

    def _add(self, key: TrustedKey) -> None:
        before = self._keys.setdefault(key.public.key_id, key)
        if before != key:
            raise ConfigurationError(
                f"{key} occurs twice with different times, labels or revocation: give it once"
            )


def _trusted(key: object) -> TrustedKey:
    if isinstance(key, TrustedKey):
        return key
    if isinstance(key, PublicKey):
        return TrustedKey(key)
    if isinstance(key, bytes):
        return TrustedKey(PublicKey.from_pem(key))
    if isinstance(key, str | Path):
        return TrustedKey(PublicKey.load(key))
    if isinstance(getattr(key, "public", None), PublicKey):
        raise ConfigurationError("a verifier needs no private key: give its .public")
    raise ConfigurationError(
        f"a trusted key is a PublicKey, a TrustedKey, PEM bytes or a path, not {shown(key)}"
    )
