"""What a verification found: who signed what, what was covered, and what was not."""

from dataclasses import dataclass
from datetime import datetime

from modelsec.signing.moments import rfc3339
from modelsec.signing.trust import Signatory
from modelsec.version import __version__


@dataclass(frozen=True, slots=True)
class Release:
    """Which model this is, as its signer says: signed together with the files.

    Attributes:
        name: of the model, whatever its directory is called.
        version: for people; compared for equality only.
        serial: counts up with every release of this name; what a trust store remembers.
        not_after: the signature must not be accepted later than this (aware, UTC).
        supersedes: tree digest of the release before it.
    """

    name: str
    version: str | None = None
    serial: int | None = None
    not_after: datetime | None = None
    supersedes: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Return what is set as JSON-ready values; times as RFC 3339 in UTC."""
        given = {
            "name": self.name,
            "version": self.version,
            "serial": self.serial,
            "not_after": None if self.not_after is None else rfc3339(self.not_after),
            "supersedes": self.supersedes,
        }
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Verification:
    """The receipt of one successful verification. There is none of a failed one: that raises.

    Attributes:
        path: what was verified, as the caller named it.
        signatories: everyone whose signature was verified and trusted; at least one.
        root_digest: SHA-256 over the listed digests, hex (OMS; it does not bind names).
        tree_digest: SHA-256 over names, ranges and digests, hex: says which model this is.
        algorithm: of the files' digests.
        shard_size: bytes in a shard, if ranges were signed; None: whole files. With it and the
            algorithm, ``modelsec digest`` computes the tree digest again.
        verified_at: the reference time of the verification (aware, UTC): the receipt is as of
            then. It is what the verifier's clock told, which may be any time that the caller chose.
        profile: ``strict`` or ``oms``.
        files: names whose bytes were hashed and equal what was signed, in code-point order; none
            as long as a model that is opened lazily was not read.
        release: what the signer says this is; None if the bundle does not say.
        partial: only named files were checked; the others may be anything.
        cached: of ``files``, those taken from the digest cache instead of being read again.
        ignored: names that exist and that the signer left out on purpose.
        unsigned: names that exist and that nobody signed, where the caller allowed it.
        unchecked: what this verification says nothing about, one sentence each.
        library: name and version of the verifier.
    """

    path: str
    signatories: tuple[Signatory, ...]
    root_digest: str
    tree_digest: str
    algorithm: str
    verified_at: datetime
    profile: str
    files: tuple[str, ...]
    release: Release | None = None
    partial: bool = False
    cached: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unsigned: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    library: str = f"modelsec {__version__}"
    shard_size: int | None = None

    @property
    def key_id(self) -> str:
        """Key id of the first signatory."""
        return self.signatories[0].key_id

    @property
    def identity(self) -> str | None:
        """Identity of the first signatory; None for bare keys."""
        return self.signatories[0].identity

    def to_dict(self) -> dict[str, object]:
        """Return the receipt as JSON-ready values."""
        return {
            "path": self.path,
            # A model that is opened lazily has a receipt before the first of its files is read.
            "verified": bool(self.files),
            "signatories": [
                {
                    "method": who.method,
                    "key_id": who.key_id,
                    "algorithm": who.algorithm,
                    "identity": who.identity,
                    "issuer": who.issuer,
                }
                for who in self.signatories
            ],
            "root_digest": self.root_digest,
            "tree_digest": self.tree_digest,
            "algorithm": self.algorithm,
            "shard_size": self.shard_size,
            "verified_at": rfc3339(self.verified_at),
            "profile": self.profile,
            "files": list(self.files),
            "release": None if self.release is None else self.release.to_dict(),
            "partial": self.partial,
            "cached": list(self.cached),
            "ignored": list(self.ignored),
            "unsigned": list(self.unsigned),
            "unchecked": list(self.unchecked),
            "library": self.library,
        }
