"""``modelsec card``: make a model card, decide about it, and check the decision."""

import json
import os
import sys
import tomllib
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelsec.cli import FAILED, OK
from modelsec.cli.moments import moment
from modelsec.cli.secret_files import password
from modelsec.errors import ConfigurationError, ModelSecError, shown
from modelsec.files import atomic_text, regular_file

if TYPE_CHECKING:
    from argparse import _ArgumentGroup

    from modelsec.provenance.cards.card import ModelCard
    from modelsec.provenance.cards.card_document import CardDocument
    from modelsec.signing.keys import TrustedKey, TrustedKeys
    from modelsec.signing.receipt import Verification

_LIMIT = 16 << 20


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "card",
        help="make a model card, approve it, and check the approval",
        description="Make a model card in which every claim says whose it is: its maker's, or a "
        "check's. Approving is signing the digest of a card with the key of somebody who may "
        "decide.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_make(actions)
    _add_approve(actions)
    _add_check(actions)


def _add_make(actions: "_SubParsersAction[ArgumentParser]") -> None:
    make = actions.add_parser(
        "make",
        help="make a card from what its maker says, and from the model",
        description="Make a card. Without --model nothing is checked, and the card says so.",
    )
    make.add_argument("info", metavar="INFO", help="what the maker says, .toml or .json")
    make.add_argument(
        "--model", metavar="PATH", help="the model, a file or a folder: hash it and scan it"
    )
    make.add_argument(
        "--signature",
        metavar="FILE",
        help="verify this signature of the model with --key or --key-set, and record the receipt",
    )
    _add_keys(make.add_argument_group("who is trusted to have signed the model"))
    make.add_argument("--no-scan", action="store_true", help="hash the model, do not scan it")
    make.add_argument(
        "--format",
        choices=("json", "markdown", "cyclonedx", "annex-iv"),
        default="json",
        help="json (default) is what can be approved; markdown is a README for a model hub; "
        "annex-iv says which headings of the EU AI Act's Annex IV the card speaks to",
    )
    make.add_argument(
        "--spec-version",
        choices=("1.6", "1.7"),
        default="1.6",
        help="of CycloneDX (default 1.6)",
    )
    make.add_argument("--output", metavar="FILE", help="write there instead of printing")


def _add_approve(actions: "_SubParsersAction[ArgumentParser]") -> None:
    approve = actions.add_parser(
        "approve",
        help="sign a decision about a card",
        description="Sign a decision about a card. Read the card first; with --model it is "
        "compared with the model that is there.",
    )
    approve.add_argument("card", metavar="CARD", help="the card as JSON")
    approve.add_argument("--key", required=True, metavar="PEM", help="private key of who decides")
    approve.add_argument("--password-file", metavar="FILE", help="password of the private key")
    approve.add_argument("--approver", required=True, metavar="NAME", help="who decides")
    approve.add_argument("--reject", action="store_true", help="sign a no")
    approve.add_argument("--conditions", metavar="TEXT", help="under which it may be deployed")
    approve.add_argument(
        "--despite",
        metavar="TEXT",
        help="why it is approved although the card's checks did not pass or were not made",
    )
    approve.add_argument(
        "--not-after", type=moment, metavar="TIME", help="when it expires (RFC 3339)"
    )
    approve.add_argument("--model", metavar="PATH", help="refuse if this is not the card's model")
    approve.add_argument("--output", metavar="FILE", help="default: CARD.approval")


def _add_check(actions: "_SubParsersAction[ArgumentParser]") -> None:
    check = actions.add_parser(
        "check",
        help="say whether a card is approved by somebody who is trusted",
        description="Say whether a card is approved. Exit code 1 if it is not.",
    )
    check.add_argument("card", metavar="CARD", help="the card as JSON")
    check.add_argument("--approval", metavar="FILE", help="default: CARD.approval")
    _add_keys(check.add_argument_group("who may decide (at least one)"))
    check.add_argument("--model", metavar="PATH", help="refuse if this is not the card's model")


def _add_keys(group: "_ArgumentGroup") -> None:
    group.add_argument(
        "--key", action="append", default=[], metavar="PEM", help="public key; may be repeated"
    )
    group.add_argument("--key-set", metavar="FILE", help="keys with validity, for rotation")


def run(options: Namespace) -> int:
    """Run the command."""
    action = {"make": _make, "approve": _approve, "check": _check}[options.action]
    return action(options)


def _make(options: Namespace) -> int:
    from modelsec.provenance.cards.card import make_card  # noqa: PLC0415 - not needed for --help

    information = _information(options.info)
    card = make_card(
        information,
        now=datetime.now(UTC),
        path=options.model,
        scan=not options.no_scan,
        verification=_verified(options) if options.signature else None,
        bundles=[options.signature] if options.signature else [],
    )
    text = _rendered(card, options)
    if options.output:
        with atomic_text(options.output) as file:
            file.write(text)
    else:
        sys.stdout.write(text)
    # The card is made all the same: a card may say that something is wrong.
    failed = card.hash_verified is False or card.format_safe is False
    if failed:
        print("modelsec: the card says that a check failed", file=sys.stderr)
    return FAILED if failed else OK


def _verified(options: Namespace) -> "Verification":
    from modelsec.signing import Verifier  # noqa: PLC0415 - an extra

    if not options.model:
        raise ConfigurationError("a signature is verified over the model: give --model PATH")
    return Verifier(_trusted(options)).verify(options.model, options.signature)


def _rendered(card: "ModelCard", options: Namespace) -> str:
    if options.format == "markdown":
        from modelsec.provenance.cards.card_markdown import card_to_markdown  # noqa: PLC0415 - an extra

        return card_to_markdown(card)
    if options.format == "cyclonedx":
        from modelsec.provenance.cards.ml_bom import card_to_ml_bom, ml_bom_json  # noqa: PLC0415 - only here

        return ml_bom_json(card_to_ml_bom(card, spec_version=options.spec_version))
    if options.format == "annex-iv":
        from modelsec.provenance.cards.annex_iv import annex_iv_outline  # noqa: PLC0415 - only here

        return annex_iv_outline(card).to_markdown()
    return json.dumps(card.to_dict(), indent=1, ensure_ascii=False) + "\n"


def _approve(options: Namespace) -> int:
    from modelsec.provenance.cards.approval import approve  # noqa: PLC0415 - not needed for --help
    from modelsec.signing.keys import PrivateKey  # noqa: PLC0415 - an extra

    card = _card(options)
    signed = approve(
        card,
        PrivateKey.load(options.key, password(options.password_file)),
        approver=options.approver,
        now=datetime.now(UTC),
        decision="reject" if options.reject else "approve",
        conditions=options.conditions,
        despite=options.despite,
        not_after=options.not_after,
    )
    target = options.output or f"{options.card}.approval"
    with atomic_text(target) as file:
        file.write(signed.to_json())
    print(f"{'rejected' if options.reject else 'approved'}: card {card.digest}, written {target}")
    return OK


def _check(options: Namespace) -> int:
    from modelsec.provenance.cards.approval import verify_approval  # noqa: PLC0415 - not for --help
    from modelsec.provenance.cards.approval_envelope import Approval  # noqa: PLC0415 - idem

    trusted = _trusted(options)
    card = _card(options)
    approval = Approval.from_json(_content(options.approval or f"{options.card}.approval"))
    decided = verify_approval(card, approval, trusted, datetime.now(UTC))
    answer = {"approved": decided.approves, "card": card.digest, **decided.statement.to_dict()}
    print(json.dumps(answer, indent=1))
    return OK if decided.approves else FAILED


def _trusted(options: Namespace) -> "TrustedKeys":
    from modelsec.signing.keys import PublicKey, TrustedKeys  # noqa: PLC0415 - an extra

    keys: list[PublicKey | TrustedKey] = [PublicKey.load(path) for path in options.key]
    if options.key_set:
        keys += TrustedKeys.load(options.key_set).keys
    if not keys:
        raise ConfigurationError("say who is trusted: --key PEM or --key-set FILE")
    return TrustedKeys(keys)


def _card(options: Namespace) -> "CardDocument":
    """Read the card, and compare it with the model if there is one."""
    from modelsec.provenance.cards.card_document import read_card  # noqa: PLC0415 - not for --help
    from modelsec.provenance.integrity import check_integrity  # noqa: PLC0415 - idem

    card = read_card(_content(options.card))
    if options.model:
        check = check_integrity(options.model, card.model_digest)
        if not check.verified:
            raise ModelSecError(
                f"{shown(options.model)} is not the model of this card: its digest is "
                f"{check.actual_hash}, the card says {check.expected_hash}"
            )
    return card


def _information(path: str) -> Mapping[str, object]:
    raw = _content(path)
    if path.endswith(".json"):
        from modelsec.signing.bundles.strict_json import loads  # noqa: PLC0415 - only for JSON

        read = loads(raw, limit=_LIMIT)
        if not isinstance(read, Mapping):
            raise ConfigurationError(f"{shown(path)} holds no JSON object")
        return read
    if path.endswith(".toml"):
        try:
            return tomllib.loads(raw.decode())
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"{shown(path)} is no TOML: {error}") from error
    raise ConfigurationError(f"{shown(path)} must end in .toml or .json")


def _content(path: str) -> bytes:
    with regular_file(path) as descriptor:
        if os.fstat(descriptor).st_size > _LIMIT:
            raise ConfigurationError(f"{shown(path)} is too large to be a card")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_LIMIT)
