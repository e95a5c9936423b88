"""``modelsec digest``: which model is this, in 64 characters?"""

import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _SubParsersAction
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelsec.cli import OK
from modelsec.cli.profiles import add_profile_options, chosen_profile
from modelsec.errors import ConfigurationError, printable

if TYPE_CHECKING:
    from modelsec.signing.hashing.digest_cache import DigestCache
    from modelsec.signing.hashing.survey import Survey
    from modelsec.signing.manifest import Manifest

_NAME_LIMIT = 5_000
_MAX_SIZE = 2**63 - 1
"""Bytes; no file system has larger files, and digests hold sizes in 8 bytes."""


def add_parser(commands: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command to the parser of all commands."""
    parser = commands.add_parser(
        "digest",
        help="say which model this is, as a digest over its files and their names",
        description="Print the digest of a file, or of a directory two digests: the tree digest, "
        "over names, ranges and contents, which says which model this is; and the root digest of "
        "OpenSSF Model Signing, over the contents only.",
        epilog="Exit codes: 0 printed; 1 refused (links, pipes, unreadable folders, names that "
        "read as others); 2 wrong usage, or PATH cannot be opened.",
    )
    parser.add_argument("path", metavar="PATH", help="file or directory")
    parser.add_argument(
        "--algorithm", choices=("sha256", "blake2b", "blake3"), default="sha256", help="of digests"
    )
    parser.add_argument(
        "--shards",
        nargs="?",
        type=_size,
        const=1_000_000_000,
        metavar="SIZE",
        help="hash ranges of SIZE bytes (default 1000000000) instead of whole files",
    )
    add_profile_options(parser)
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATH",
        help="leave out, relative to the directory; needs --profile oms if it exists; may be "
        "repeated",
    )
    parser.add_argument("--cache", metavar="FILE", help="digests of files that did not change")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--bare",
        action="store_true",
        help="print the digest only: of a directory the tree digest, of a file its own",
    )
    parser.add_argument("--files", action="store_true", help="list every file, or every range")


def run(options: Namespace) -> int:
    """Run the command."""
    from modelsec.cli.ignored import relative_paths  # noqa: PLC0415 - not needed for --help
    from modelsec.cli.progress import progress  # noqa: PLC0415 - idem
    from modelsec.signing.hashing.survey import survey  # noqa: PLC0415 - idem
    from modelsec.signing.manifest import Layout  # noqa: PLC0415 - idem
    from modelsec.signing.trees.tree import open_tree  # noqa: PLC0415 - idem

    if options.bare and options.files:
        raise ConfigurationError("--bare prints one digest: drop --files")
    if options.shards is not None and options.shards > _MAX_SIZE:
        raise ConfigurationError(f"--shards {options.shards:.3g}: no file is as large as that")
    ignored = relative_paths(options.path, options.ignore)
    layout = Layout(options.algorithm, options.shards, tuple(ignored))
    cache = _cache(options.cache)
    with (
        progress("hashing") as on_progress,
        open_tree(
            options.path, profile=chosen_profile(options), ignore_paths=layout.ignore_paths
        ) as tree,
    ):
        found = survey(tree, layout, on_progress=on_progress, cache=cache)
        excluded = tree.excluded
    if options.bare:
        print(_bare(found.manifest))
    elif options.json:
        print(json.dumps(_document(found, excluded, files=options.files), indent=1))
    else:
        print("\n".join(_lines(found.manifest, excluded, files=options.files)))
    return OK


def _size(text: str) -> int:
    """Read a positive number of bytes."""
    try:
        size = int(text)
    except ValueError:
        size = 0
    if size < 1:
        raise ArgumentTypeError(f"SIZE is a positive number of bytes, not {text[:60]!r}")
    return size


def _cache(path: str | None) -> "DigestCache | None":
    if path is None:
        return None
    from modelsec.signing.hashing.digest_cache import DigestCache  # noqa: PLC0415 - not needed for --help

    return DigestCache(path)


def _bare(manifest: "Manifest") -> str:
    if manifest.single_file and manifest.layout.shard_size is None:
        return manifest.resources[0].digest.hex()
    return manifest.tree_digest


def _lines(manifest: "Manifest", excluded: tuple[str, ...], *, files: bool) -> Iterator[str]:
    whole = manifest.layout.shard_size is None
    if not (manifest.single_file and whole):
        yield f"tree digest  {manifest.tree_digest}  names, ranges and contents"
        yield f"root digest  {manifest.root_digest}  contents only (OMS)"
    if files or (manifest.single_file and whole):
        for resource in manifest.resources:
            yield f"{resource.digest.hex()}  {_printable(resource.label)}"
        for name in manifest.empty_files:
            yield f"{'empty file':{2 * len(manifest.resources[0].digest)}}  {_printable(name)}"
    else:
        count = len(manifest.names)
        yield f"{count:,} {'file' if count == 1 else 'files'}, {manifest.layout.algorithm}"
    for path in excluded:
        yield f"left out: {_printable(path)}"


def _document(found: "Survey", excluded: tuple[str, ...], *, files: bool) -> dict[str, object]:
    manifest = found.manifest
    document: dict[str, object] = {
        "tree_digest": manifest.tree_digest,
        "root_digest": manifest.root_digest,
        "algorithm": manifest.layout.algorithm,
        "shard_size": manifest.layout.shard_size,
        "single_file": manifest.single_file,
        "count": len(manifest.names),
        "excluded": list(excluded),
        "cached": len(found.cached),
    }
    if files or manifest.single_file:
        document["files"] = [
            {"name": resource.label, "digest": resource.digest.hex()}
            for resource in manifest.resources
        ]
        document["empty_files"] = list(manifest.empty_files)
    return document


def _printable(name: str) -> str:
    return printable(name, _NAME_LIMIT)
