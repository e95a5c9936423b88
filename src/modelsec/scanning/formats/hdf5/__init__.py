"""HDF5: groups, datasets and attributes in one file; what Keras, PyTables and MATLAB write.

An HDF5 file is a graph of objects. Each object has a header of messages: links to other objects,
the shape, type and place of values, attributes. None of this is code, yet opening an object can
act, and libraries on top give some values a life of their own.

What an attacker does with it, and what is checked:

* **External links, external storage, virtual datasets** name other files, by any path: the reader
  of a model reads ``/etc/passwd`` as weights and publishes them with its next checkpoint
  (CVE-2026-1669). Each of them is found in every encoding: plain and dense links, old symbol
  tables, external file lists, virtual mappings.
* **Shape bombs** declare petabytes and store nothing; a reader that loads the dataset allocates
  them (CVE-2026-0897). The declared size is compared with the bytes that are stored.
* **Keras models** (``model_config``, ``training_config``) are JSON that Keras instantiates, Lambda
  code included, which older versions load whatever ``safe_mode`` says (CVE-2025-9905). They are
  checked by :mod:`~modelsec.scanning.formats.keras`, on whatever object they hang.
* **Pickles**: PyTables unpickles text attributes that end with a full stop, and rows of
  ``PSEUDOATOM = 'object'`` arrays; pandas stores are made of both. All of them are judged as
  pickles (compressed rows are ``unknown``), and so are byte datasets that begin like a pickle.
* **Filters** that need a plug-in make HDF5 load native code by number. The file cannot bring that
  code along; a number that nobody registered is ``unknown``.

What the coverage claims: the range from the signature to the end-of-file address that the
superblock declares. Every object that can be reached from the root group, by links, references and
committed datatypes, is read, and whatever is not understood is a finding that makes the result
incomplete. Between the structures, HDF5 leaves free space and preallocated blocks; they cannot be
told from forgotten objects, no reader of HDF5 looks at them, and neither do we. The user block
before the signature and what follows the end-of-file address are left to the engine, which scans
them as anything.

Not done: values of datasets are numbers and are not read, except references, which may name an
object that no link names (compressed ones are reported; fill values are not followed). Checksums
are not verified: a reader that verifies them refuses the file, any other reads what is read here.
Shared message heaps, files in several pieces and cached images of the metadata are reported, not
followed.

References: HDF5 File Format Specification 3.0.
"""

from collections.abc import Iterator

from modelsec.scanning.formats.hdf5 import rules, superblock
from modelsec.scanning.formats.hdf5.walk import Walk
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span

__all__ = ["read"]

_BLANKS = 16


def read(part: Part) -> Iterator[Observation]:
    """Read an HDF5 file.

    Raises:
        NotThisFormat: there is no signature.
        MalformedArtifactError: the superblock is broken, or the file is cut off.
        ResourceLimitError: there is too much of it.
    """
    base = superblock.find(part.source)
    if base is None:
        raise NotThisFormat
    block = superblock.read(part.source, part.budget, base)
    space = block.space
    # Unconditionally: whatever is not understood below is a finding that says so.
    yield Span(base, base + space.size)
    yield from block.oddities()
    yield from _tail(part, base + space.size)
    walk = Walk(part, space)
    walk.visit(block.root, "")
    walk.visit(block.extension, "the superblock extension")
    if block.cached is not None:
        yield from walk.symbol_table(*block.cached)
    yield from walk.run()


def _tail(part: Part, end: int) -> Iterator[Observation]:
    """Claim a few blank bytes at the end: some version control systems append them."""
    length = part.source.size - end
    if 0 < length <= _BLANKS and not part.source.read(end, length).strip(b"\r\n\0"):
        yield Span(end, end + length)
        yield rules.BLANKS.at(end, f"{length} blank bytes after the end", length=length)
