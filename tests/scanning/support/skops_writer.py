"""Writes skops files node by node, and zips of named members."""

import io
import json
import zipfile
from collections.abc import Mapping


def node(loader: str, name: str, **more: object) -> dict[str, object]:
    """A node; ``name`` is ``module:class``."""
    module, _, class_ = name.rpartition(":")
    return {"__class__": class_, "__module__": module, "__loader__": loader, **more}


def json_node(value: object) -> dict[str, object]:
    return node("JsonNode", "builtins:str", content=json.dumps(value), is_json=True)


def tuple_node(*items: object) -> dict[str, object]:
    return node("TupleNode", "builtins:tuple", content=list(items))


def dict_node(**items: object) -> dict[str, object]:
    keys = [node("TypeNode", "builtins:str") for _ in items]
    key_types = node("ListNode", "builtins:list", content=keys)
    return node("DictNode", "builtins:dict", content=items, key_types=key_types)


def zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def skops_file(
    root: dict[str, object], *, protocol: object = 2, members: Mapping[str, bytes] | None = None
) -> bytes:
    schema = {**root, "protocol": protocol, "_skops_version": "0.14"}
    return zipped({**(members or {}), "schema.json": json.dumps(schema).encode()})
