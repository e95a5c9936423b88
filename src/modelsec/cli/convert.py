"""``modelsec convert``: the tensors of a torch or numpy file as safetensors."""

import json
from argparse import ArgumentParser, Namespace, _SubParsersAction
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.cli import OK
from modelsec.errors import printable

if TYPE_CHECKING:
    from modelsec.provenance import Conversion
    from modelsec.scanning import Policy

_LISTED = 20


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "convert",
        help="turn a torch or numpy file into safetensors, without loading it",
        description="Write the tensors of a torch (.pt, .pth, .bin) or numpy (.npy, .npz) file to "
        "a safetensors file. Nothing of the source is executed; what is not safe or not "
        "understood is refused, and nothing is written.",
        epilog="Exit codes: 0 converted; 1 refused, the message says why; 2 wrong usage, or a file "
        "cannot be opened or written.",
    )
    parser.add_argument("source", metavar="SRC", help="the file to convert; its content decides")
    parser.add_argument("target", metavar="DST", help="the safetensors file")
    parser.add_argument("--json", action="store_true", help="print the record as JSON")
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="LAYER",
        help="add a policy layer: a shipped one by name, or a .toml file; may be repeated",
    )
    parser.add_argument(
        "--refuse-shared",
        action="store_true",
        help="refuse tensors that share memory, instead of writing each of them",
    )
    parser.add_argument(
        "--keep-scalars",
        action="store_true",
        help="keep numbers and texts of the checkpoint in the metadata",
    )
    parser.add_argument(
        "--digests",
        action="store_true",
        help="compute the SHA-256 of the output and of each tensor, however large they are",
    )


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.cli.progress import progress  # noqa: PLC0415 - not needed for --help
    from modelsec.provenance import convert  # noqa: PLC0415 - imports numpy

    with progress("converting") as on_progress:
        done = convert(
            options.source,
            options.target,
            policy=_policy(options.policy),
            on_shared="refuse" if options.refuse_shared else "copy",
            keep_scalars=options.keep_scalars,
            digests=True if options.digests else None,
            on_progress=on_progress,
        )
    print(json.dumps(done.to_dict(), indent=1) if options.json else _text(done))
    return OK


def _policy(layers: list[str]) -> "Policy | None":
    from modelsec.scanning import Policy  # noqa: PLC0415 - not needed for --help
    from modelsec.scanning.policy import shipped_layers  # noqa: PLC0415 - idem

    if not layers:
        return None
    named = (Path(name) if name.endswith(".toml") else name for name in layers)
    return Policy.load(*dict.fromkeys([*shipped_layers(), *named]))


def _text(done: "Conversion") -> str:
    lines = [
        f"{printable(done.source, 500)} ({done.source_format}) -> {printable(done.target, 500)}",
        f"{len(done.tensors):,} tensors, {done.target_bytes:,} bytes, read back and equal",
        f"sha256 of the source  {done.source_sha256}",
    ]
    if done.target_sha256:
        lines.append(f"sha256 of the output  {done.target_sha256}")
    lines += [
        f"shared memory, now copied: {', '.join(map(printable, names[:10]))}"
        for names in done.aliases[:_LISTED]
    ]
    for leaf in done.dropped[:_LISTED]:
        value = f" = {leaf.text}" if leaf.text else ""
        lines.append(f"not a tensor, left out: {printable(leaf.name)} ({leaf.kind}){value}")
    rest = done.dropped_count - min(len(done.dropped), _LISTED)
    if rest:
        lines.append(f"... and {rest:,} more that are no tensors (--json lists them)")
    return "\n".join(lines)
