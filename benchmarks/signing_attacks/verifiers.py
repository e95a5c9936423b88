"""The verifiers that are compared, each called the way its documentation says."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from modelsec.errors import ConfigurationError, VerificationError
from modelsec.provenance.loading.opening import open_verified
from modelsec.signing import OMS, STRICT, Profile, TrustedKeys, TrustedRoots, TrustStore, Verifier
from modelsec.signing.keys import PublicKey, TrustedKey

from .probe import Attempt

Kind = Literal["accepted", "refused", "foreign", "ended", "hung", "missed"]

_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a verifier did.

    Attributes:
        kind: ``refused`` is with an error that the verifier documents, ``foreign`` with another
            one; ``ended`` and ``hung``: its process; ``missed``: a race, whose moment never came.
        error: name of the exception's class.
        message: of the exception.
    """

    kind: Kind
    error: str = ""
    message: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.error})" if self.error else self.kind


Verify = Callable[[Attempt], None]


def ours(profile: Profile) -> Verify:
    """Return ours with a profile."""

    def verify(attempt: Attempt) -> None:
        trust = (
            TrustedRoots(list(attempt.roots), identity=attempt.identity)
            if attempt.roots
            else TrustedKeys(
                [
                    TrustedKey(
                        PublicKey.load(key.pem),
                        not_before=key.not_before,
                        not_after=key.not_after,
                        revoked=key.revoked,
                    )
                    for key in attempt.keys
                ]
            )
        )
        verifier = Verifier(
            trust,
            profile=profile,
            name=attempt.name,
            version=attempt.version,
            releases=None if attempt.releases is None else TrustStore(attempt.releases),
            threshold=attempt.threshold,
            clock=lambda: attempt.now,
        )
        if attempt.load is not None:
            with open_verified(
                attempt.model, verifier, signature=attempt.bundles[0], scan=False
            ) as model:
                attempt.load.between()
                _ = model.buffer(attempt.load.name)
            return
        verifier.verify(
            attempt.model,
            attempt.bundles,
            only=attempt.only,
            ignore_unsigned=attempt.ignore_unsigned,
        )

    return verify


def reference(attempt: Attempt) -> None:
    """Call the reference implementation: one bundle, one key or the roots, no clock, no names.

    It can ignore unsigned files, and has to be told of shards and of links.
    """
    from model_signing import hashing, verifying  # noqa: PLC0415 - the peer, only if asked for

    config = verifying.Config().set_ignore_unsigned_files(attempt.ignore_unsigned)
    if attempt.roots:
        config.use_certificate_verifier(certificate_chain=attempt.roots)
    else:
        config.use_elliptic_key_verifier(public_key=attempt.keys[0].pem)
    if attempt.shard_size is not None:
        config.set_hashing_config(
            hashing.Config().use_shard_serialization(shard_size=attempt.shard_size)
        )
    elif attempt.links:
        config.set_hashing_config(hashing.Config().set_allow_symlinks(True))
    config.verify(attempt.model, attempt.bundles[0])
    if attempt.load is not None:
        attempt.load.between()
        _ = (attempt.model / attempt.load.name).read_bytes()


VERIFIERS: dict[str, tuple[Verify, tuple[type[Exception], ...]]] = {
    "modelsec strict": (ours(STRICT), (VerificationError, ConfigurationError)),
    "modelsec oms": (ours(OMS), (VerificationError, ConfigurationError)),
    "model-signing": (reference, (ValueError,)),
}
"""How to call each, and the errors with which it says that it refuses."""


def outcome(verifier: str, attempt: Attempt) -> Outcome:
    """Have an attempt verified, and say what came of it."""
    verify, refusals = VERIFIERS[verifier]
    try:
        with _as_nobody(attempt.unprivileged):
            verify(attempt)
    except refusals as error:
        return Outcome("refused", type(error).__name__, _told(error))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Outcome("foreign", type(error).__name__, _told(error))
    return Outcome("accepted")


def _told(error: BaseException) -> str:
    return str(error).partition("\n")[0][:300]


@contextmanager
def _as_nobody(wanted: bool) -> Iterator[None]:  # noqa: FBT001 - a field of the attempt
    """Give up the superuser's right to read everything; others never had it."""
    if not wanted or os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
