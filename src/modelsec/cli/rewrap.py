"""``modelsec rewrap``: an encrypted file's key under another key, without decrypting the file."""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction

from modelsec.cli import OK
from modelsec.cli.wrapping_key import add_context_option, add_key_options, context, key_wrapper
from modelsec.errors import shown


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "rewrap",
        help="wrap the key of an encrypted file under another key",
        description="Wrap the key of an encrypted file under another key; its content is copied "
        "as it is. Without --output the file is replaced in one step.",
    )
    parser.add_argument("source", metavar="FILE", help="the encrypted file")
    parser.add_argument("--output", metavar="DST", help="write there instead of replacing it")
    add_key_options(parser, what="the key that opens it")
    add_key_options(parser, "to-", what="the key that wraps from now on")
    add_context_option(parser)
    parser.add_argument("--json", action="store_true", help="print the record as JSON")


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.encryption import rewrap  # noqa: PLC0415 - not needed for --help

    done = rewrap(
        options.source,
        key_wrapper(options),
        key_wrapper(options, "to_"),
        target=options.output,
        context=context(options),
    )
    if options.json:
        print(json.dumps(done.to_dict(), indent=1))
    else:
        print(f"rewrapped {shown(done.target)}")
        print(f"from      {shown(done.old_key_id)}")
        print(f"to        {shown(done.new_key_id)}")
    return OK
