"""The ``modelsec`` command: parse, call the library, print.

Exit codes, for scripts that must tell a typing error from an attack:

* 0: done;
* 1: refused: the model, signature, ciphertext or card is not what it has to be;
* 2: wrong usage: an option or file is missing, cannot be read, or contradicts another one;
* 3: the input had bad lines (``replay``), or was not understood (``scan``);
* 4: a key service or a store that is needed did not answer, or refused;
* 130: interrupted.

Those of ``scan`` are told in full in ``modelsec.cli.scan``.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from modelsec import __version__
from modelsec.errors import (
    ConfigurationError,
    KeyServiceError,
    ModelSecError,
    PluginError,
    StoreError,
)

OK, FAILED, USAGE, BAD_INPUT, NO_SERVICE, INTERRUPTED = 0, 1, 2, 3, 4, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    options = build_parser(next(iter(words), None)).parse_args(words)
    try:
        # Imported on use: --help and --version work without the extra, scans start at once.
        command = import_module(f"modelsec.cli.{_module(options.command)}")
    except ModuleNotFoundError as error:
        if error.name != "rich":
            raise
        print("modelsec: the command line needs: pip install 'modelsec[cli]'", file=sys.stderr)
        return USAGE
    try:
        return int(command.run(options))
    except ModelSecError as error:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        print(f"modelsec: {error}{notes}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        print("modelsec: interrupted, nothing was written", file=sys.stderr)
        return INTERRUPTED


def exit_code(error: ModelSecError) -> int:
    """Return the exit code that an error stands for."""
    if isinstance(error, ConfigurationError | PluginError):
        return USAGE
    return NO_SERVICE if isinstance(error, KeyServiceError | StoreError) else FAILED


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands, or sooner that of the one which is wanted."""
    parser = argparse.ArgumentParser(
        prog="modelsec", description="Security of machine-learning models in production."
    )
    parser.add_argument("--version", action="version", version=f"modelsec {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    wanted = (command,) if command in COMMANDS else COMMANDS
    for name in wanted:
        if name in _PARSERS:
            _PARSERS[name](commands)
        else:
            import_module(f"modelsec.cli.{_module(name)}").add_parser(commands)
    return parser


def _module(command: str) -> str:
    return _MODULES.get(command, command)


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    demo = commands.add_parser(
        "demo",
        help="see the library at work on simulated traffic",
        description="See the library at work on a small bundled simulation, in memory.",
    )
    demo.add_argument("--seed", type=int, default=0, help="seed of the simulation (default 0)")
    demo.add_argument(
        "--save", metavar="FILE", help="also write the traffic as JSON lines, for modelsec replay"
    )


def _add_replay(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    replay = commands.add_parser(
        "replay",
        help="judge recorded traffic",
        description="Judge recorded traffic, one OpenAI-style JSON body a line (plain or gzip), "
        "in bounded memory.",
        epilog="Exit codes: 0 done; 2 wrong usage, or a file cannot be read or written; 3 lines "
        "were bad.",
    )
    replay.add_argument("file", help="JSON-lines file; - for standard input")
    replay.add_argument("--policy", metavar="FILE", help="policy, .toml or .json")
    replay.add_argument(
        "--account-field", default="account", metavar="NAME", help="default: account"
    )
    replay.add_argument("--time-field", default="ts", metavar="NAME", help="seconds; default: ts")
    replay.add_argument("--json", metavar="FILE", help="write the whole report as JSON")
    replay.add_argument("--csv", metavar="FILE", help="write one row an account as CSV")
    replay.add_argument(
        "--top", type=int, default=20, metavar="N", help="accounts to print (default 20; 0: all)"
    )
    replay.add_argument(
        "--max-accounts",
        type=int,
        default=100_000,
        metavar="N",
        help="accounts held in memory (default 100000)",
    )
    replay.add_argument(
        "--skip-bad", action="store_true", help="exit with 0 although lines were bad"
    )


def _add_scan(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    scan = commands.add_parser(
        "scan",
        help="say whether model files are safe to load",
        description="Say whether model files are safe to load, by their content, without loading "
        "them.",
        epilog="Exit codes: 0 safe; 1 findings; 2 wrong usage, or a path that cannot be opened; "
        "3 something was not understood. Of several, the first of 1, 2, 3.",
    )
    scan.add_argument(
        "paths", nargs="+", metavar="PATH", help="file, folder, or URL (https, hf, s3 ...)"
    )
    scan.add_argument("--format", choices=("text", "json", "sarif"), default="text")
    scan.add_argument("--output", metavar="FILE", help="write there instead of printing")
    scan.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="LAYER|FILE",
        help="add a policy layer: a shipped one by name, or a .toml file; may be repeated",
    )
    scan.add_argument(
        "--no-default-policy",
        action="store_true",
        help="permit only what --policy names, not also what the shipped layers do",
    )
    scan.add_argument(
        "--fail-on",
        choices=("unknown", "dangerous"),
        default="unknown",
        help="the best verdict that exits with 1 (default: unknown)",
    )
    scan.add_argument("--baseline", metavar="FILE", help="accepted findings, .toml or .json")
    scan.add_argument(
        "--write-baseline", metavar="FILE", help="write the findings, for reasons to be filled in"
    )
    scan.add_argument(
        "--digest", action="store_true", help="also hash files over 64 MiB, and URLs, whole"
    )
    scan.add_argument(
        "--learn-policy", metavar="FILE", help="write a layer that permits what is unknown"
    )
    scan.add_argument(
        "--weights-only",
        action="store_true",
        help="also say whether torch.load(weights_only=True) would accept the file",
    )
    scan.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="CPU seconds for a file (default 60)"
    )


# These three import what only they need when they run; the others have their parsers beside them.
_PARSERS = {"demo": _add_demo, "replay": _add_replay, "scan": _add_scan}
_MODULES = {"inspect": "inspect_signature"}
"""Commands whose modules are called otherwise: this one would read as Python's own."""
COMMANDS = (
    "demo",
    "replay",
    "scan",
    "convert",
    "sign",
    "verify",
    "inspect",
    "digest",
    "keygen",
    "encrypt",
    "decrypt",
    "rewrap",
    "keyfile",
    "card",
)
"""In the order in which help lists them."""
