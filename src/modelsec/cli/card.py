"""``modelsec card``: make a model card, decide about it, check the decision, and show it."""

import json
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from modelsec.cli import FAILED, OK
from modelsec.cli.card_arguments import add_actions
from modelsec.cli.card_files import check_target, check_unused, content, information
from modelsec.cli.secret_files import password
from modelsec.errors import ConfigurationError, printable, shown_path
from modelsec.files import atomic_text

if TYPE_CHECKING:
    from modelsec.provenance.cards.approval_envelope import Approval
    from modelsec.provenance.cards.card_document import CardDocument
    from modelsec.provenance.cards.card_view import ShownCard
    from modelsec.signing.keys import TrustedKey, TrustedKeys
    from modelsec.signing.receipt import Verification


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "card",
        help="make a model card, approve it, check the approval, show it",
        description="Make a model card in which every claim says whose it is: its maker's, or a "
        "check's. Approving is signing the digest of a card with the key of somebody who may "
        "decide.",
    )
    add_actions(parser)


def run(options: Namespace) -> int:
    """Run the command."""
    actions = {"make": _make, "approve": _approve, "check": _check, "render": _render}
    return actions[options.action](options)


def _make(options: Namespace) -> int:
    from modelsec.provenance.cards.card import make_card  # noqa: PLC0415 - not needed for --help

    check_target(options.output, options.model)
    card = make_card(
        information(options.info),
        now=datetime.now(UTC),
        path=options.model,
        scan=not options.no_scan,
        verification=_verified(options) if options.signature else None,
        bundles=[options.signature] if options.signature else [],
    )
    _write(card, options)
    if options.output:
        print(f"written: {shown_path(options.output)}, card {card.digest}")
        print(_summary(card.content()))
    # The card is made all the same: a card may say that something is wrong.
    failed = [
        because
        for passed, because in (
            (card.hash_verified, "hash_verified_because"),
            (card.format_safe, "format_safe_because"),
        )
        if passed is False
    ]
    review = cast("dict[str, object]", card.content()["security_review"])
    for because in failed:
        print(f"modelsec: the card says that a check failed: {review[because]}", file=sys.stderr)
    return FAILED if failed else OK


def _verified(options: Namespace) -> "Verification":
    from modelsec.cli.trust_options import trusts_of  # noqa: PLC0415 - an extra
    from modelsec.signing import Verifier  # noqa: PLC0415 - idem

    if not options.model:
        raise ConfigurationError("a signature is verified over the model: give --model PATH")
    if options.secret_file is not None:
        raise ConfigurationError(
            "a card records signatures by keys: a shared secret proves nothing to its readers"
        )
    return Verifier(trusts_of(options)).verify(options.model, options.signature)


def _write(card: "ShownCard", options: Namespace) -> None:
    text = _rendered(card, options)
    if options.output:
        with atomic_text(options.output) as file:
            file.write(text)
    else:
        sys.stdout.write(text)


def _rendered(card: "ShownCard", options: Namespace) -> str:
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


def _summary(said: dict[str, object]) -> str:
    """Say in one line what was checked."""
    review = cast("dict[str, object]", said["security_review"])
    receipts = cast("list[dict[str, object]]", said["receipts"])
    words = {None: "not checked", True: "yes", False: "NO"}
    made = ", ".join(str(one["check"]) for one in receipts) or "none"
    return (
        f"hash verified: {words[cast('bool | None', review['hash_verified'])]}; "
        f"format safe: {words[cast('bool | None', review['format_safe'])]}; receipts: {made}"
    )


def _approve(options: Namespace) -> int:
    from modelsec.provenance.cards.approval import approve  # noqa: PLC0415 - not needed for --help
    from modelsec.signing.keys import PrivateKey  # noqa: PLC0415 - an extra

    target = options.output or f"{options.card}.approval"
    card = _card(options)
    _show(card)
    _compare(card, options, scanned=True)
    check_unused(target, replace=options.replace)
    signed = approve(
        card,
        PrivateKey.load(options.key, password(options.password_file)),
        approver=options.approver,
        now=datetime.now(UTC),
        decision="reject" if options.reject else "approve",
        conditions=options.conditions,
        despite=options.despite,
        not_after=options.not_after,
        environment=options.environment,
    )
    with atomic_text(target) as file:
        file.write(signed.to_json())
    word = "rejected" if options.reject else "approved"
    print(f"{word}: card {card.digest}, written {shown_path(target)}")
    return OK


def _show(card: "CardDocument") -> None:
    """Say what is about to be signed."""
    said = card.content
    named = f"{said['model_name']} {said['version']}"
    print(f"card    {printable(named, 650)}")
    print(f"digest  {card.digest}")
    print(f"checks  {_summary(said)}")


def _check(options: Namespace) -> int:
    trusted = _trusted(options)
    card = _card(options)
    _compare(card, options, scanned=False)
    given = options.approval or [f"{options.card}.approval"]
    decided = card.with_approval(
        _approvals(given), trusted, datetime.now(UTC), environment=options.environment
    ).approval
    if decided is None:
        return FAILED
    label = {"key_label": decided.label} if decided.label else {}
    compared = "is that of the card" if options.model else "not compared"
    answer = {"approved": decided.approves, "card": card.digest, "model": compared}
    print(json.dumps(answer | label | decided.statement.to_dict(), indent=1))
    return OK if decided.approves else FAILED


def _render(options: Namespace) -> int:
    card = _card(options)
    if options.approval:
        card = card.with_approval(
            _approvals(options.approval),
            _trusted(options),
            datetime.now(UTC),
            environment=options.environment,
        )
    elif options.key or options.key_set:
        raise ConfigurationError("--key verifies a decision: name it with --approval FILE")
    _write(card, options)
    return OK


def _approvals(paths: list[str]) -> "list[Approval]":
    from modelsec.provenance.cards.approval_envelope import Approval  # noqa: PLC0415 - on use

    return [Approval.from_json(content(path)) for path in paths]


def _trusted(options: Namespace) -> "TrustedKeys":
    from modelsec.signing.keys import PublicKey, TrustedKeys  # noqa: PLC0415 - an extra

    keys: list[PublicKey | TrustedKey] = [PublicKey.load(path) for path in options.key]
    if options.key_set:
        keys += TrustedKeys.load(options.key_set).keys
    if not keys:
        raise ConfigurationError("say who is trusted: --key PEM or --key-set FILE")
    return TrustedKeys(keys)


def _card(options: Namespace) -> "CardDocument":
    from modelsec.provenance.cards.card_document import read_card  # noqa: PLC0415 - not for --help

    card = read_card(content(options.card))
    if card.claimed_approval:
        print(
            f"modelsec: {shown_path(options.card)} says that it is approved; that is only text, "
            "and counts for nothing",
            file=sys.stderr,
        )
    return card


def _compare(card: "CardDocument", options: Namespace, *, scanned: bool) -> None:
    if not options.model:
        print("modelsec: model: not compared (give --model PATH)", file=sys.stderr)
        return
    from modelsec.provenance.cards.comparison import compare_with_model  # noqa: PLC0415 - on use

    compare_with_model(card, options.model, scanned=scanned)
