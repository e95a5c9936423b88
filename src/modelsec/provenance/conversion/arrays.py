"""Tensors of numpy's files."""

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError, printable
from modelsec.provenance.conversion.tensors import Storage, StoredTensor, contiguous_strides
from modelsec.provenance.conversion.transfer import Range
from modelsec.scanning.formats.dtype import ArrayType
from modelsec.scanning.formats.npy import read_header
from modelsec.scanning.part import NotThisFormat
from modelsec.scanning.source import DescriptorSource, Slice

ONLY_ARRAY = "array"
"""Name of the tensor of an ``.npy`` file, which has none."""

_TYPES = {
    "b1": "BOOL", "i1": "I8", "i2": "I16", "i4": "I32", "i8": "I64", "u1": "U8", "u2": "U16",
    "u4": "U32", "u8": "U64", "f2": "F16", "f4": "F32", "f8": "F64", "c8": "C64",
}  # fmt: skip


def read_npy(file: Range, name: str = ONLY_ARRAY) -> StoredTensor:
    """Return the array of an npy file, or of a member of an npz file.

    Args:
        file: all of its bytes.
        name: for the tensor.

    Raises:
        UnsupportedFormatError: safetensors has no such elements, or there are several arrays.
        MalformedArtifactError: the array is not one, or not whole.
    """
    try:
        header = read_header(Slice(DescriptorSource(file.descriptor), file.start, file.size))
    except NotThisFormat:
        raise MalformedArtifactError(f"'{printable(name)}' is not an array") from None
    dtype = _dtype(header.type, name)
    start, size = file.start + header.start, file.size - header.start
    if size > header.extent:
        raise UnsupportedFormatError(f"'{printable(name)}': several arrays in one file")
    return StoredTensor(
        name=name,
        dtype=dtype,
        shape=header.shape,
        strides=contiguous_strides(header.shape, fortran=header.fortran_order),
        storage=Storage(Range(file.descriptor, start, size), name),
        swapped=header.type.order == ">",
    )


def _dtype(type_: ArrayType, name: str) -> str:
    found = _TYPES.get(type_.typestr[1:]) if type_.is_plain else None
    if found is None:
        shown = type_.typestr if type_.is_plain else "structured or object"
        raise UnsupportedFormatError(
            f"'{printable(name)}': {shown} elements, which safetensors cannot hold"
        )
    return found
