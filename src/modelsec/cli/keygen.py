"""``modelsec keygen``: a new key pair to sign models with."""

from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path

from modelsec.cli import OK
from modelsec.errors import ConfigurationError, shown

_KINDS = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519")


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "keygen",
        help="make a key pair to sign models with",
        description="Make a private key, which signs models, and its public key, which verifies "
        "them. Neither file may exist. The private one is readable by its owner only.",
        epilog="Exit codes: 0 made; 2 wrong usage, e.g. a file exists or cannot be written.",
    )
    parser.add_argument("private", metavar="PRIVATE.pem", help="the private key, a new file")
    parser.add_argument(
        "--public", metavar="FILE", help="the public key, a new file (default: PRIVATE.pub.pem)"
    )
    parser.add_argument(
        "--kind",
        choices=_KINDS,
        default="ecdsa-p256",
        help="default: ecdsa-p256; only this library verifies signatures of ed25519",
    )
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="encrypt the private key with the first line of this file; - for standard input",
    )


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.cli.secret_files import password  # noqa: PLC0415 - not needed for --help
    from modelsec.signing.keys import PrivateKey  # noqa: PLC0415 - not needed for --help

    private = Path(options.private)
    public = Path(options.public) if options.public else _beside(private)
    lock = password(options.password_file)
    key = PrivateKey.generate(options.kind)
    key.save(private, lock)
    try:
        key.public.save(public)
    except ConfigurationError:
        # This very call made it, and nobody can have used it yet.
        private.unlink(missing_ok=True)
        raise
    print(f"private key  {private}{'' if lock else ' (not encrypted)'}")
    print(f"public key   {public}")
    print(f"key id       {key.key_id}")
    return OK


def _beside(private: Path) -> Path:
    if not private.name:
        raise ConfigurationError(f"{shown(str(private))} is not the name of a file")
    stem = private.stem if private.suffix == ".pem" else private.name
    return private.with_name(f"{stem}.pub.pem")
