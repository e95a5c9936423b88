"""Which key wraps the keys of files: options that several commands share."""

import os
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from modelsec.errors import ConfigurationError, shown_path

if TYPE_CHECKING:
    from modelsec.protocols.keys import KeyWrapper

_AWS = ("aws-kms:", "awskms:")


def add_key_options(parser: ArgumentParser, prefix: str = "", *, what: str = "the key") -> None:
    """Add the options that name one wrapping key, of which one has to be given.

    Args:
        parser: of the command.
        prefix: before the options' names, where a command takes two keys.
        what: which key it is.
    """
    if not prefix:
        add_shared_option(parser)
    keys = parser.add_mutually_exclusive_group(required=True)
    keys.add_argument(
        f"--{prefix}key-file", metavar="FILE", help=f"{what} is in this file, for its owner only"
    )
    keys.add_argument(
        f"--{prefix}aws-kms",
        metavar="KEY",
        help=f"{what} is in AWS KMS: aws-kms://ARN, or an id, ARN or alias",
    )
    keys.add_argument(
        f"--{prefix}vault",
        metavar="URI",
        help=f"{what} is in Vault or OpenBao: hcvault://HOST/transit/keys/NAME, or "
        "hashivault://NAME with VAULT_ADDR; the token is in VAULT_TOKEN",
    )


def add_shared_option(parser: ArgumentParser) -> None:
    """Add the option that accepts key files as Kubernetes mounts them."""
    parser.add_argument(
        "--readable-by-others",
        action="store_true",
        help="accept a key file that others may read, as a mounted secret; never one that others "
        "may write",
    )


def add_context_option(parser: ArgumentParser) -> None:
    """Add the option that tells what a file is."""
    parser.add_argument(
        "--context",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what the file is, for example name=resnet and version=3; readable by everybody, "
        "and told again to decrypt; may be repeated",
    )


def key_wrapper(options: Namespace, prefix: str = "") -> "KeyWrapper":
    """Return the wrapper that the options name.

    Raises:
        ConfigurationError: the key cannot be read, or its name is not one.
    """
    from modelsec.encryption.key_file import LocalKeyWrapper  # noqa: PLC0415 - not for --help
    from modelsec.encryption.wrapper_uri import wrapper_from_uri  # noqa: PLC0415 - idem

    given = {name: getattr(options, prefix + name) for name in ("key_file", "aws_kms", "vault")}
    path = given["key_file"]
    if path is not None:
        if not os.path.lexists(path):
            raise ConfigurationError(f"there is no key file {shown_path(path)}{_how(options)}")
        return LocalKeyWrapper.load(path, readable_by_others=options.readable_by_others)
    key = given["aws_kms"]
    if key is not None and not key.startswith(_AWS):
        key = f"aws-kms://{key}"
    return wrapper_from_uri(given["vault"] if key is None else key, environment=os.environ)


def _how(options: Namespace) -> str:
    """Say how a missing key file is made; not to who decrypts: a new key would be of no use."""
    return "; make it with --new-key" if hasattr(options, "new_key") else ""


def context(options: Namespace) -> dict[str, str]:
    """Return the context that the options tell.

    Raises:
        ConfigurationError: a pair has no ``=``, or a name is given twice.
    """
    pairs: dict[str, str] = {}
    for pair in options.context:
        name, equals, value = pair.partition("=")
        if not equals or name in pairs:
            raise ConfigurationError(f"--context {pair!r:.60}: write NAME=VALUE, each name once")
        pairs[name] = value
    return pairs
