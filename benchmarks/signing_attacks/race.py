"""Attacks while a model is verified: what was checked is not what is there in the end."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from modelsec.errors import DigestMismatchError, UnsafeTreeError

from . import foreign
from .probe import Attacks, Attempt, Load, Race
from .workshop import EVIL, HONEST, Workshop, put

attacks = Attacks("race")

_LAST = "last.txt"
"""The smallest file, which is opened when the others were read."""

_BIG = "big.bin"
_BIG_BYTES = 192 * 1024 * 1024
_EVIL_WEIGHTS = HONEST["weights.bin"][::-1]


def _late(shop: Workshop, *, after: str = "weights.bin") -> tuple[Attempt, Race]:
    """Return the honest request, and a race in which nothing happens when the last file opens."""
    shop.make({**HONEST, _LAST: b"."})
    return shop.signed(), Race(_LAST, lambda: None, after=after)


@attacks.refused_as(DigestMismatchError)
def rewritten_when_hashed(shop: Workshop) -> Iterator[Attempt]:
    """Rewrite the weights when they were hashed, while another file is."""
    attempt, race = _late(shop)
    yield attempt
    act = replace(race, act=lambda: _write(shop.model / "weights.bin", _EVIL_WEIGHTS))
    yield replace(attempt, race=act)


@attacks.refused_as(DigestMismatchError)
def rewritten_and_dated_back(shop: Workshop) -> Iterator[Attempt]:
    """Rewrite the weights when they were hashed, and put their modification time back."""
    attempt, race = _late(shop)
    yield attempt

    def act() -> None:
        path = shop.model / "weights.bin"
        before = path.stat()
        _write(path, _EVIL_WEIGHTS)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    yield replace(attempt, race=replace(race, act=act))


@attacks.refused_as(DigestMismatchError)
def replaced_when_hashed(shop: Workshop) -> Iterator[Attempt]:
    """Replace the weights by another file when they were hashed."""
    attempt, race = _late(shop)
    yield attempt
    other = put(shop.folder / "other.bin", _EVIL_WEIGHTS)
    act = replace(race, act=lambda: _move(other, shop.model / "weights.bin"))
    yield replace(attempt, race=act)


@attacks.refused_as(DigestMismatchError)
def truncated_when_hashed(shop: Workshop) -> Iterator[Attempt]:
    """Truncate the weights when they were hashed."""
    attempt, race = _late(shop)
    yield attempt
    act = replace(race, act=lambda: os.truncate(shop.model / "weights.bin", 100))
    yield replace(attempt, race=act)


@attacks.refused_as(DigestMismatchError)
def removed_when_hashed(shop: Workshop) -> Iterator[Attempt]:
    """Remove the weights when they were hashed."""
    attempt, race = _late(shop)
    yield attempt
    yield replace(attempt, race=replace(race, act=(shop.model / "weights.bin").unlink))


@attacks.refused_as(DigestMismatchError)
def added_while_hashing(shop: Workshop) -> Iterator[Attempt]:
    """Add code when the files were listed."""
    attempt, race = _late(shop)
    yield attempt
    act = replace(race, act=lambda: _put(shop.model / "package/__init__.py"))
    yield replace(attempt, race=act)


@attacks.refused_as(UnsafeTreeError)
def link_added_while_hashing(shop: Workshop) -> Iterator[Attempt]:
    """Add a link to code when the files were listed."""
    attempt, race = _late(shop)
    yield attempt
    put(shop.folder / "outside/__init__.py")
    link = shop.model / "package"
    yield replace(attempt, race=replace(race, act=lambda: link.symlink_to(shop.folder / "outside")))


@attacks.refused_as(UnsafeTreeError)
def folder_becomes_link_when_hashed(shop: Workshop) -> Iterator[Attempt]:
    """Replace a folder by a link to other files when its own were hashed."""
    attempt, race = _late(shop, after="vocab.txt")
    yield attempt
    shutil.copytree(shop.model / "tokenizer", shop.folder / "outside")
    put(shop.folder / "outside/vocab.txt", b"other")

    def act() -> None:
        (shop.model / "tokenizer").rename(shop.folder / "aside")
        (shop.model / "tokenizer").symlink_to(shop.folder / "outside")

    yield replace(attempt, race=replace(race, act=act))


@attacks.refused_as(DigestMismatchError)
def honest_for_the_reading_only(shop: Workshop) -> Iterator[Attempt]:
    """Put the honest weights in their place just while they are read."""
    attempt, race = _late(shop)
    yield attempt
    path = shop.model / "weights.bin"
    honest, evil = shop.folder / "honest.bin", put(shop.folder / "evil.bin", _EVIL_WEIGHTS)
    path.rename(honest)
    os.link(evil, path)

    def shown() -> None:
        path.unlink()
        os.link(honest, path)

    def hidden() -> None:
        path.unlink()
        os.link(evil, path)

    yield replace(attempt, race=replace(race, act=hidden, earlier=(path.name, shown)))


@attacks.refused_as(DigestMismatchError)
def rewritten_while_read(shop: Workshop) -> Iterator[Attempt]:
    """Rewrite the beginning of a large file while its end is read."""
    attempt = _big(shop)
    yield attempt
    race = Race(_BIG, lambda: _overwrite(shop.model / _BIG), beside=True)
    yield replace(attempt, race=race)


@attacks.refused_as(DigestMismatchError)
def truncated_while_read(shop: Workshop) -> Iterator[Attempt]:
    """Truncate a large file while it is read."""
    attempt = _big(shop)
    yield attempt
    race = Race(_BIG, lambda: os.truncate(shop.model / _BIG, _BIG_BYTES - 1), beside=True)
    yield replace(attempt, race=race)


@attacks.refused_as(DigestMismatchError)
def extended_while_read(shop: Workshop) -> Iterator[Attempt]:
    """Extend a large file while it is read."""
    attempt = _big(shop)
    yield attempt
    race = Race(_BIG, lambda: os.truncate(shop.model / _BIG, _BIG_BYTES + 1), beside=True)
    yield replace(attempt, race=race)


@attacks.refused_as(DigestMismatchError)
def bundle_replaced_when_checked(shop: Workshop) -> Iterator[Attempt]:
    """Replace the bundle, when it was checked, by a forged one that fits the changed model."""
    yield (attempt := shop.signed())
    put(shop.model / "modeling.py", EVIL)
    forged = shop.read()
    forged["dsseEnvelope"]["payload"] = foreign.b64(foreign.encoded(shop.statement()))
    other = shop.folder / "forged.sig"
    shop.write(forged, other)
    race = Race(shop.model.name, lambda: _move(other, shop.bundle))
    yield replace(attempt, race=race)


@attacks.refused_as(UnsafeTreeError)
def bundle_becomes_folder(shop: Workshop) -> Iterator[Attempt]:
    """Put a package in the place of a bundle within the model, when the bundle was read."""
    shop.make()
    inside = shop.model / "signature"
    document = shop.statement()
    document["predicate"]["serialization"]["ignore_paths"].append("signature")
    attempt = shop.signed(document, to=inside)
    yield attempt

    def act() -> None:
        inside.unlink()
        put(inside / "__init__.py")

    yield replace(attempt, race=Race(shop.model.name, act))


@attacks.refused_as(DigestMismatchError)
def rewritten_before_loading(shop: Workshop) -> Iterator[Attempt]:
    """Rewrite the weights when they were verified, before they are loaded."""
    path = shop.model / "weights.bin"
    attempt = shop.signed(load=Load(path.name, lambda: None))
    yield attempt
    yield replace(attempt, load=Load(path.name, lambda: _write(path, _EVIL_WEIGHTS)))


@attacks.refused_as(DigestMismatchError)
def replaced_before_loading(shop: Workshop) -> Iterator[Attempt]:
    """Replace the weights by another file when they were verified, before they are loaded."""
    path = shop.model / "weights.bin"
    attempt = shop.signed(load=Load(path.name, lambda: None))
    yield attempt
    other = put(shop.folder / "other.bin", _EVIL_WEIGHTS)
    yield replace(attempt, load=Load(path.name, lambda: _move(other, path)))


@attacks.refused_as(UnsafeTreeError)
def folder_becomes_link_before_loading(shop: Workshop) -> Iterator[Attempt]:
    """Lead a folder elsewhere when it was verified, before a file in it is loaded."""
    attempt = shop.signed(load=Load("tokenizer/vocab.txt", lambda: None))
    yield attempt
    shutil.copytree(shop.model / "tokenizer", shop.folder / "outside")
    put(shop.folder / "outside/vocab.txt", b"other")

    def between() -> None:
        (shop.model / "tokenizer").rename(shop.folder / "aside")
        (shop.model / "tokenizer").symlink_to(shop.folder / "outside")

    yield replace(attempt, load=Load("tokenizer/vocab.txt", between))


def _big(shop: Workshop) -> Attempt:
    shop.make()
    with (shop.model / _BIG).open("wb") as file:
        file.truncate(_BIG_BYTES)
    return shop.signed()


def _write(path: Path, content: bytes) -> None:
    """Write into the file that is there."""
    with path.open("r+b") as file:
        file.write(content)


def _overwrite(path: Path) -> None:
    _write(path, b"other")


def _put(path: Path) -> None:
    put(path)


def _move(path: Path, to: Path) -> None:
    path.replace(to)
