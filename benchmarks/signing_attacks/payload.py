"""Odd statements under a valid signature: by a signer who was careless, deceived or taken over."""

from collections.abc import Iterator

from modelsec.errors import (
    BundleFormatError,
    SignatureMismatchError,
    UnsafeTreeError,
    UnsupportedBundleError,
)

from . import foreign
from .edits import edited, resources, serialization
from .foreign import Document
from .probe import Attacks, Attempt
from .workshop import HONEST, Workshop

attacks = Attacks("payload")

_LEGACY = "https://model_signing/Digests/v0.1"
_DEPTH = 50_000


@attacks.refused_as(BundleFormatError)
def nothing_listed_everything_ignored(shop: Workshop) -> Iterator[Attempt]:
    """List no file and ignore the root: a statement that fits every model."""

    def edit(document: Document) -> None:
        document["predicate"]["resources"] = []
        serialization(document)["ignore_paths"] = ["."]
        foreign.summed(document)

    yield from edited(shop, edit)


@attacks.refused_as(BundleFormatError)
def nothing_listed(shop: Workshop) -> Iterator[Attempt]:
    """List no file, for a model whose files all went away."""
    yield shop.signed()
    for name in HONEST:
        (shop.model / name).unlink()
    yield shop.signed(shop.statement())


@attacks.refused_as(BundleFormatError)
def everything_ignored(shop: Workshop) -> Iterator[Attempt]:
    """Ignore the empty path, under which everything lies."""
    yield from edited(shop, lambda document: serialization(document).update(ignore_paths=[""]))


@attacks.refused_as(BundleFormatError)
def parent_ignored(shop: Workshop) -> Iterator[Attempt]:
    """Ignore a path that leads out of the model and in again."""
    paths = ["../model"]
    yield from edited(shop, lambda document: serialization(document).update(ignore_paths=paths))


@attacks.refused_as(UnsafeTreeError)
def weights_ignored(shop: Workshop) -> Iterator[Attempt]:
    """Leave the weights out of the signature, and say so where nobody looks."""
    yield shop.signed()
    document = shop.statement(names=[name for name in HONEST if name != "weights.bin"])
    serialization(document)["ignore_paths"].append("weights.bin")
    yield shop.signed(document)


@attacks.refused_as(BundleFormatError)
def two_predicates(shop: Workshop) -> Iterator[Attempt]:
    """Write a second predicate under the same name, of which readers take either."""
    yield shop.signed()
    payload = foreign.encoded(shop.statement())
    other = b'{"predicate": {"resources": [], "serialization": {}}, '
    yield shop.signed(other + payload[1:])


@attacks.refused_as(UnsupportedBundleError)
def old_predicate(shop: Workshop) -> Iterator[Attempt]:
    """Sign as OMS 0.2.0 did, which bound neither the layout nor what it ignored."""
    yield shop.signed()
    honest = shop.statement()
    document = {
        "_type": honest["_type"],
        "predicateType": _LEGACY,
        "subject": [
            {"name": each["name"], "digest": {"sha256": each["digest"]}}
            for each in resources(honest)
        ],
        "predicate": {},
    }
    yield shop.signed(document)


@attacks.refused_as(UnsupportedBundleError)
def old_predicate_without_subjects(shop: Workshop) -> Iterator[Attempt]:
    """Sign as OMS 0.2.0 did, and list nothing, for a model that is empty."""
    yield shop.signed()
    for name in HONEST:
        (shop.model / name).unlink()
    kind = "https://in-toto.io/Statement/v1"
    yield shop.signed({"_type": kind, "predicateType": _LEGACY, "subject": [], "predicate": {}})


@attacks.refused_as(SignatureMismatchError)
def old_encoding(shop: Workshop) -> Iterator[Attempt]:
    """Sign the text encoding of OMS 0.2.0 for a statement of today: one signature, two messages."""
    yield (attempt := shop.signed())
    payload = foreign.encoded(shop.statement())
    shop.write(foreign.bundle(payload, shop.key, encoding=foreign.pae_of_0_2_0))
    yield attempt


@attacks.refused_as(UnsupportedBundleError)
def another_predicate(shop: Workshop) -> Iterator[Attempt]:
    """Pass off what the key attested about a build."""
    kind = "https://slsa.dev/provenance/v1"
    yield from edited(shop, lambda document: document.update(predicateType=kind))


@attacks.refused_as(UnsupportedBundleError)
def another_statement(shop: Workshop) -> Iterator[Attempt]:
    """Sign a statement of another version of in-toto."""
    kind = "https://in-toto.io/Statement/v0.1"
    yield from edited(shop, lambda document: document.update(_type=kind))


@attacks.refused_as(BundleFormatError)
def no_predicate(shop: Workshop) -> Iterator[Attempt]:
    """Leave the predicate out."""
    yield from edited(shop, lambda document: document.pop("predicate"))


@attacks.refused_as(BundleFormatError)
def predicate_says_more(shop: Workshop) -> Iterator[Attempt]:
    """Add a member to the predicate that this verifier does not know, e.g. a condition."""
    yield from edited(shop, lambda document: document["predicate"].update(conditions=["never"]))


@attacks.refused_as(BundleFormatError)
def two_subjects(shop: Workshop) -> Iterator[Attempt]:
    """Sign for two models at once."""
    yield from edited(shop, lambda document: document["subject"].append(document["subject"][0]))


@attacks.refused_as(BundleFormatError)
def no_subject(shop: Workshop) -> Iterator[Attempt]:
    """Sign for no model."""
    yield from edited(shop, lambda document: document.update(subject=[]))


@attacks.refused_as(BundleFormatError)
def another_root_digest(shop: Workshop) -> Iterator[Attempt]:
    """Sign a root digest that is not that of what is listed."""

    def edit(document: Document) -> None:
        document["subject"][0]["digest"]["sha256"] = "0" * 64

    yield from edited(shop, edit)


@attacks.refused_as(BundleFormatError)
def truncated_digest(shop: Workshop) -> Iterator[Attempt]:
    """Sign the first eight bytes of a digest only."""

    def edit(document: Document) -> None:
        entry = resources(document)[0]
        entry["digest"] = entry["digest"][:16]
        foreign.summed(document)

    yield from edited(shop, edit)


@attacks.refused_as(BundleFormatError)
def digest_in_capitals(shop: Workshop) -> Iterator[Attempt]:
    """Write a digest in a second way."""

    def edit(document: Document) -> None:
        entry = resources(document)[0]
        entry["digest"] = entry["digest"].upper()

    yield from edited(shop, edit)


@attacks.refused_as(BundleFormatError)
def digest_of_another_algorithm(shop: Workshop) -> Iterator[Attempt]:
    """Call the digests of one file by another algorithm than the others."""
    yield from edited(shop, lambda document: resources(document)[0].update(algorithm="blake3"))


@attacks.refused_as(UnsupportedBundleError)
def broken_algorithm(shop: Workshop) -> Iterator[Attempt]:
    """Sign MD5 digests, for which anybody makes two files."""
    shop.make()
    yield shop.signed()
    yield shop.signed(shop.statement(algorithm="md5"))


@attacks.refused_as(UnsupportedBundleError)
def unknown_method(shop: Workshop) -> Iterator[Attempt]:
    """Sign with a way of hashing that is still to come."""
    yield from edited(shop, lambda document: serialization(document).update(method="tensors"))


@attacks.refused_as(BundleFormatError)
def links_by_a_word(shop: Workshop) -> Iterator[Attempt]:
    """Write "false" as text, which is true in many languages, where links are permitted."""
    edit = {"allow_symlinks": "false"}
    yield from edited(shop, lambda document: serialization(document).update(edit))


@attacks.refused_as(BundleFormatError)
def no_resources_but_a_number(shop: Workshop) -> Iterator[Attempt]:
    """Write a number where the list of files belongs."""
    yield from edited(shop, lambda document: document["predicate"].update(resources=1))


@attacks.refused_as(BundleFormatError)
def payload_is_a_list(shop: Workshop) -> Iterator[Attempt]:
    """Sign a list."""
    yield shop.signed()
    yield shop.signed([shop.statement()])


@attacks.refused_as(BundleFormatError)
def payload_is_no_json(shop: Workshop) -> Iterator[Attempt]:
    """Sign bytes that are no JSON."""
    yield shop.signed()
    yield shop.signed(b"\x80\x04N.")


@attacks.refused_as(BundleFormatError)
def deep_payload(shop: Workshop) -> Iterator[Attempt]:
    """Sign brackets that are nested until recursion fails."""
    yield shop.signed()
    yield shop.signed(b"[" * _DEPTH + b"]" * _DEPTH)


@attacks.refused_as(BundleFormatError, asked="the signed annotation")
def release_of_another_tree(shop: Workshop) -> Iterator[Attempt]:
    """Move a signer's annotation to the statement of another model."""

    def edit(document: Document) -> None:
        annotation = {"name": "demo", "serial": 9, "tree": "0" * 64}
        document["subject"][0]["annotations"] = {"modelsec": annotation}

    yield from edited(shop, edit)


@attacks.refused_as(BundleFormatError, asked="the signed annotation")
def release_without_sense(shop: Workshop) -> Iterator[Attempt]:
    """Write a release whose serial is text, so that a lenient verifier drops it."""

    def edit(document: Document) -> None:
        annotation = {"name": "demo", "serial": "9", "tree": "0" * 64}
        document["subject"][0]["annotations"] = {"modelsec": annotation}

    yield from edited(shop, edit)


@attacks.refused_as(UnsupportedBundleError, asked="the signed annotation")
def release_with_a_condition(shop: Workshop) -> Iterator[Attempt]:
    """Add a condition to the annotation that an old verifier would not know."""

    def edit(document: Document) -> None:
        annotation = {"name": "demo", "only_on": "staging", "tree": "0" * 64}
        document["subject"][0]["annotations"] = {"modelsec": annotation}

    yield from edited(shop, edit)
