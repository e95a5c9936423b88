"""Attacks with what is no plain file: links, pipes, names that pretend, and too much of it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from modelsec.errors import DigestMismatchError, UnsafeTreeError, UnsupportedBundleError

from .probe import Attacks, Attempt
from .workshop import HONEST, Workshop, put

attacks = Attacks("tree")

_SPARSE_BYTES = 256 * 1024**3
_DEPTH = 1_200
_LONG = 20


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
    attempt = shop.signed(document, links=True)
    put(shop.folder / "outside/modeling.py")
    yield attempt


@attacks.refused_as(UnsupportedBundleError)
def package_behind_permitted_links(shop: Workshop) -> Iterator[Attempt]:
    """Add a link to a package, in a model whose signer permitted links."""
    yield shop.signed()
    document = shop.statement()
    document["predicate"]["serialization"]["allow_symlinks"] = True
    attempt = shop.signed(document, links=True)
    put(shop.folder / "outside/__init__.py")
    _link(shop.model / "package", shop.folder / "outside")
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def parent_out_of_the_root(shop: Workshop) -> Iterator[Attempt]:
    """Lead the folder of a signed file out of the model, where unsigned files are permitted."""
    yield (attempt := shop.signed(ignore_unsigned=True))
    _folder_elsewhere(shop)
    yield attempt


@attacks.refused_as(DigestMismatchError)
def bundle_beside_leads_inside(shop: Workshop) -> Iterator[Attempt]:
    """Move the bundle into the model, under the name of a settings file, and leave a link to it."""
    yield (attempt := shop.signed())
    inside = shop.model / "generation_config.json"
    shop.bundle.rename(inside)
    shop.bundle.symlink_to(inside)
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


@attacks.refused_as(DigestMismatchError)
def deep_folders(shop: Workshop) -> Iterator[Attempt]:
    """Add code below so many folders that recursion fails."""
    yield (attempt := shop.signed())
    _put_below(shop.model, "d", _DEPTH)
    yield attempt


@attacks.refused_as(UnsafeTreeError)
def long_path(shop: Workshop) -> Iterator[Attempt]:
    """Add code under a path that is too long to be opened at once."""
    yield (attempt := shop.signed())
    _put_below(shop.model, "d" * 250, _LONG)
    yield attempt


@attacks.refused_as(DigestMismatchError)
def endless_file(shop: Workshop) -> Iterator[Attempt]:
    """Add a sparse file of 256 GiB, so that the verifier hashes for minutes before it refuses."""
    yield (attempt := shop.signed())
    with (shop.model / "more.bin").open("wb") as file:
        file.truncate(_SPARSE_BYTES)
    yield attempt


def _folder_elsewhere(shop: Workshop) -> None:
    """Put a link in the place of a folder, to the same files outside."""
    (shop.model / "tokenizer").rename(shop.folder / "outside")
    (shop.model / "tokenizer").symlink_to(shop.folder / "outside")


def _put_below(folder: Path, name: str, depth: int) -> None:
    """Add code below nested folders of one name."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("code.py", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


def _link(path: Path, to: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(to)
