"""``modelsec sign``: the signature of a model, as a bundle beside it."""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction
from typing import TYPE_CHECKING

from modelsec.cli import OK
from modelsec.cli.ignored import relative_paths
from modelsec.cli.moments import moment
from modelsec.errors import ConfigurationError, printable

if TYPE_CHECKING:
    from modelsec.signing import Release, Signed
    from modelsec.signing.trust import Signer


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "sign",
        help="sign a model, so that others can verify it",
        description="Sign a model file or directory (OpenSSF Model Signing v1.0) and write the "
        "signature beside it.",
        epilog="Exit codes: 0 signed; 1 refused, and nothing was written; 2 wrong usage.",
    )
    parser.add_argument("model", metavar="MODEL", help="file or directory")
    secret = parser.add_mutually_exclusive_group(required=True)
    secret.add_argument("--key", metavar="PEM", help="private key (ECDSA or Ed25519)")
    secret.add_argument(
        "--secret-file",
        metavar="FILE",
        help="a shared secret instead of a key pair: prints an HMAC signature; whoever can verify "
        "it can also forge it",
    )
    parser.add_argument("--password-file", metavar="FILE", help="password of the private key")
    parser.add_argument("--certificate", metavar="PEM", help="certificate of the key")
    parser.add_argument(
        "--chain",
        action="append",
        default=[],
        metavar="PEM",
        help="certificates between that one and the root; may be repeated",
    )
    parser.add_argument(
        "--signature", metavar="FILE", help="where the signature goes (default: MODEL.sig)"
    )
    parser.add_argument("--name", help="name of the model, which is signed, too")
    parser.add_argument("--model-version", metavar="VERSION", help="version of the model, idem")
    parser.add_argument(
        "--serial", type=int, metavar="N", help="counts up with every release of the name"
    )
    parser.add_argument(
        "--not-after", type=moment, metavar="TIME", help="until when it may be accepted (RFC 3339)"
    )
    parser.add_argument(
        "--supersedes", metavar="DIGEST", help="tree digest of the release before it"
    )
    parser.add_argument(
        "--algorithm", choices=("sha256", "blake2b", "blake3"), default="sha256", help="of digests"
    )
    parser.add_argument(
        "--shards",
        nargs="?",
        type=int,
        const=1_000_000_000,
        metavar="BYTES",
        help="hash ranges of this size (default 1000000000) instead of whole files",
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATH",
        help="leave out, relative to MODEL; needs --profile oms if it exists; may be repeated",
    )
    parser.add_argument(
        "--profile", choices=("strict", "oms"), default="strict", help="default: strict"
    )
    parser.add_argument("--cache", metavar="FILE", help="digests of files that did not change")
    parser.add_argument("--json", action="store_true", help="print what was signed as JSON")


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.cli.progress import progress  # noqa: PLC0415 - not needed for --help
    from modelsec.signing import PROFILES, sign  # noqa: PLC0415 - idem

    if options.secret_file is not None:
        return _with_secret(options)
    cache = None
    if options.cache is not None:
        from modelsec.signing import DigestCache  # noqa: PLC0415 - idem

        cache = DigestCache(options.cache)
    with progress("signing") as on_progress:
        signed = sign(
            options.model,
            _signer(options),
            signature=options.signature,
            release=_release(options),
            algorithm=options.algorithm,
            shard_size=options.shards,
            ignore=relative_paths(options.model, options.ignore),
            profile=PROFILES[options.profile],
            cache=cache,
            on_progress=on_progress,
        )
    print(json.dumps(signed.to_dict(), indent=1) if options.json else _text(signed))
    return OK


def _signer(options: Namespace) -> "Signer":
    from modelsec.cli.secret_files import password  # noqa: PLC0415 - not needed for --help
    from modelsec.signing import CertifiedKey, PrivateKey  # noqa: PLC0415 - idem

    unlock = password(options.password_file)
    if options.certificate is not None:
        return CertifiedKey.load(options.key, options.certificate, options.chain, password=unlock)
    if options.chain:
        raise ConfigurationError("--chain needs --certificate, the certificate of the key")
    return PrivateKey.load(options.key, password=unlock)


def _release(options: Namespace) -> "Release | None":
    from modelsec.signing import Release  # noqa: PLC0415 - not needed for --help

    rest = (options.model_version, options.serial, options.not_after, options.supersedes)
    if options.name is None:
        if any(value is not None for value in rest):
            raise ConfigurationError("a version, serial or expiry needs --name, the model's name")
        return None
    return Release(options.name, *rest)


def _with_secret(options: Namespace) -> int:
    from modelsec.cli.progress import progress  # noqa: PLC0415 - not needed for --help
    from modelsec.cli.secret_files import secret  # noqa: PLC0415 - idem
    from modelsec.files import atomic_text  # noqa: PLC0415 - idem
    from modelsec.signing import PROFILES, ModelSigner  # noqa: PLC0415 - idem

    signer = ModelSigner(
        secret(options.secret_file),
        algorithm=options.algorithm,
        profile=PROFILES[options.profile],
    )
    with progress("signing") as on_progress:
        token = signer.sign_model(options.model, name=options.name, on_progress=on_progress)
    if options.signature is None:
        print(token)
    else:
        with atomic_text(options.signature) as file:
            file.write(token + "\n")
    return OK


def _text(signed: "Signed") -> str:
    count = len(signed.manifest.names)
    lines = [
        f"{printable(str(signed.bundle), 500)}: {count:,} file{'s' * (count != 1)} signed",
        f"key id       {signed.key_id}",
        f"tree digest  {signed.manifest.tree_digest}",
        f"root digest  {signed.manifest.root_digest}",
    ]
    if signed.release is not None:
        said = ", ".join(f"{key} {value}" for key, value in signed.release.to_dict().items())
        lines.append(f"release      {printable(said, 500)}")
    lines += [f"left out     {printable(name, 500)}" for name in signed.excluded[:20]]
    return "\n".join(lines)
