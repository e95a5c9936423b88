"""Attacks on the files: the bundle is the honest signer's, somebody can write to the model."""

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from modelsec.errors import DigestMismatchError, UnsafeTreeError, UnsupportedBundleError

from . import foreign
from .probe import Attacks, Attempt
from .workshop import HONEST, Workshop, put

attacks = Attacks("tree")

_SHARD = 64
_SPARSE_BYTES = 256 * 1024**3
_DEPTH = 1_500


@attacks.refused_as(DigestMismatchError)
def one_bit(shop: Workshop) -> Iterator[Attempt]:
    """Flip one bit of the weights."""
    yield (attempt := shop.signed())
    content = bytearray(HONEST["weights.bin"])
    content[1000] ^= 1
    put(shop.model / "weights.bin", bytes(content))
    yield attempt


@attacks.refused_as(DigestMismatchError)
def missing(shop: Workshop) -> Iterator[Attempt]:
    """Delete a file."""
    yield (attempt := shop.signed())
    (shop.model / "tokenizer/merges.txt").unlink()
    yield attempt


@attacks.refused_as(DigestMismatchError)
def added(shop: Workshop) -> Iterator[Attempt]:
    """Add code."""
    yield (attempt := shop.signed())
    put(shop.model / "tokenizer/__init__.py")
    yield attempt


@attacks.refused_as(DigestMismatchError)
def swapped(shop: Workshop) -> Iterator[Attempt]:
    """Exchange two signed files of the same size."""
    yield (attempt := shop.signed())
    one, other = shop.model / "tokenizer/merges.txt", shop.model / "tokenizer/vocab.txt"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    yield attempt


@attacks.refused_as(DigestMismatchError)
def renamed(shop: Workshop) -> Iterator[Attempt]:
    """Rename the weights to a format that runs code."""
    yield (attempt := shop.signed())
    (shop.model / "weights.bin").rename(shop.model / "weights.pkl")
    yield attempt


@attacks.refused_as(DigestMismatchError)
def moved(shop: Workshop) -> Iterator[Attempt]:
    """Move a file into another folder under the same name."""
    yield (attempt := shop.signed())
    (shop.model / "tokenizer/vocab.txt").rename(shop.model / "vocab.txt")
    yield attempt


@attacks.refused_as(DigestMismatchError)
def emptied(shop: Workshop) -> Iterator[Attempt]:
    """Truncate a file to nothing."""
    yield (attempt := shop.signed())
    put(shop.model / "config.json", b"")
    yield attempt


@attacks.refused_as(DigestMismatchError)
def appended(shop: Workshop) -> Iterator[Attempt]:
    """Append one byte."""
    yield (attempt := shop.signed())
    put(shop.model / "modeling.py", HONEST["modeling.py"] + b"\n")
    yield attempt


@attacks.refused_as(DigestMismatchError)
def file_becomes_folder(shop: Workshop) -> Iterator[Attempt]:
    """Put a package in the place of a module."""
    yield (attempt := shop.signed())
    (shop.model / "modeling.py").unlink()
    put(shop.model / "modeling.py/__init__.py")
    yield attempt


@attacks.refused_as(DigestMismatchError)
def shard_cut_off(shop: Workshop) -> Iterator[Attempt]:
    """Cut a file that is signed in shards at the end of a shard."""
    yield (attempt := _in_shards(shop))
    put(shop.model / "weights.bin", HONEST["weights.bin"][: 8 * _SHARD])
    yield attempt


@attacks.refused_as(DigestMismatchError)
def shard_appended(shop: Workshop) -> Iterator[Attempt]:
    """Append a whole shard to a file that ends with one."""
    yield (attempt := _in_shards(shop))
    put(shop.model / "weights.bin", HONEST["weights.bin"] + bytes(_SHARD))
    yield attempt


@attacks.refused_as(DigestMismatchError)
def empty_file_added_to_shards(shop: Workshop) -> Iterator[Attempt]:
    """Add an empty __init__.py, which makes a folder a package; shards do not list empty files."""
    yield (attempt := _in_shards(shop))
    put(shop.model / "tokenizer/__init__.py", b"")
    yield attempt


@attacks.refused_as(DigestMismatchError, asked="empty files in shards")
def empty_file_removed_from_shards(shop: Workshop) -> Iterator[Attempt]:
    """Remove an empty __init__.py that the signer named, although shards do not list it."""
    from modelsec.signing import sign  # noqa: PLC0415 - only ours writes such a bundle
    from modelsec.signing.keys import PrivateKey  # noqa: PLC0415 - idem

    shop.make({**HONEST, "tokenizer/__init__.py": b""})
    key = PrivateKey.generate("ecdsa-p256")
    sign(shop.model, key, signature=shop.bundle, shard_size=_SHARD)
    attempt = shop.signed_as_it_is(key.public.pem, shard_size=_SHARD)
    yield attempt
    (shop.model / "tokenizer/__init__.py").unlink()
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def git_hook_added(shop: Workshop) -> Iterator[Attempt]:
    """Add a git hook, where no signature looks."""
    yield (attempt := shop.signed())
    put(shop.model / ".git/hooks/post-checkout")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def workflow_added(shop: Workshop) -> Iterator[Attempt]:
    """Add code below .github, where no signature looks."""
    yield (attempt := shop.signed())
    put(shop.model / ".github/code.py")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def git_attributes_added(shop: Workshop) -> Iterator[Attempt]:
    """Add a .gitattributes, whose filters run programs, where no signature looks."""
    yield (attempt := shop.signed())
    put(shop.model / ".gitattributes", b"*.bin filter=lfs\n")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def ignored_path_filled(shop: Workshop) -> Iterator[Attempt]:
    """Put code where the signer said that nothing matters."""
    shop.make()
    document = shop.statement()
    document["predicate"]["serialization"]["ignore_paths"].append("cache")
    yield (attempt := shop.signed(document))
    put(shop.model / "cache/modeling.py")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def folder_at_the_old_bundle(shop: Workshop) -> Iterator[Attempt]:
    """Put a folder of code where the bundle was when the model was signed."""
    shop.make()
    document = shop.statement()
    document["predicate"]["serialization"]["ignore_paths"].append("model.sig")
    yield (attempt := shop.signed(document))
    put(shop.model / "model.sig/__init__.py")
    yield attempt


@attacks.refused_as(DigestMismatchError)
def second_bundle_in_the_model(shop: Workshop) -> Iterator[Attempt]:
    """Add a file that looks like another signer's bundle."""
    yield (attempt := shop.signed())
    put(shop.model / "other.sig", shop.bundle.read_bytes())
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def file_becomes_link(shop: Workshop) -> Iterator[Attempt]:
    """Replace a file by a link to the same bytes elsewhere, to change them later."""
    yield (attempt := shop.signed())
    outside = put(shop.folder / "outside.py", HONEST["modeling.py"])
    _link(shop.model / "modeling.py", outside)
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def folder_becomes_link(shop: Workshop) -> Iterator[Attempt]:
    """Replace a folder by a link to a copy of it elsewhere."""
    yield (attempt := shop.signed())
    _folder_elsewhere(shop)
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def root_becomes_link(shop: Workshop) -> Iterator[Attempt]:
    """Replace the whole model by a link to a copy of it."""
    yield (attempt := shop.signed())
    shop.model.rename(shop.folder / "elsewhere")
    shop.model.symlink_to(shop.folder / "elsewhere")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def dangling_link(shop: Workshop) -> Iterator[Attempt]:
    """Add a link to a file that comes later."""
    yield (attempt := shop.signed())
    _link(shop.model / "tokenizer/__init__.py", shop.folder / "later.py")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def linked_package(shop: Workshop) -> Iterator[Attempt]:
    """Add a link to a folder of code."""
    yield (attempt := shop.signed())
    put(shop.folder / "outside/__init__.py")
    _link(shop.model / "package", shop.folder / "outside")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def link_cycle(shop: Workshop) -> Iterator[Attempt]:
    """Add a link to the folder that it is in."""
    yield (attempt := shop.signed())
    _link(shop.model / "tokenizer/again", shop.model / "tokenizer")
    yield attempt


@attacks.refused_as(UnsupportedBundleError)
def content_behind_permitted_links(shop: Workshop) -> Iterator[Attempt]:
    """Change code behind a link to a folder, in a model whose signer permitted links."""
    yield shop.signed()
    _folder_elsewhere(shop)
    listed = [name for name in HONEST if not name.startswith("tokenizer/")]
    document = shop.statement(names=listed)
    document["predicate"]["serialization"]["allow_symlinks"] = True
    attempt = shop.signed(document)
    put(shop.folder / "outside/modeling.py")
    yield attempt


@attacks.refused_as(UnsupportedBundleError)
def package_behind_permitted_links(shop: Workshop) -> Iterator[Attempt]:
    """Add a link to a package, in a model whose signer permitted links."""
    yield shop.signed()
    document = shop.statement()
    document["predicate"]["serialization"]["allow_symlinks"] = True
    attempt = shop.signed(document)
    put(shop.folder / "outside/__init__.py")
    _link(shop.model / "package", shop.folder / "outside")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def parent_out_of_the_root(shop: Workshop) -> Iterator[Attempt]:
    """Lead the folder of a signed file out of the model, where unsigned files are permitted."""
    yield (attempt := shop.signed(ignore_unsigned=True))
    _folder_elsewhere(shop)
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def pipe_added(shop: Workshop) -> Iterator[Attempt]:
    """Add a named pipe."""
    yield (attempt := shop.signed())
    os.mkfifo(shop.model / "pipe")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def file_becomes_pipe(shop: Workshop) -> Iterator[Attempt]:
    """Replace a signed file by a named pipe, which says something else to each reader."""
    yield (attempt := shop.signed())
    (shop.model / "config.json").unlink()
    os.mkfifo(shop.model / "config.json")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def socket_added(shop: Workshop) -> Iterator[Attempt]:
    """Add a socket."""
    yield (attempt := shop.signed())
    here = Path.cwd()
    os.chdir(shop.model)  # the path of a socket is limited to about 100 characters
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("socket")
    finally:
        os.chdir(here)
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def unreadable_folder(shop: Workshop) -> Iterator[Attempt]:
    """Add code in a folder that this user cannot list, but another one can."""
    yield (attempt := shop.signed(unprivileged=True))
    put(shop.model / "package/__init__.py")
    (shop.model / "package").chmod(0)
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def case_twin(shop: Workshop) -> Iterator[Attempt]:
    """Add Modeling.py, which takes the place of modeling.py where case is folded."""
    yield (attempt := shop.signed(ignore_unsigned=True))
    put(shop.model / "Modeling.py")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def unicode_twin(shop: Workshop) -> Iterator[Attempt]:
    """Add a name that is the same text in another Unicode form."""
    shop.make({**HONEST, "caf\u00e9.py": b"1\n"})
    yield (attempt := shop.signed(ignore_unsigned=True))
    put(shop.model / "cafe\u0301.py")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def name_with_reversed_text(shop: Workshop) -> Iterator[Attempt]:
    """Add a program whose name reads as that of weights, among permitted unsigned files."""
    yield (attempt := shop.signed(ignore_unsigned=True))
    put(shop.model / "weights_\u202enib.py")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def name_that_is_no_text(shop: Workshop) -> Iterator[Attempt]:
    """Add a name that is not UTF-8, among permitted unsigned files."""
    yield (attempt := shop.signed(ignore_unsigned=True))
    put(shop.model / os.fsdecode(b"\xff.py"))
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def deep_folders(shop: Workshop) -> Iterator[Attempt]:
    """Add folders so deep that recursion fails, and a path so long that none can be opened."""
    yield (attempt := shop.signed())
    here = os.open(shop.model, os.O_RDONLY)
    for _ in range(_DEPTH):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    yield attempt


@attacks.refused_as(DigestMismatchError)
def endless_file(shop: Workshop) -> Iterator[Attempt]:
    """Add a sparse file of 256 GiB, so that the verifier hashes for minutes before it refuses."""
    yield (attempt := shop.signed())
    with (shop.model / "more.bin").open("wb") as file:
        file.truncate(_SPARSE_BYTES)
    yield attempt


@attacks.refused_as(DigestMismatchError, asked="single files")
def only_what_nobody_signed(shop: Workshop) -> Iterator[Attempt]:
    """Have a single file verified that is not among the signed ones."""
    attempt = shop.signed(only=("weights.bin",))
    yield attempt
    put(shop.model / "plugin.py")
    yield replace(attempt, only=("plugin.py",))


@attacks.refused_as(DigestMismatchError)
def file_model_changed(shop: Workshop) -> Iterator[Attempt]:
    """Change a model that is one file."""
    shop.model = shop.folder / "weights.bin"
    put(shop.model, HONEST["weights.bin"])
    yield (attempt := shop.signed())
    put(shop.model, HONEST["weights.bin"][::-1])
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def emptied_model(shop: Workshop) -> Iterator[Attempt]:
    """Remove everything."""
    yield (attempt := shop.signed())
    shutil.rmtree(shop.model)
    shop.model.mkdir()
    yield attempt


def _in_shards(shop: Workshop) -> Attempt:
    """Sign in shards, as the reference spells them."""
    shop.make()
    document = shop.statement(shard_size=_SHARD)
    for each in document["predicate"]["resources"]:
        each["algorithm"] = f"sha256-sharded-{_SHARD}"
    return shop.signed(foreign.summed(document), shard_size=_SHARD)


def _folder_elsewhere(shop: Workshop) -> None:
    """Put a link in the place of a folder, to the same files outside."""
    (shop.model / "tokenizer").rename(shop.folder / "outside")
    (shop.model / "tokenizer").symlink_to(shop.folder / "outside")


def _link(path: Path, to: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(to)



