"""Odd shards under a valid signature."""

from collections.abc import Iterator

from modelsec.errors import (
    BundleFormatError,
    DigestMismatchError,
)

from . import foreign
from .edits import as_the_reference, edited, resources, serialization
from .foreign import Document
from .probe import Attacks, Attempt
from .workshop import HONEST, Workshop

attacks = Attacks("payload")

_SHARD = 1024


@attacks.refused_as(BundleFormatError)
def shards_without_size(shop: Workshop) -> Iterator[Attempt]:
    """Leave the size of the shards out."""
    yield from edited(
        shop, lambda document: serialization(document).pop("shard_size"), shard_size=_SHARD
    )


@attacks.refused_as(BundleFormatError)
def shards_of_nothing(shop: Workshop) -> Iterator[Attempt]:
    """Say that a shard has no bytes, so that there is no end of them."""
    yield from edited(
        shop, lambda document: serialization(document).update(shard_size=0), shard_size=_SHARD
    )


@attacks.refused_as(BundleFormatError)
def shards_without_number(shop: Workshop) -> Iterator[Attempt]:
    """Give NaN as the size of the shards."""
    yield from edited(
        shop,
        lambda document: serialization(document).update(shard_size=float("nan")),
        shard_size=_SHARD,
    )


@attacks.refused_as(BundleFormatError)
def shard_missing(shop: Workshop) -> Iterator[Attempt]:
    """Leave one range of the weights unsigned."""

    def edit(document: Document) -> None:
        found = document["predicate"]["resources"]
        found[:] = [each for each in found if each["name"] != "weights.bin:1024:2048"]
        foreign.summed(document)

    yield from edited(shop, edit, shard_size=_SHARD)


@attacks.refused_as(BundleFormatError)
def shards_overlap(shop: Workshop) -> Iterator[Attempt]:
    """Sign a range that lies within two shards, in the place of one of them."""

    def edit(document: Document) -> None:
        for each in resources(document):
            if each["name"] == "weights.bin:1024:2048":
                each["name"] = "weights.bin:512:1536"
                each["digest"] = foreign.digest(HONEST["weights.bin"][512:1536])
        foreign.summed(document)

    yield from edited(shop, edit, shard_size=_SHARD)


@attacks.refused_as(BundleFormatError)
def shard_backwards(shop: Workshop) -> Iterator[Attempt]:
    """Sign a range that ends before it begins."""

    def edit(document: Document) -> None:
        for each in resources(document):
            if each["name"] == "weights.bin:1024:2048":
                each["name"] = "weights.bin:2048:1024"

    yield from edited(shop, edit, shard_size=_SHARD)


@attacks.refused_as(DigestMismatchError)
def shards_beyond_the_end(shop: Workshop) -> Iterator[Attempt]:
    """Sign a range behind the end of the file, for what is appended later."""

    def edit(document: Document) -> None:
        entry = foreign.resource("weights.bin:4096:5120", bytes(_SHARD))
        entry["algorithm"] = f"sha256-sharded-{_SHARD}"
        document["predicate"]["resources"].append(entry)
        foreign.summed(document)

    yield from edited(shop, edit, shard_size=_SHARD)


@attacks.refused_as(DigestMismatchError)
def too_many_shards(shop: Workshop) -> Iterator[Attempt]:
    """Say that a shard has one byte, and make a file so large that there are too many of them."""
    shop.make()
    attempt = shop.signed(as_the_reference(shop.statement(shard_size=1)), shard_size=1)
    yield attempt
    with (shop.model / "weights.bin").open("r+b") as file:
        file.truncate(64 * 1024**3)
    yield attempt
