"""How torch names element types, and what safetensors calls them."""

from types import MappingProxyType
from typing import Final

from modelsec.scanning.pickle.values import Global

STORAGE_TYPES: Final = MappingProxyType(
    {
        "DoubleStorage": "F64",
        "FloatStorage": "F32",
        "HalfStorage": "F16",
        "BFloat16Storage": "BF16",
        "LongStorage": "I64",
        "IntStorage": "I32",
        "ShortStorage": "I16",
        "CharStorage": "I8",
        "ByteStorage": "U8",
        "BoolStorage": "BOOL",
        "ComplexFloatStorage": "C64",
    }
)
"""Element types by the class of a typed storage; what is missing has no name in safetensors."""

TYPES: Final = MappingProxyType(
    {
        "float64": "F64",
        "float32": "F32",
        "float16": "F16",
        "bfloat16": "BF16",
        "float8_e4m3fn": "F8_E4M3",
        "float8_e5m2": "F8_E5M2",
        "float8_e4m3fnuz": "F8_E4M3FNUZ",
        "float8_e5m2fnuz": "F8_E5M2FNUZ",
        "float8_e8m0fnu": "F8_E8M0",
        "int64": "I64",
        "int32": "I32",
        "int16": "I16",
        "int8": "I8",
        "uint64": "U64",
        "uint32": "U32",
        "uint16": "U16",
        "uint8": "U8",
        "bool": "BOOL",
        "complex64": "C64",
    }
)
"""Element types by the name that torch gives the dtype."""

_UNTYPED = ("UntypedStorage", "_UntypedStorage")


def is_storage(value: object) -> bool:
    """Whether a global is a storage class of torch, on any device."""
    return (
        isinstance(value, Global)
        and value.module.split(".")[0] == "torch"
        and value.name.endswith("Storage")
    )


def is_untyped(storage: Global) -> bool:
    """Whether a storage class counts bytes instead of elements."""
    return storage.name in _UNTYPED
