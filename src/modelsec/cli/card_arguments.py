"""The arguments of ``modelsec card``."""

from argparse import ArgumentParser, _SubParsersAction
from typing import TYPE_CHECKING

from modelsec.cli.moments import moment
from modelsec.cli.trust_options import add_trust_options

if TYPE_CHECKING:
    from argparse import _ArgumentGroup

_FORMATS = ("json", "markdown", "cyclonedx", "annex-iv")
_EXAMPLE = (
    'INFO is for example: name = "sentiment"; version = "1.2.0"; format = ".safetensors"; '
    'source = "https://models.example.org/sentiment"; training_date = 2026-01-15; '
    'training_data_description = "Reviews of films."; metrics = { accuracy = 0.93 }; '
    'limitations = ["English only"] (one on each line). Write the card beside the model, not into '
    "its folder: there it would change the tree digest. Exit codes: 0 made; 1 a check failed, and "
    "the card says so; 2 wrong usage."
)


def add_actions(parser: ArgumentParser) -> None:
    """Add what can be done with a card."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_make(actions)
    _add_approve(actions)
    _add_check(actions)
    _add_render(actions)


def _add_make(actions: "_SubParsersAction[ArgumentParser]") -> None:
    make = actions.add_parser(
        "make",
        help="make a card from what its maker says, and from the model",
        description="Make a card. Without --model nothing is checked, and the card says so.",
        epilog=_EXAMPLE,
    )
    make.add_argument("info", metavar="INFO", help="what the maker says, .toml or .json")
    make.add_argument(
        "--model", metavar="PATH", help="the model, a file or a folder: hash it and scan it"
    )
    make.add_argument(
        "--signature",
        metavar="FILE",
        help="verify this signature of the model, and record the receipt; it must be for a "
        "release of INFO's name and version, if it is for one",
    )
    add_trust_options(make.add_argument_group("who is trusted to have signed the model"))
    make.set_defaults(profile="strict")
    make.add_argument("--no-scan", action="store_true", help="hash the model, do not scan it")
    _add_format(make, "json (default) is what can be approved; ")
    make.add_argument("--output", metavar="FILE", help="write there instead of printing")


def _add_format(parser: ArgumentParser, hint: str) -> None:
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        default="json" if hint else "markdown",
        help=f"{hint}markdown is a README for a model hub; annex-iv says which headings of the EU "
        "AI Act's Annex IV the card speaks to",
    )
    parser.add_argument(
        "--spec-version",
        choices=("1.6", "1.7"),
        default="1.6",
        help="of CycloneDX (default 1.6)",
    )


def _add_approve(actions: "_SubParsersAction[ArgumentParser]") -> None:
    approve = actions.add_parser(
        "approve",
        help="sign a decision about a card",
        description="Sign a decision about a card. Read the card first. With --model the model is "
        "hashed and scanned again; without, the card's receipts are believed.",
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
    approve.add_argument(
        "--environment", metavar="NAME", help="the only one that the decision is about"
    )
    approve.add_argument("--model", metavar="PATH", help="refuse if this is not the card's model")
    approve.add_argument("--output", metavar="FILE", help="default: CARD.approval")
    approve.add_argument(
        "--replace", action="store_true", help="overwrite a decision that is already there"
    )


def _add_check(actions: "_SubParsersAction[ArgumentParser]") -> None:
    check = actions.add_parser(
        "check",
        help="say whether a card is approved by somebody who is trusted",
        description="Say whether a card is approved. Exit code 1 if it is not.",
    )
    check.add_argument("card", metavar="CARD", help="the card as JSON")
    _add_approvals(check, "default: CARD.approval")
    check.add_argument("--model", metavar="PATH", help="refuse if this is not the card's model")


def _add_render(actions: "_SubParsersAction[ArgumentParser]") -> None:
    render = actions.add_parser(
        "render",
        help="show a card that was made before, with its approval",
        description="Show a card that was made before: as a README, a bill of materials, an "
        "outline of Annex IV, or JSON. With --approval and --key the decision is verified and "
        "shown; the exit code does not depend on it.",
    )
    render.add_argument("card", metavar="CARD", help="the card as JSON")
    _add_approvals(render, "needs --key or --key-set")
    _add_format(render, "")
    render.add_argument("--output", metavar="FILE", help="write there instead of printing")


def _add_approvals(parser: ArgumentParser, hint: str) -> None:
    parser.add_argument(
        "--approval",
        action="append",
        metavar="FILE",
        help=f"a decision; may be repeated, the latest counts ({hint})",
    )
    parser.add_argument("--environment", metavar="NAME", help="where the model is to be deployed")
    _add_keys(parser.add_argument_group("who may decide"))


def _add_keys(group: "_ArgumentGroup") -> None:
    group.add_argument(
        "--key", action="append", default=[], metavar="PEM", help="public key; may be repeated"
    )
    group.add_argument("--key-set", metavar="FILE", help="keys with validity, for rotation")
