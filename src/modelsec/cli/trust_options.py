"""Who is trusted, as options: each is used, and those that contradict each other are refused."""

from argparse import Namespace
from typing import TYPE_CHECKING

from modelsec.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as _Group

    from modelsec.signing.trust import Trust


def add_trust_options(group: "_Group") -> None:
    """Add the options to a group of the parser."""
    group.add_argument(
        "--key", action="append", default=[], metavar="PEM", help="public key; may be repeated"
    )
    group.add_argument("--key-set", metavar="FILE", help="keys with validity, for rotation")
    group.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="PEM",
        help="certificates of the roots of a chain, with --identity; may be repeated",
    )
    group.add_argument(
        "--identity", help="whom the certificate must be for, with --root or --issuer"
    )
    group.add_argument(
        "--any-identity",
        action="store_true",
        help="instead of --identity: whomever the roots, or the issuer, vouch for",
    )
    group.add_argument(
        "--issuer", metavar="URL", help="Sigstore: who vouches for the identity, exactly"
    )
    group.add_argument(
        "--secret-file",
        metavar="FILE",
        help="the shared secret of an HMAC signature, which only takes --signature, --name (as it "
        "was given when it was signed) and the profile",
    )


def trusts_of(options: Namespace) -> "list[Trust]":
    """Return who is trusted.

    Raises:
        ConfigurationError: nobody is; options contradict each other, or would not be used; or a
            file cannot be read.
    """
    _check(options)
    trusts: list[Trust] = []
    if options.key:
        from modelsec.signing import PublicKey, TrustedKeys  # noqa: PLC0415 - on use

        trusts.append(TrustedKeys([PublicKey.load(path) for path in options.key]))
    if options.key_set is not None:
        from modelsec.signing import TrustedKeys  # noqa: PLC0415 - on use

        trusts.append(TrustedKeys.load(options.key_set))
    if options.root:
        from modelsec.signing import ANY_IDENTITY, TrustedRoots  # noqa: PLC0415 - on use

        identity = ANY_IDENTITY if options.any_identity else options.identity
        trusts.append(TrustedRoots(options.root, identity=identity))
    if options.issuer is not None:
        from modelsec.signing import ANY_IDENTITY, TrustedIdentity  # noqa: PLC0415 - on use

        identity = ANY_IDENTITY if options.any_identity else options.identity
        trusts.append(TrustedIdentity(identity, options.issuer))
    return trusts


def _check(options: Namespace) -> None:
    fault = _fault(options)
    if fault is not None:
        raise ConfigurationError(fault)


def _fault(options: Namespace) -> str | None:
    """Say what is wrong with the options about trust."""
    rooted, issued = bool(options.root), options.issuer is not None
    named = options.identity is not None
    if not (options.key or options.key_set is not None or rooted or issued):
        return (
            "nobody is trusted: give --key, --key-set, --root with --identity, or --identity with "
            "--issuer (Sigstore)"
        )
    if named and options.any_identity:
        return "--identity and --any-identity contradict each other: give one of them"
    if rooted and issued:
        return "--root and --issuer (Sigstore) judge different certificates: give one of them"
    if (named or options.any_identity) and not (rooted or issued):
        return (
            f"{'--identity' if named else '--any-identity'} needs --root, or --issuer (Sigstore): "
            "a bare key has no identity that could be compared"
        )
    if (issued or (rooted and options.profile == "strict")) and not (named or options.any_identity):
        return (
            f"{'--issuer' if issued else '--root'} needs --identity, whom the certificate must be "
            "for, or --any-identity"
        )
    return None
