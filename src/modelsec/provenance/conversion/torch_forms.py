"""The forms that torch gives to tensors, mappings and modules in a pickle."""

from typing import Final

from modelsec.errors import ResourceLimitError, UnsupportedFormatError, printable
from modelsec.provenance.conversion.torch_types import TYPES
from modelsec.scanning.pickle.values import Blob, Call, Container, Global, PersistentId, Value

REBUILD: Final = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
"""The functions that make plain tensors, by version."""

_PARAMETER: Final = ("_rebuild_parameter", "_rebuild_parameter_with_state")
_MODULE_PARTS: Final = ("_parameters", "_buffers", "_modules")
_NOT_PERSISTENT: Final = "_non_persistent_buffers_set"


def wrapped(value: Value, path: tuple[str, ...]) -> list[Value] | None:
    """Return the tensor within a parameter and its attributes, or None if the value is none."""
    match value:
        case Call(callee=Global("torch._utils", name), args=[data, _, hooks, *state]) if (
            name in _PARAMETER
        ):
            if not is_empty(hooks):
                raise UnsupportedFormatError(f"{shown_path(path)}: a parameter with hooks")
            return [data, *state, *value.states]
        case Call(
            callee=Global("torch._tensor", "_rebuild_from_type_v2"),
            args=[Global() as function, Global() as kind, Container(kind="tuple") as args, state],
        ) if str(kind) in {"torch:Tensor", "torch.nn.parameter:Parameter"}:
            return [Call(function, args.items, function), state]
    return None


def is_tensor(value: Call) -> bool:
    """Whether a call makes a plain tensor."""
    match value.callee:
        case Global("torch._utils", name):
            return name in REBUILD
    return False


def rebuilds(value: Call) -> bool:
    """Whether a call makes a tensor of any kind, with or without a storage."""
    match value.callee:
        case Global("torch._utils" | "torch._tensor", name):
            return name.startswith("_rebuild")
    return False


def pairs(value: Value, path: tuple[str, ...]) -> list[tuple[Value, Value]] | None:
    """Return the entries of a mapping, or None if the value is none."""
    if isinstance(value, Container) and value.kind == "dict":
        if value.hidden:
            raise ResourceLimitError(f"{shown_path(path)} has more entries than limits.kept_values")
        return _last(value.items)
    match value:
        case Call(callee=Global("collections", "OrderedDict" | "defaultdict" as name), args=args):
            initial = _given(args[1:] if name == "defaultdict" else args)
            if initial is None or value.hidden:
                return None
            return _last([*initial, *value.items])
    return None


def _given(arguments: list[Value]) -> list[Value] | None:
    """Return the keys and values that a constructor was given, as Python 2 writes them."""
    items: list[Value] = []
    for argument in arguments:
        if not isinstance(argument, Container) or argument.hidden:
            return None
        if argument.kind == "dict":
            items += argument.items
            continue
        for pair in argument.items:
            if not isinstance(pair, Container) or len(pair.items) != 2:  # noqa: PLR2004 - key, value
                return None
            items += pair.items
    return items


def _last(items: list[Value]) -> list[tuple[Value, Value]]:
    """Return pairs of keys and values; where a text key occurs twice, the last one counts."""
    texts: dict[str, tuple[Value, Value]] = {}
    others: list[tuple[Value, Value]] = []
    for key, value in zip(items[::2], items[1::2], strict=True):
        if isinstance(key, str):
            texts[key] = key, value
        else:
            others.append((key, value))
    return [*texts.values(), *others]


def key_text(key: Value, path: tuple[str, ...]) -> str:
    """Return what a key adds to a name; numbers are as good as text, nothing else is."""
    if isinstance(key, str):
        return key
    if type(key) is int:
        return str(key)
    raise UnsupportedFormatError(f"{shown_path(path)} has a key that is neither text nor a number")


def module_parts(value: Value) -> list[Value] | None:
    """Return the mappings of a module that hold its tensors, or None if the value is none."""
    if not isinstance(value, Call) or len(value.states) != 1:
        return None
    state = value.states[0]
    if not isinstance(state, Container) or not is_dict(state):
        return None
    attributes = {key: item for key, item in state.pairs() if isinstance(key, str)}
    if not all(part in attributes for part in _MODULE_PARTS):
        return None
    passing = attributes.get(_NOT_PERSISTENT)
    if passing is not None and not (isinstance(passing, Container) and not passing.items):
        buffers = attributes["_buffers"]
        hidden = set(_texts(passing))
        entries = pairs(buffers, ()) or []
        kept = [item for pair in entries if pair[0] not in hidden for item in pair]
        attributes["_buffers"] = Container("dict", kept)
    return [attributes[part] for part in _MODULE_PARTS]


def _texts(value: Value) -> list[str]:
    """Return the texts in a set, which protocol 2 writes as a call with a list."""
    items: list[Value] = []
    if isinstance(value, Container):
        items = value.items
    elif isinstance(value, Call) and len(value.args) == 1 and isinstance(value.args[0], Container):
        items = value.args[0].items
    return [item for item in items if isinstance(item, str)]


def is_dict(value: Value) -> bool:
    """Whether a value is a builtin dict of which everything is known."""
    return isinstance(value, Container) and value.kind == "dict" and not value.hidden


def is_empty(value: Value) -> bool:
    """Whether a value is None, an empty container or an untouched new object."""
    if isinstance(value, Container):
        return not value.items and not value.hidden
    if isinstance(value, Call):
        return not (value.items or value.hidden or value.states) and all(
            is_empty(item) for item in value.args
        )
    return value is None


def named_type(value: Value) -> str:
    """Return safetensors' name of an element type that torch names."""
    if isinstance(value, Global) and value.module == "torch" and value.name in TYPES:
        return TYPES[value.name]
    raise UnsupportedFormatError(f"elements of {kind_of(value)}, which safetensors cannot hold")


def sizes(value: Value) -> tuple[int, ...]:
    """Return a shape or strides; ``torch.Size`` stands around the tuple in some files."""
    match value:
        case Call(callee=Global("torch", "Size"), args=[Container() as inner]):
            value = inner
    if isinstance(value, Container) and value.kind in {"tuple", "list"} and not value.hidden:
        found = tuple(item for item in value.items if type(item) is int)
        if len(found) == len(value.items):
            return found
    raise UnsupportedFormatError("a tensor whose shape is not one")


def kind_of(value: Value) -> str:
    """Return what a value is, for people."""
    if isinstance(value, Call):
        return printable(str(value.produces)) if value.produces else "an object"
    if isinstance(value, Container | Blob):
        return value.kind
    if isinstance(value, Global):
        return printable(str(value))
    if isinstance(value, PersistentId):
        return "a bare storage"
    return type(value).__name__


def shown_path(path: tuple[str, ...]) -> str:
    """Return a name for a message."""
    return f"'{printable('.'.join(path))}'" if path else "the object"
