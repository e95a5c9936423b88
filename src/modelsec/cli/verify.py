"""``modelsec verify``: is this exactly the model that was signed, and by whom?"""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelsec.cli import OK
from modelsec.cli.ignored import relative_paths
from modelsec.cli.moments import moment
from modelsec.errors import ConfigurationError, printable

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as _Group

    from modelsec.signing import Profile, Verification
    from modelsec.signing.trust import Trust

_LISTED = 20


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "verify",
        help="verify a signed model",
        description="Verify that a model file or directory is exactly what a trusted signer "
        "signed (OpenSSF Model Signing v1.0).",
        epilog="Exit codes: 0 verified; 1 refused, the message says why; 2 wrong usage.",
    )
    parser.add_argument("model", metavar="MODEL", help="file or directory")
    parser.add_argument(
        "--signature",
        action="append",
        metavar="FILE",
        help="the signature (default: MODEL.sig); may be repeated, one a signer",
    )
    _add_trust(parser.add_argument_group("who is trusted (at least one)"))
    _add_meaning(parser.add_argument_group("which model is meant"))
    _add_rules(parser.add_argument_group("how strictly"))
    parser.add_argument("--cache", metavar="FILE", help="digests of files that did not change")
    parser.add_argument("--json", action="store_true", help="print the receipt as JSON")


def _add_trust(group: "_Group") -> None:
    group.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="PEM",
        help="public key; may be repeated",
    )
    group.add_argument("--key-set", metavar="FILE", help="keys with validity, for rotation")
    group.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="PEM",
        help="certificates of the roots of a chain; may be repeated",
    )
    group.add_argument("--identity", help="whom the certificate must be for")
    group.add_argument(
        "--any-identity",
        action="store_true",
        help="trust every certificate under the roots, whomever it is for",
    )
    group.add_argument(
        "--issuer", metavar="URL", help="with --identity: Sigstore, and who vouches for it"
    )
    group.add_argument(
        "--secret-file", metavar="FILE", help="the shared secret of an HMAC signature"
    )


def _add_meaning(group: "_Group") -> None:
    group.add_argument("--name", help="name of the model")
    group.add_argument("--model-version", metavar="VERSION", help="version of the model")
    group.add_argument(
        "--trust-store", metavar="FILE", help="remembers releases; refuses older ones"
    )
    group.add_argument(
        "--file",
        action="append",
        metavar="PATH",
        help="verify only this file, relative to MODEL; may be repeated",
    )


def _add_rules(group: "_Group") -> None:
    group.add_argument(
        "--profile", choices=("strict", "oms"), default="strict", help="default: strict"
    )
    group.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATH",
        help="left out by the signer, relative to MODEL; needs --profile oms; may be repeated",
    )
    group.add_argument(
        "--ignore-unsigned", action="store_true", help="permit files that nobody signed"
    )
    group.add_argument("--legacy", action="store_true", help="also read the bundles of OMS 0.2.0")
    group.add_argument(
        "--threshold", type=int, default=1, metavar="N", help="so many keys must have signed"
    )
    group.add_argument(
        "--at", type=moment, metavar="TIME", help="judge validity at this time (RFC 3339)"
    )


def run(options: Namespace) -> int:
    """Run the command."""
    if options.secret_file is not None:
        verification = _with_secret(options)
    else:
        verification = _with_trust(options)
    print(json.dumps(verification.to_dict(), indent=1) if options.json else _text(verification))
    return OK


def _with_trust(options: Namespace) -> "Verification":
    from modelsec.cli.progress import progress  # noqa: PLC0415 - not needed for --help
    from modelsec.signing import TrustStore, Verifier  # noqa: PLC0415 - idem

    cache = None
    if options.cache is not None:
        from modelsec.signing import DigestCache  # noqa: PLC0415 - idem

        cache = DigestCache(options.cache)
    at = options.at or datetime.now(UTC)
    verifier = Verifier(
        _trust(options),
        profile=_profile(options),
        name=options.name,
        version=options.model_version,
        releases=None if options.trust_store is None else TrustStore(options.trust_store),
        threshold=options.threshold,
        clock=lambda: at,
    )
    with progress("verifying") as on_progress:
        return verifier.verify(
            options.model,
            options.signature,
            only=options.file,
            ignore=relative_paths(options.model, options.ignore),
            ignore_unsigned=options.ignore_unsigned,
            cache=cache,
            on_progress=on_progress,
        )


def _with_secret(options: Namespace) -> "Verification":
    from modelsec.cli.progress import progress  # noqa: PLC0415 - not needed for --help
    from modelsec.cli.secret_files import secret  # noqa: PLC0415 - idem
    from modelsec.signing import PROFILES, ModelSigner  # noqa: PLC0415 - idem

    if not options.signature or len(options.signature) != 1:
        raise ConfigurationError("--secret-file needs one --signature, the file with the signature")
    signer = ModelSigner(secret(options.secret_file), profile=PROFILES[options.profile])
    token = secret(options.signature[0]).decode("ascii", "replace")
    with progress("verifying") as on_progress:
        return signer.verify(options.model, token, name=options.name, on_progress=on_progress)


def _profile(options: Namespace) -> "Profile":
    from dataclasses import replace  # noqa: PLC0415 - not needed for --help

    from modelsec.signing import PROFILES  # noqa: PLC0415 - idem

    profile = PROFILES[options.profile]
    return replace(profile, legacy=True) if options.legacy else profile


def _trust(options: Namespace) -> "list[Trust]":
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
    elif options.identity is not None and options.issuer is not None:
        from modelsec.signing import TrustedIdentity  # noqa: PLC0415 - on use

        trusts.append(TrustedIdentity(options.identity, options.issuer))
    if not trusts:
        raise ConfigurationError(
            "nobody is trusted: give --key, --key-set, --root with --identity, or --identity with "
            "--issuer (Sigstore)"
        )
    return trusts


def _text(verification: "Verification") -> str:
    count = len(verification.files)
    part = " (only these)" if verification.partial else ""
    lines = [
        f"{printable(verification.path, 500)}: {count:,} file{'s' * (count != 1)} verified{part}"
    ]
    for who in verification.signatories:
        named = "" if who.identity is None else f" {printable(who.identity, 200)}"
        lines.append(f"signed by    {who.method} {who.key_id} ({who.algorithm}){named}")
    lines.append(f"tree digest  {verification.tree_digest}")
    if verification.release is not None:
        said = ", ".join(f"{key} {value}" for key, value in verification.release.to_dict().items())
        lines.append(f"release      {printable(said, 500)}")
    for title, names in (("left out", verification.ignored), ("not signed", verification.unsigned)):
        lines += [f"{title:<12} {printable(name, 500)}" for name in names[:_LISTED]]
        if len(names) > _LISTED:
            lines.append(f"{title:<12} ... and {len(names) - _LISTED:,} more (--json lists them)")
    lines += [f"not checked  {printable(gap, 500)}" for gap in verification.unchecked]
    return "\n".join(lines)
