"""Attacks on the files: the bundle is the honest signer's, somebody can write to the model."""

import shutil
from collections.abc import Iterator
from dataclasses import replace

from modelsec.errors import DigestMismatchError, UnsafeTreeError
from modelsec.signing import sign
from modelsec.signing.keys import PrivateKey

from .edits import as_the_reference
from .probe import Attacks, Attempt
from .workshop import HONEST, Workshop, put

attacks = Attacks("tree")

_SHARD = 64


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
    return shop.signed(as_the_reference(shop.statement(shard_size=_SHARD)), shard_size=_SHARD)
