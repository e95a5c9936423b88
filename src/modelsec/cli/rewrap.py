"""``modelsec rewrap``: an encrypted file's key under another key, without decrypting the file."""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction

from modelsec.cli import OK
from modelsec.cli.wrapping_key import add_context_option, add_key_options, context, key_wrapper
from modelsec.errors import shown, shown_path


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "rewrap",
        help="wrap the key of an encrypted file or folder under another key",
        description="Wrap the key of an encrypted file, or those of all files of an encrypted "
        "folder, under another key; contents are copied as they are. Without --output every file "
        "is replaced in one step; if a folder is interrupted, give the command again.",
        epilog="Exit codes: 0 done; 1 refused; 2 wrong usage; 4 the key service did not answer, or "
        "refused.",
    )
    parser.add_argument("source", metavar="SRC", help="the encrypted file or folder")
    parser.add_argument("--output", metavar="DST", help="write there instead of replacing it")
    add_key_options(parser, what="the key that opens it")
    add_key_options(parser, "to-", what="the key that wraps from now on")
    add_context_option(parser)
    parser.add_argument("--json", action="store_true", help="print the record as JSON")


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.encryption import rewrap, rewrap_folder  # noqa: PLC0415 - not for --help
    from modelsec.encryption.folders import is_folder  # noqa: PLC0415 - idem

    folder = is_folder(options.source)
    wrappers = key_wrapper(options), key_wrapper(options, "to_")
    how = {"target": options.output, "context": context(options)}
    done = (
        rewrap_folder(options.source, *wrappers, **how)
        if folder
        else (rewrap(options.source, *wrappers, **how),)
    )
    if options.json:
        records = [record.to_dict() for record in done]
        print(json.dumps(records if folder else records[0], indent=1))
        return OK
    place = options.source if options.output is None else options.output
    files = "" if len(done) == 1 else f", {len(done):,} files"
    print(f"rewrapped {shown_path(place)}{files}")
    print(f"from      {', '.join(sorted({shown(one.old_key_id) for one in done}))}")
    print(f"to        {shown(done[0].new_key_id)}")
    return OK
