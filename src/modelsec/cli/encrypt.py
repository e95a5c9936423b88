"""``modelsec encrypt``: a file with AES-256-GCM, under a key of its own that another key wraps."""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction
from contextlib import nullcontext

from modelsec.cli import OK
from modelsec.cli.progress import progress
from modelsec.cli.wrapping_key import add_context_option, add_key_options, context, key_wrapper
from modelsec.errors import ConfigurationError, shown, shown_path

_SIZES = {"4KiB": 4 * 1024, "64KiB": 64 * 1024, "1MiB": 1024 * 1024}


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "encrypt",
        help="encrypt a model at rest",
        description="Encrypt a file with AES-256-GCM under a new random key, which is wrapped by "
        "your key and stored in front of it; or all files of a folder, which then belong "
        "together. The source stays: delete it yourself.",
        epilog="Exit codes: 0 done; 1 refused; 2 wrong usage; 4 the key service did not answer, or "
        "refused.",
    )
    parser.add_argument("source", metavar="SRC", help="the file or folder to encrypt")
    parser.add_argument("target", metavar="DST", help="the result; a file is replaced if it exists")
    add_key_options(parser)
    parser.add_argument(
        "--new-key",
        action="store_true",
        help="make the key file first; it must not exist, and it must not get lost",
    )
    add_context_option(parser)
    parser.add_argument(
        "--segment-size",
        choices=_SIZES,
        default="1MiB",
        help="what is authenticated at once: 1MiB (default) to read files whole, 4KiB for many "
        "small reads",
    )
    parser.add_argument("--json", action="store_true", help="print the record as JSON")


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.encryption import encrypt_file, encrypt_folder  # noqa: PLC0415 - not for --help
    from modelsec.encryption.folders import is_folder  # noqa: PLC0415 - idem

    pairs = context(options)
    folder = is_folder(options.source)
    if options.new_key:
        _make_key(options.key_file, None if folder else options.source)
    with progress("encrypting") as on_progress:
        wrapper = key_wrapper(options)
        if folder:
            done = encrypt_folder(
                options.source,
                options.target,
                wrapper,
                context=pairs,
                segment_size=_SIZES[options.segment_size],
                on_progress=on_progress,
            )
        else:
            one = encrypt_file(
                options.source,
                options.target,
                wrapper,
                context=pairs,
                segment_size=_SIZES[options.segment_size],
                on_progress=on_progress,
            )
            done = (one,)
    if options.json:
        records = [record.to_dict() for record in done]
        print(json.dumps(records if folder else records[0], indent=1))
        return OK
    size = sum(record.plaintext_size for record in done)
    files = "1 file" if len(done) == 1 else f"{len(done):,} files"
    print(f"encrypted {files}, {size:,} bytes, to {shown_path(options.target)}")
    print(f"key       {shown(done[0].key_id)}")
    return OK


def _make_key(path: str | None, source: str | None) -> None:
    """Make the key file, if there is something to encrypt: else it would be in the way later.

    Raises:
        ConfigurationError: no key file is named, its name is taken, or the source is no file.
    """
    from modelsec.encryption import LocalKeyWrapper  # noqa: PLC0415 - idem
    from modelsec.files import regular_file  # noqa: PLC0415 - idem

    if path is None:
        raise ConfigurationError("--new-key makes a key file: name it with --key-file")
    with nullcontext() if source is None else regular_file(source):
        LocalKeyWrapper.generate(path)
