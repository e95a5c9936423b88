"""Odd names under a valid signature: by a signer who was careless, deceived or taken over."""

from collections.abc import Iterator

from modelsec.errors import (
    BundleFormatError,
)

from . import foreign
from .edits import edited, resources
from .foreign import Document
from .probe import Attacks, Attempt
from .workshop import HONEST, Workshop, put

attacks = Attacks("payload")


def _renamed(shop: Workshop, name: str, *, ignore_unsigned: bool = False) -> Iterator[Attempt]:
    """List modeling.py under another name, which leads to the same bytes or to none."""
    yield shop.signed(ignore_unsigned=ignore_unsigned)
    document = shop.statement()
    for each in resources(document):
        if each["name"] == "modeling.py":
            each["name"] = name
    yield shop.signed(foreign.summed(document), ignore_unsigned=ignore_unsigned)


def _with_file(shop: Workshop, name: str, **more: str) -> Iterator[Attempt]:
    """Sign a file whose name is the trick."""
    yield shop.signed()
    put(shop.model / name)
    for other, content in more.items():
        put(shop.model / other, content.encode())
    yield shop.signed(shop.statement())


@attacks.refused_as(BundleFormatError)
def file_listed_twice(shop: Workshop) -> Iterator[Attempt]:
    """List a file with two digests, of which readers take either."""

    def edit(document: Document) -> None:
        twin = foreign.resource("modeling.py", b"other")
        document["predicate"]["resources"].insert(1, twin)
        foreign.summed(document)

    yield from edited(shop, edit)


@attacks.refused_as(BundleFormatError)
def dot_in_a_name(shop: Workshop) -> Iterator[Attempt]:
    """List ./modeling.py, a second name of one file."""
    yield from _renamed(shop, "./modeling.py")


@attacks.refused_as(BundleFormatError)
def two_slashes_in_a_name(shop: Workshop) -> Iterator[Attempt]:
    """List a name with an empty part."""

    def edit(document: Document) -> None:
        for each in resources(document):
            each["name"] = str(each["name"]).replace("tokenizer/", "tokenizer//")

    yield from edited(shop, edit)


@attacks.refused_as(BundleFormatError)
def name_out_of_the_root(shop: Workshop) -> Iterator[Attempt]:
    """List a file outside the model, to learn whether it is what one thinks it is."""
    put(shop.folder / "secret.txt", HONEST["modeling.py"])
    yield from _renamed(shop, "../secret.txt", ignore_unsigned=True)


@attacks.refused_as(BundleFormatError)
def name_through_the_parent(shop: Workshop) -> Iterator[Attempt]:
    """List a name that leaves a folder by its parent."""
    yield from _renamed(shop, "tokenizer/../modeling.py", ignore_unsigned=True)


@attacks.refused_as(BundleFormatError)
def absolute_name(shop: Workshop) -> Iterator[Attempt]:
    """List an absolute path."""
    outside = put(shop.folder / "secret.txt", HONEST["modeling.py"])
    yield from _renamed(shop, str(outside), ignore_unsigned=True)


@attacks.refused_as(BundleFormatError)
def empty_name(shop: Workshop) -> Iterator[Attempt]:
    """List a file without a name."""
    yield from _renamed(shop, "", ignore_unsigned=True)


@attacks.refused_as(BundleFormatError)
def name_with_nul(shop: Workshop) -> Iterator[Attempt]:
    """List a name that ends earlier for some readers."""
    yield from _renamed(shop, "modeling.py\0.txt", ignore_unsigned=True)


@attacks.refused_as(BundleFormatError)
def name_with_half_a_character(shop: Workshop) -> Iterator[Attempt]:
    """List a name with half a surrogate pair, which no file can have."""
    yield from _renamed(shop, "modeling\ud800.py", ignore_unsigned=True)


@attacks.refused_as(BundleFormatError)
def name_is_a_number(shop: Workshop) -> Iterator[Attempt]:
    """List a number where a name belongs."""
    yield from edited(shop, lambda document: resources(document)[0].update(name=1))


@attacks.refused_as(BundleFormatError)
def signed_newline(shop: Workshop) -> Iterator[Attempt]:
    """Sign a file with a line break in its name, which forges lines of logs and lists."""
    yield from _with_file(shop, "weights.bin\nverified: all.py")


@attacks.refused_as(BundleFormatError)
def signed_reversed_text(shop: Workshop) -> Iterator[Attempt]:
    """Sign a program whose name reads as that of weights."""
    yield from _with_file(shop, "weights_\u202enib.py")


@attacks.refused_as(BundleFormatError)
def signed_backslash(shop: Workshop) -> Iterator[Attempt]:
    """Sign a name that leads out of the model on Windows."""
    yield from _with_file(shop, "..\\..\\startup.py")


@attacks.refused_as(BundleFormatError)
def signed_device(shop: Workshop) -> Iterator[Attempt]:
    """Sign a name that is a device on Windows."""
    yield from _with_file(shop, "aux.py")


@attacks.refused_as(BundleFormatError)
def signed_dot_at_the_end(shop: Workshop) -> Iterator[Attempt]:
    """Sign a name of which Windows drops the end, which makes it another file's."""
    yield from _with_file(shop, "modeling.py.")


@attacks.refused_as(BundleFormatError)
def signed_case_twins(shop: Workshop) -> Iterator[Attempt]:
    """Sign two files that are one where case is folded."""
    yield from _with_file(shop, "Modeling.py")


@attacks.refused_as(BundleFormatError)
def signed_unicode_twins(shop: Workshop) -> Iterator[Attempt]:
    """Sign two files whose names are one text in two Unicode forms."""
    yield from _with_file(shop, "caf\u00e9.py", **{"cafe\u0301.py": "2\n"})


@attacks.refused_as(BundleFormatError)
def signed_invisible_twin(shop: Workshop) -> Iterator[Attempt]:
    """Sign two files whose names differ in a character that nobody sees."""
    yield from _with_file(shop, "model\u200bing.py")


@attacks.refused_as(BundleFormatError)
def file_and_folder(shop: Workshop) -> Iterator[Attempt]:
    """List one name as a file and as a folder."""

    def edit(document: Document) -> None:
        document["predicate"]["resources"].append(foreign.resource("weights.bin/x", b""))
        foreign.summed(document)

    yield from edited(shop, edit)


@attacks.refused_as(BundleFormatError)
def root_as_file(shop: Workshop) -> Iterator[Attempt]:
    """List the root itself, as signers of single files do, for a model with many."""

    def edit(document: Document) -> None:
        document["predicate"]["resources"] = [foreign.resource(".", b"")]
        foreign.summed(document)

    yield from edited(shop, edit)
