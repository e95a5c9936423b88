"""What a file holds, whichever of the known forms it has."""

import time
from contextlib import ExitStack

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError, printable
from modelsec.provenance.conversion.arrays import read_npy
from modelsec.provenance.conversion.state_dict import Contents, walk
from modelsec.provenance.conversion.tensors import Storage
from modelsec.provenance.conversion.transfer import Range
from modelsec.provenance.conversion.unpickled import unpickled
from modelsec.provenance.conversion.zipped import Zip
from modelsec.scanning import Limits, Policy
from modelsec.scanning.formats.torch_legacy import is_magic
from modelsec.scanning.limits import Budget
from modelsec.scanning.part import Part
from modelsec.scanning.pickle.values import Container
from modelsec.scanning.policy import default_policy
from modelsec.scanning.source import DescriptorSource

_NPY = b"\x93NUMPY"
_ZIP = (b"PK\3\4", b"PK\5\6")
_PICKLE = "data.pkl"
_ORDER = "byteorder"
_SCRIPT = "constants.pkl"


def read_contents(
    descriptor: int, size: int, limits: Limits, policy: Policy | None, resources: ExitStack
) -> Contents:
    """Return the tensors of a file that was scanned and found safe.

    Args:
        descriptor: of the open file.
        size: of the file, in bytes.
        limits: what reading may cost.
        policy: that of the scan.
        resources: what is opened here is closed with it.

    Raises:
        ArtifactError: the file is of no form that can be converted, or a tensor is not.
    """
    source = DescriptorSource(descriptor)
    budget = Budget(limits, time.thread_time)
    start = source.read(0, min(6, size))
    if start == _NPY:
        return Contents(tensors=[read_npy(Range(descriptor, 0, size))])
    if start.startswith(_ZIP):
        part = Part(source=source, name="", policy=policy or default_policy(), budget=budget)
        return _read_zip(Zip(descriptor, part, resources), budget)
    if start[:1] == b"\x80":
        return _read_legacy(descriptor, source, budget)
    raise UnsupportedFormatError("neither a torch checkpoint nor arrays of numpy")


def _read_zip(archive: Zip, budget: Budget) -> Contents:
    folder = archive.names[0].partition("/")[0] + "/" if archive.names else ""
    if folder + _PICKLE in archive.names:
        return _read_torch(archive, folder, budget)
    arrays = [name for name in archive.names if name.endswith(".npy")]
    if not arrays or len(arrays) != len(archive.names):
        raise UnsupportedFormatError("the archive is neither a torch checkpoint nor an npz")
    contents = Contents()
    for name in arrays:
        contents.tensors.append(read_npy(archive.range(name), name.removesuffix(".npy")))
    return contents


def _read_torch(archive: Zip, folder: str, budget: Budget) -> Contents:
    if folder + _SCRIPT in archive.names:
        raise UnsupportedFormatError("TorchScript: save the state dict of the module instead")
    swapped = False
    if folder + _ORDER in archive.names:
        source = archive.source(folder + _ORDER)
        order = source.read(0, min(source.size, 20))
        if order not in {b"little", b"big"}:
            raise MalformedArtifactError(f"an unknown byte order: {printable(order)}")
        swapped = order == b"big"
    root = unpickled(archive.source(folder + _PICKLE), 0, budget).value
    known: dict[str, Storage] = {}

    def find(key: str) -> Storage:
        if key not in known:
            known[key] = Storage(archive.range(f"{folder}data/{key}"), key)
        return known[key]

    return walk(root, find, budget, swapped=swapped)


def _read_legacy(descriptor: int, source: DescriptorSource, budget: Budget) -> Contents:
    magic = unpickled(source, 0, budget)
    if not is_magic(magic.value):
        raise UnsupportedFormatError("a pickle without storages: there are no tensors to convert")
    pickles = [magic]
    for _ in range(4):  # protocol, byte order, the object, the keys of its storages
        pickles.append(unpickled(source, pickles[-1].stop, budget))
    root, keys, position = pickles[3], pickles[4].value, pickles[4].stop
    if not isinstance(keys, Container):
        raise MalformedArtifactError("the list of storage keys is no list")
    known: dict[str, Storage] = {}
    for key in map(str, keys.items):
        declared = root.storages.get(key)
        count = int.from_bytes(source.read(position, 8), "little", signed=True)
        if declared is None or count != declared.elements:
            raise MalformedArtifactError(f"storage {printable(key)} is not as it was declared")
        known[key] = Storage(Range(descriptor, position + 8, declared.size), key)
        position += 8 + declared.size
    if position > source.size:
        raise MalformedArtifactError("the storages are cut off")

    def find(key: str) -> Storage:
        if key not in known:
            raise MalformedArtifactError(f"the file has no storage {printable(key)}")
        return known[key]

    return walk(root.value, find, budget)
