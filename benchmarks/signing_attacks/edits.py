"""Take an honest statement or bundle, and change one thing in it."""

from collections.abc import Callable, Iterator

from .foreign import Document
from .probe import Attempt
from .workshop import Workshop

Edit = Callable[[Document], None]


def edited(shop: Workshop, edit: Edit, *, shard_size: int | None = None) -> Iterator[Attempt]:
    """Have the honest statement verified, then the same one after an edit, validly signed."""
    shop.make()
    document = as_the_reference(shop.statement(shard_size=shard_size))
    yield shop.signed(document, shard_size=shard_size)
    edit(document)
    yield shop.signed(document, shard_size=shard_size)


def resources(document: Document) -> list[Document]:
    """Return the entries of a statement."""
    return list(document["predicate"]["resources"])


def serialization(document: Document) -> Document:
    """Return how a statement says that files become entries."""
    found: Document = document["predicate"]["serialization"]
    return found


def as_the_reference(document: Document) -> Document:
    """Spell the algorithm of shards as the reference does, so that it can verify the control."""
    if size := serialization(document).get("shard_size"):
        for each in resources(document):
            each["algorithm"] = f"{each['algorithm']}-sharded-{size}"
    return document


def with_envelope(document: Document, **changes: object) -> Document:
    """Return a bundle with other members of its envelope."""
    return {**document, "dsseEnvelope": {**document["dsseEnvelope"], **changes}}


def with_signature(document: Document, signature: object, keyid: object = "") -> Document:
    """Return a bundle with another signature."""
    return with_envelope(document, signatures=[{"sig": signature, "keyid": keyid}])
