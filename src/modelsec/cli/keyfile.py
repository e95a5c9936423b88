"""``modelsec keyfile``: make, rotate, list and retire the keys that wrap the keys of models."""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction
from typing import TYPE_CHECKING

from modelsec.cli import OK
from modelsec.cli.wrapping_key import add_shared_option
from modelsec.errors import shown_path

if TYPE_CHECKING:
    from modelsec.encryption import LocalKeyWrapper


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "keyfile",
        help="make, rotate, list and retire the keys of a key file",
        description="Manage a file of keys that wrap the keys of encrypted models. Keys are "
        "never shown, only their names. Back the file up: without its key nothing that it "
        "wrapped can be decrypted.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, what in (
        ("new", "make a key file with one new key, for its owner only; never over another file"),
        ("rotate", "add a new key, which wraps from now on; the older ones still unwrap"),
        ("list", "show the names of the keys, the one that wraps first"),
        ("retire", "delete a key; what it wrapped has to be wrapped again before"),
    ):
        action = actions.add_parser(name, help=what, description=f"{what.capitalize()}.")
        action.add_argument("file", metavar="FILE", help="the key file")
        if name == "retire":
            action.add_argument("key", metavar="KEY", help="its name, as list shows it")
        if name == "list":
            add_shared_option(action)
        action.add_argument("--json", action="store_true", help="print the names as JSON")


def run(options: Namespace) -> int:
    """Run the command."""
    wrapper = _done(options)
    if options.json:
        print(json.dumps({"file": options.file, "keys": list(wrapper.key_ids)}, indent=1))
        return OK
    first, *others = wrapper.key_ids
    print(f"key file {shown_path(options.file)}")
    print(f"wraps    {first}")
    for key_id in others:
        print(f"unwraps  {key_id}")
    return OK


def _done(options: Namespace) -> "LocalKeyWrapper":
    from modelsec.encryption import LocalKeyWrapper  # noqa: PLC0415 - not needed for --help

    if options.action == "new":
        return LocalKeyWrapper.generate(options.file)
    if options.action == "rotate":
        return LocalKeyWrapper.rotate(options.file)
    if options.action == "retire":
        return LocalKeyWrapper.retire(options.file, options.key)
    return LocalKeyWrapper.load(options.file, readable_by_others=options.readable_by_others)
