"""``modelsec sign``: the signature of a model, as a bundle beside it."""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction
from typing import TYPE_CHECKING

from modelsec.cli import OK
from modelsec.cli.ignored import relative_paths
from modelsec.cli.moments import moment
from modelsec.cli.profiles import add_profile_options, chosen_profile
from modelsec.errors import ConfigurationError, printable

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as _Group

    from modelsec.signing import DigestCache, Release, Signed
    from modelsec.signing.trust import Signer


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "sign",
        help="sign a model, so that others can verify it",
        description="Sign a model file or directory (OpenSSF Model Signing v1.0) and write the "
        "signature beside it.",
        epilog="Exit codes: 0 signed; 1 the model is refused, and nothing was written; 2 wrong "
        "usage: an option or a file is missing, contradicts another one, or cannot be read.",
    )
    parser.add_argument("model", metavar="MODEL", help="file or directory")
    parser.add_argument(
        "--signature", metavar="FILE", help="where the signature goes (default: MODEL.sig)"
    )
    parser.add_argument("--json", action="store_true", help="print what was signed as JSON")
    _add_signer(parser.add_argument_group("who signs (one of the first two)"))
    _add_release(parser.add_argument_group("which model it is"))
    _add_layout(parser.add_argument_group("how it is read"))


def _add_signer(group: "_Group") -> None:
    secret = group.add_mutually_exclusive_group(required=True)
    secret.add_argument("--key", metavar="PEM", help="private key (ECDSA or Ed25519)")
    secret.add_argument(
        "--secret-file",
        metavar="FILE",
        help="a shared secret instead of a key pair, which makes an HMAC signature: printed, or "
        "written to --signature; whoever can verify it can also forge it. It takes --name and the "
        "profile, and nothing else",
    )
    group.add_argument(
        "--password-file",
        metavar="FILE",
        help="password of the private key, on the first line; - for standard input",
    )
    group.add_argument("--certificate", metavar="PEM", help="certificate of the key")
    group.add_argument(
        "--chain",
        action="append",
        default=[],
        metavar="PEM",
        help="certificates between that one and the root; may be repeated",
    )
    group.add_argument(
        "--allow-expired",
        action="store_true",
        help="sign although the certificate has expired, or is not valid yet",
    )


def _add_release(group: "_Group") -> None:
    group.add_argument(
        "--name",
        help="name of the model, which is signed, too; with --secret-file the verifier has to give "
        "the same one",
    )
    group.add_argument("--model-version", metavar="VERSION", help="version of the model, idem")
    group.add_argument(
        "--serial", type=int, metavar="N", help="counts up with every release of the name"
    )
    group.add_argument(
        "--not-after", type=moment, metavar="TIME", help="until when it may be accepted (RFC 3339)"
    )
    group.add_argument(
        "--supersedes", metavar="DIGEST", help="tree digest of the release before it"
    )


def _add_layout(group: "_Group") -> None:
    group.add_argument(
        "--algorithm", choices=("sha256", "blake2b", "blake3"), help="of digests (default: sha256)"
    )
    group.add_argument(
        "--shards",
        nargs="?",
        type=int,
        const=1_000_000_000,
        metavar="BYTES",
        help="hash ranges of this size (default 1000000000) instead of whole files",
    )
    add_profile_options(group)
    group.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATH",
        help="leave out, relative to MODEL; needs --profile oms if it exists; may be repeated",
    )
    group.add_argument("--cache", metavar="FILE", help="digests of files that did not change")


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.cli.hints import option_hints  # noqa: PLC0415 - not needed for --help

    with option_hints():
        if options.secret_file is not None:
            from modelsec.cli.shared_secret import sign_with_secret  # noqa: PLC0415 - idem

            print(sign_with_secret(options))
            return OK
        signed = _signed(options)
    print(json.dumps(signed.to_dict(), indent=1) if options.json else _text(signed))
    return OK


def _signed(options: Namespace) -> "Signed":
    from modelsec.cli.progress import progress  # noqa: PLC0415 - not needed for --help
    from modelsec.signing import sign  # noqa: PLC0415 - idem

    with progress("signing") as on_progress:
        return sign(
            options.model,
            _signer(options),
            signature=options.signature,
            release=_release(options),
            algorithm=options.algorithm or "sha256",
            shard_size=options.shards,
            ignore=relative_paths(options.model, options.ignore),
            profile=chosen_profile(options),
            cache=_cache(options.cache),
            on_progress=on_progress,
        )


def _cache(path: str | None) -> "DigestCache | None":
    if path is None:
        return None
    from modelsec.signing import DigestCache  # noqa: PLC0415 - on use

    return DigestCache(path)


def _signer(options: Namespace) -> "Signer":
    from modelsec.cli.secret_files import password  # noqa: PLC0415 - not needed for --help

    unlock = password(options.password_file)
    if options.certificate is not None:
        from modelsec.cli.certificate_dates import check_dates  # noqa: PLC0415 - on use
        from modelsec.signing import CertifiedKey  # noqa: PLC0415 - idem

        signer = CertifiedKey.load(options.key, options.certificate, options.chain, password=unlock)
        if not options.allow_expired:
            check_dates(options.certificate)
        return signer
    if options.chain or options.allow_expired:
        option = "--chain" if options.chain else "--allow-expired"
        raise ConfigurationError(f"{option} needs --certificate, the certificate of the key")
    from modelsec.signing import PrivateKey  # noqa: PLC0415 - on use

    return PrivateKey.load(options.key, password=unlock)


def _release(options: Namespace) -> "Release | None":
    from modelsec.signing import Release  # noqa: PLC0415 - not needed for --help

    rest = (options.model_version, options.serial, options.not_after, options.supersedes)
    if options.name is None:
        if any(value is not None for value in rest):
            raise ConfigurationError(
                "--model-version, --serial, --not-after and --supersedes need --name: they are "
                "about a release of it"
            )
        return None
    return Release(options.name, *rest)


def _text(signed: "Signed") -> str:
    from modelsec.cli.receipt_text import release_text  # noqa: PLC0415 - JSON needs none

    count = len(signed.manifest.names)
    lines = [
        f"{printable(str(signed.bundle), 500)}: {count:,} file{'s' * (count != 1)} signed",
        f"key id       {signed.key_id}",
        f"tree digest  {signed.manifest.tree_digest}",
        f"root digest  {signed.manifest.root_digest}",
    ]
    if signed.release is not None:
        lines.append(f"release      {release_text(signed.release)}")
    lines += [f"left out     {printable(name, 500)}" for name in signed.excluded[:20]]
    return "\n".join(lines)
