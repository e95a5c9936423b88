"""``modelsec verify``: is this exactly the model that was signed, and by whom?"""

import json
import os
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelsec.cli import OK
from modelsec.cli.ignored import relative_paths
from modelsec.cli.moments import moment
from modelsec.cli.profiles import add_profile_options, check_left_out, chosen_profile
from modelsec.cli.receipt_text import receipt_text
from modelsec.cli.trust_options import add_trust_options, trusts_of
from modelsec.errors import ConfigurationError, DigestMismatchError, shown, shown_path

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as _Group

    from modelsec.signing import DigestCache, Verification, Verifier


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "verify",
        help="verify a signed model",
        description="Verify that a model file or directory is exactly what a trusted signer "
        "signed (OpenSSF Model Signing v1.0).",
        epilog="Exit codes: 0 verified; 1 refused, the message says why; 2 wrong usage: an option "
        "or a file is missing, contradicts another one, or cannot be read. Nothing but 0 means "
        "verified.",
    )
    parser.add_argument("model", metavar="MODEL", help="file or directory")
    parser.add_argument(
        "--signature",
        action="append",
        metavar="FILE",
        help="the signature (default: MODEL.sig); may be repeated, one a signer",
    )
    add_trust_options(parser.add_argument_group("who is trusted (at least one)"))
    _add_meaning(parser.add_argument_group("which model is meant"))
    _add_rules(parser.add_argument_group("how strictly"))
    parser.add_argument("--cache", metavar="FILE", help="digests of files that did not change")
    parser.add_argument("--json", action="store_true", help="print the receipt as JSON")


def _add_meaning(group: "_Group") -> None:
    group.add_argument("--name", help="name of the model, as its signer gave it")
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
    add_profile_options(group, legacy=True)
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
    group.add_argument(
        "--threshold", type=int, metavar="N", help="so many keys must have signed (default 1)"
    )
    group.add_argument(
        "--at", type=moment, metavar="TIME", help="judge validity at this time (RFC 3339), not now"
    )


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.cli.hints import option_hints  # noqa: PLC0415 - not needed for --help

    with option_hints():
        if options.secret_file is not None:
            from modelsec.cli.shared_secret import verify_with_secret  # noqa: PLC0415 - idem

            verification = verify_with_secret(options)
        else:
            verification = _with_trust(options)
    if options.json:
        print(json.dumps(verification.to_dict(), indent=1))
    else:
        print(receipt_text(verification, as_of=_as_of(options)))
    return OK


def _with_trust(options: Namespace) -> "Verification":
    from modelsec.cli.progress import progress  # noqa: PLC0415 - not needed for --help

    verifier = _verifier(options)
    _check_signature_exists(options)
    with _quiet(options), _names_of_files(options), progress("verifying") as on_progress:
        found = verifier.verify(
            options.model,
            options.signature,
            only=options.file,
            ignore=relative_paths(options.model, options.ignore),
            ignore_unsigned=options.ignore_unsigned,
            cache=_cache(options.cache),
            on_progress=on_progress,
        )
    if options.leave_out_git:
        check_left_out(found, unsigned=options.ignore_unsigned)
    return found if options.at is None else _judged_then(found, _as_of(options))


def _verifier(options: Namespace) -> "Verifier":
    from modelsec.signing import TrustStore, Verifier  # noqa: PLC0415 - not needed for --help

    at = options.at or datetime.now(UTC)
    return Verifier(
        trusts_of(options),
        profile=chosen_profile(options),
        name=options.name,
        version=options.model_version,
        releases=None if options.trust_store is None else TrustStore(options.trust_store),
        threshold=1 if options.threshold is None else options.threshold,
        clock=lambda: at,
    )


def _cache(path: str | None) -> "DigestCache | None":
    if path is None:
        return None
    from modelsec.signing import DigestCache  # noqa: PLC0415 - on use

    return DigestCache(path)


def _as_of(options: Namespace) -> str | None:
    if options.at is None:
        return None
    from modelsec.signing.moments import rfc3339  # noqa: PLC0415 - on use

    return rfc3339(options.at)


def _judged_then(found: "Verification", as_of: str | None) -> "Verification":
    from dataclasses import replace  # noqa: PLC0415 - on use

    gap = f"validity was judged as of {as_of}, not now: what expired since would pass"
    return replace(found, unchecked=(*found.unchecked, gap))


def _check_signature_exists(options: Namespace) -> None:
    """Tell a forgotten option from an attack."""
    if options.signature is not None or not os.path.lexists(options.model):
        return
    from modelsec.signing.places import bundle_path, model_path  # noqa: PLC0415 - on use

    bundle = bundle_path(model_path(options.model), None)
    if not os.path.lexists(bundle):
        raise ConfigurationError(
            f"there is no signature {shown_path(bundle)}: say where it is with --signature FILE"
        )


@contextmanager
def _names_of_files(options: Namespace) -> Iterator[None]:
    """Tell a misspelt ``--file`` from a file that was added."""
    try:
        yield
    except DigestMismatchError as error:
        unknown = [name for name in options.file or () if name in error.added]
        if not unknown:
            raise
        raise ConfigurationError(
            f"--file {shown(unknown[0])}: no such file in the signature; names are relative to "
            "MODEL, without ./, as modelsec inspect --files lists them"
        ) from error


@contextmanager
def _quiet(options: Namespace) -> Iterator[None]:
    """Keep back what Sigstore's packages log: that they are offline is told in the receipt."""
    if options.issuer is None:
        yield
        return
    import logging  # noqa: PLC0415 - bare keys need none

    loggers = [(logger, logger.level) for logger in map(logging.getLogger, ("sigstore", "tuf"))]
    for logger, _ in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in loggers:
            logger.setLevel(level)
