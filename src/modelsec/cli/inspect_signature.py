"""``modelsec inspect``: what a signature claims, for people who ask why it was refused."""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from modelsec.cli import OK
from modelsec.errors import printable

if TYPE_CHECKING:
    from modelsec.signing.inspection import ClaimedCertificate, UnverifiedClaims

_LISTED = 10
_WIDTH = 500


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "inspect",
        help="show what a signature claims, without verifying it",
        description="Show what the bundle of a signature claims: who signed, which model, which "
        "files. NOTHING is verified: anybody can write a bundle that says the same.",
        epilog="Exit codes: 0 shown, which says nothing about the signature; 1 it is no bundle, "
        "or breaks the rules of its format; 2 wrong usage, or it cannot be opened.",
    )
    parser.add_argument("signature", metavar="SIG", help="the bundle, e.g. MODEL.sig")
    parser.add_argument("--files", action="store_true", help="list every file, not the first ten")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.signing.inspection import unverified_claims  # noqa: PLC0415 - not for --help

    claims = unverified_claims(options.signature)
    if options.json:
        print(json.dumps(claims.to_dict(), indent=1))
    else:
        print("\n".join(_lines(claims, every=options.files)))
    return OK


def _lines(claims: "UnverifiedClaims", *, every: bool) -> Iterator[str]:
    yield "NOT VERIFIED: anybody can have written this. Use modelsec verify to decide anything."
    yield f"method       {claims.method}"
    yield f"key id       {_said(claims.key_id)}"
    for number, certificate in enumerate(claims.certificates):
        yield from _certificate_lines(certificate, signer=number == 0)
    if claims.release is not None:
        from modelsec.cli.receipt_text import release_text  # noqa: PLC0415 - on use

        yield f"release      {release_text(claims.release)}"
    yield f"subject      {_said(claims.subject)}"
    yield f"statement    {_said(claims.predicate_type)}{' (OMS 0.2.0)' * claims.legacy}"
    ranges = (
        "whole files" if claims.shard_size is None else f"ranges of {claims.shard_size:,} bytes"
    )
    yield f"digests      {claims.algorithm}, of {ranges}"
    yield f"tree digest  {claims.tree_digest}"
    yield f"root digest  {claims.root_digest}"
    if claims.allow_symlinks:
        yield "links        were followed"
    yield from _names("leaves out", claims.ignore_paths, every=every)
    yield f"files        {len(claims.files):,}"
    yield from _names("file", claims.files, every=every)


def _certificate_lines(certificate: "ClaimedCertificate", *, signer: bool) -> Iterator[str]:
    yield f"{'certificate' if signer else 'issued by':<12} {_said(certificate.subject)}"
    for name in certificate.names[:_LISTED]:
        yield f"  name       {_said(name)}"
    yield f"  issuer     {_said(certificate.issuer)}"
    if certificate.oidc_issuer is not None:
        yield f"  Sigstore   {_said(certificate.oidc_issuer)}"
    said = certificate.to_dict()
    yield f"  valid      {said['not_before']} to {said['not_after']}, {certificate.key}"


def _names(title: str, names: Iterable[str], *, every: bool) -> Iterator[str]:
    listed = list(names)
    shown = listed if every else listed[:_LISTED]
    for name in shown:
        yield f"{title:<12} {_said(name)}"
    if len(shown) < len(listed):
        yield f"{title:<12} ... and {len(listed) - len(shown):,} more (--files lists them)"


def _said(text: str | None) -> str:
    return "not said" if not text else printable(text, _WIDTH)
