#!/usr/bin/env python3
"""The command line of the OMS conformance suite, in terms of ``modelsec sign`` and ``verify``.

The suite calls ``ADAPTER sign-model|verify-model ...`` and looks at the exit code. Run it as
``pytest test --entrypoint=.../benchmarks/oms_adapter.py`` in a checkout of it. Nothing is
done here but renaming options: OMS's own profile is asked for, and any certificate under the given
chain is trusted, because the suite names no identity.
"""

import argparse
import os
import sys
from pathlib import Path

from modelsec.cli import main as modelsec


def main(arguments: list[str] | None = None) -> int:
    """Translate one call."""
    options = _parser().parse_args(arguments)
    if options.use_staging:
        print("the staging instance of Sigstore is not supported", file=sys.stderr)
        return 2
    translate = _sign if options.command == "sign-model" else _verify
    return modelsec(translate(options))


def _sign(options: argparse.Namespace) -> list[str]:
    if options.method == "sigstore":
        raise SystemExit("signing with Sigstore needs its servers, and is not supported")
    call = ["sign", options.model_path, "--signature", options.output_bundle, "--profile", "oms"]
    call += ["--key", options.private_key]
    if options.method == "certificate":
        call += ["--certificate", options.signing_cert]
        call += _each("--chain", options.cert_chain)
    return call + _each("--ignore", _inside(options))


def _verify(options: argparse.Namespace) -> list[str]:
    call = ["verify", options.model_path, "--signature", options.bundle]
    call += ["--profile", "oms", "--legacy"]
    if options.method == "key":
        call += ["--key", options.public_key]
    elif options.method == "certificate":
        call += [*_each("--root", options.cert_chain), "--any-identity"]
    else:
        call += ["--identity", options.identity, "--issuer", options.identity_provider]
    call += _each("--ignore", _inside(options))
    return [*call, "--ignore-unsigned"] if options.ignore_unsigned_files else call


def _inside(options: argparse.Namespace) -> list[str]:
    """Paths outside the model are left out anyway."""
    root = Path(os.path.realpath(options.model_path))
    paths = map(Path, options.ignore_paths)
    places = [Path(os.path.realpath(path.parent), path.name) for path in paths]
    return [str(place.relative_to(root)) for place in places if place.is_relative_to(root)]


def _each(option: str, values: list[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("sign-model", "verify-model"):
        command = commands.add_parser(name)
        command.add_argument("--method", choices=("key", "certificate", "sigstore"), required=True)
        command.add_argument("--model-path", required=True)
        command.add_argument("--use-staging", action="store_true")
        for option in ("--cert-chain", "--ignore-paths"):
            command.add_argument(option, action="extend", nargs="+", default=[])
        if name == "sign-model":
            command.add_argument("--output-bundle", required=True)
            for option in ("--private-key", "--signing-cert", "--identity-token"):
                command.add_argument(option)
        else:
            command.add_argument("--bundle", required=True)
            command.add_argument("--ignore-unsigned-files", action="store_true")
            for option in ("--public-key", "--identity", "--identity-provider"):
                command.add_argument(option)
    return parser


if __name__ == "__main__":
    sys.exit(main())
