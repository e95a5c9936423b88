"""``modelsec decrypt``: what ``modelsec encrypt`` encrypted, after all of it was verified."""

import json
import signal
import threading
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from modelsec.cli import OK
from modelsec.cli.progress import progress
from modelsec.cli.wrapping_key import add_context_option, add_key_options, context, key_wrapper
from modelsec.errors import shown, shown_path


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "decrypt",
        help="decrypt a model, if all of it is what was encrypted",
        description="Decrypt a file or a folder that modelsec encrypted. The target appears when "
        "all of it has been verified; if anything was changed, nothing appears.",
        epilog="Exit codes: 0 done; 1 refused; 2 wrong usage; 4 the key service did not answer, or "
        "refused.",
    )
    parser.add_argument("source", metavar="SRC", help="the encrypted file or folder")
    parser.add_argument("target", metavar="DST", help="the result; a file is replaced if it exists")
    add_key_options(parser)
    add_context_option(parser)
    parser.add_argument("--json", action="store_true", help="print the record as JSON")


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.encryption import decrypt_file, decrypt_folder  # noqa: PLC0415 - not for --help
    from modelsec.encryption.folders import is_folder  # noqa: PLC0415 - idem

    pairs = context(options)
    folder = is_folder(options.source)
    with tidy_when_ended(), progress("decrypting") as on_progress:
        wrapper = key_wrapper(options)
        if folder:
            done = decrypt_folder(
                options.source,
                options.target,
                wrapper,
                context=pairs,
                on_progress=on_progress,
            )
        else:
            one = decrypt_file(
                options.source,
                options.target,
                wrapper,
                context=pairs,
                on_progress=on_progress,
            )
            done = (one,)
    if options.json:
        records = [record.to_dict() for record in done]
        print(json.dumps(records if folder else records[0], indent=1))
        return OK
    size = sum(record.plaintext_size for record in done)
    files = "1 file" if len(done) == 1 else f"{len(done):,} files"
    print(f"decrypted {files}, {size:,} bytes, to {shown_path(options.target)}, all verified")
    print(f"key       {shown(done[0].key_id)}")
    return OK


@contextmanager
def tidy_when_ended() -> Iterator[None]:
    """Make signals that end the program raise, so that unverified plaintext is deleted.

    ``SIGKILL``, and the kernel when memory is short, cannot be caught.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with ExitStack() as stack:
        for number in (signal.SIGTERM, signal.SIGHUP):
            before = signal.getsignal(number)
            # Whoever ignores one, as nohup does, or handles it, goes on doing so.
            if before is signal.SIG_DFL:
                signal.signal(number, _end)
                stack.callback(signal.signal, number, before)
        yield


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
