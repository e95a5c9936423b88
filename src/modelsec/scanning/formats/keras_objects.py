"""Judges the objects of a Keras configuration, one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from modelsec.scanning.finding import Finding, Rule
from modelsec.scanning.formats import keras_names, keras_rules
from modelsec.scanning.part import Permitted
from modelsec.scanning.policy import Policy

Json: TypeAlias = dict[str, object]

_DATA = frozenset(
    {
        "__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__",
    }
)  # fmt: skip
_OLD_DATA = frozenset({"__tuple__", "CompositeTensor", "TensorShape"})
"""Data in configurations of older versions, which name no modules."""
_GRAPH_LAYERS = frozenset(
    {"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"}
)
_LOADING = {
    "TorchModuleWrapper": keras_rules.TORCH_MODULE,
    "TFSMLayer": keras_rules.SAVED_MODEL,
}
_LAMBDA_PARTS = ("function", "output_shape", "mask")
_LAMBDA_KINDS = ("function_type", "output_shape_type", "mask_type")
_LAMBDA_MODULES = (None, "keras.layers")
_CODE_PIECES = 3  # code, defaults, closure

Judged: TypeAlias = Iterator[Finding | Permitted]


@dataclass(frozen=True, slots=True)
class Judge:
    """What a policy says about objects.

    Attributes:
        policy: what is permitted.
        origin: of the configuration, for messages.
    """

    policy: Policy
    origin: str

    def judge(self, value: Json, place: str) -> Judged:
        """Yield what one object (a dictionary with ``class_name``) can do."""
        name = value["class_name"]
        if not isinstance(name, str):
            yield self._at(keras_rules.ODD, place, "names a class by something that is no text")
            return
        last = name.rpartition(">")[2]
        if name == "__lambda__":
            yield self._at(keras_rules.LAMBDA, place, "holds Python bytecode", "__lambda__")
        elif name in _DATA or (name in _OLD_DATA and "module" not in value):
            return
        elif name == "function":
            yield from self._function(value, place)
        elif name == "__typespec__":
            yield from self._type_spec(value, value.get("spec_name"), place)
        elif name == "TypeSpec" and "module" not in value:
            yield from self._listed(keras_names.TYPE_SPEC, value.get("type_spec"), place)
        elif last == "Lambda":
            yield from self._lambda(value, name, place)
        elif last in _LOADING:
            yield self._at(_LOADING[last], place, f"is a {last}", last)
        elif last in _GRAPH_LAYERS:
            yield from self._class(value, name, place)
            yield from self._graph_function(_config(value).get("function"), place)
        else:
            yield from self._class(value, name, place)

    def _at(self, rule: Rule, place: str, what: str, subject: str = "") -> Finding:
        origin = f"{self.origin}: " if self.origin else ""
        return rule.at(None, f"{origin}{place} {what}", operation="layer", subject=subject)

    def _permitted(self, module: str, name: str) -> Permitted | None:
        """Return the permission for a name, by its own module or by its family."""
        for known in (module, keras_names.family(module)):
            allowance = self.policy.permits("layer", known, name)
            if allowance is not None:
                return Permitted(allowance.layer, "layer", f"{known}:{name}")
        return None

    def _class(self, value: Json, name: str, place: str) -> Judged:
        module, registered = value.get("module"), value.get("registered_name")
        if not isinstance(module, str | None) or not isinstance(registered, str | None):
            yield self._at(keras_rules.ODD, place, "names its module by something that is no text")
            return
        if registered and registered != name:
            # A registered object wins over the module, whatever the module says.
            yield from self._named(keras_names.BY_NAME, registered, place)
            if module is None:
                return
        yield from self._named(module or keras_names.BY_NAME, name, place)

    def _named(self, module: str, name: str, place: str) -> Judged:
        permitted = self._permitted(module, name)
        yield permitted if permitted is not None else self._refused(module, name, place)

    def _refused(self, module: str, name: str, place: str) -> Finding:
        """Say how bad an object outside the policy is."""
        family = keras_names.family(module)
        shown = name if module == keras_names.BY_NAME else f"{module}:{name}"
        if family == "keras" or family.startswith("keras."):
            if keras_names.acts(family, name):
                return self._at(keras_rules.GADGET, place, f"names {shown}", shown)
        elif keras_names.is_foreign_capability(module, name):
            return self._at(keras_rules.MODULE, place, f"names {shown}", shown)
        return self._at(keras_rules.CUSTOM, place, f"names {shown}", shown)

    def _function(self, value: Json, place: str) -> Judged:
        name, module = value.get("config"), value.get("module")
        registered = value.get("registered_name")
        if not isinstance(name, str) or not isinstance(module, str | None):
            yield self._at(keras_rules.ODD, place, "names a function by something that is no text")
            return
        if isinstance(registered, str) and registered not in {"", "function", name}:
            yield from self._named(module or "builtins", registered, place)
        found = self._builtin(name) if module in {None, "builtins"} else None
        if found is not None:
            yield found
        else:
            yield from self._named(module or "builtins", name, place)

    def _builtin(self, name: str) -> Permitted | None:
        found = (self._permitted(family, name) for family in keras_names.BUILTIN_FAMILIES)
        return next((permitted for permitted in found if permitted is not None), None)

    def _lambda(self, value: Json, name: str, place: str) -> Judged:
        """Judge a Lambda: bytecode, a function by name, or a function that is permitted."""
        config = _config(value)
        own = (value.get("module"), value.get("registered_name"))
        if name != "Lambda" or own[0] not in _LAMBDA_MODULES or own[1] not in (None, name):
            yield from self._class(value, name, place)
        pieces = [config.get(part) for part in _LAMBDA_PARTS]
        kinds = [config.get(kind) for kind in _LAMBDA_KINDS]
        code = any(_is_code(piece) for piece in pieces[:1]) or "lambda" in kinds
        if code or any(_is_bytecode(piece) for piece in pieces):
            yield self._at(keras_rules.LAMBDA, place, "is a Lambda that holds bytecode", "Lambda")
            return
        function, module = config.get("function"), config.get("module")
        if isinstance(function, dict) and function.get("class_name") == "function":
            # The function is an object of its own further down, and judged there.
            called, where = function.get("config"), function.get("module")
        else:
            called, where = function, module
        if not isinstance(called, str) or not isinstance(where, str | None):
            yield self._at(keras_rules.LAMBDA, place, "is a Lambda without a readable function")
            return
        known = self._permitted(where, called) if where else None
        if where in {None, "builtins"}:
            known = self._builtin(called)
        if known is not None and module in (None, "builtins", where):
            yield known
            return
        homes = [home for home in (where, module) if isinstance(home, str)]
        foreign = any(keras_names.is_foreign_capability(home, called) for home in homes)
        rule = keras_rules.MODULE if foreign else keras_rules.LAMBDA_NAME
        yield self._at(rule, place, f"is a Lambda that calls {called}", called)

    def _graph_function(self, function: object, place: str) -> Judged:
        if isinstance(function, str) and not self.policy.permits(
            "layer", keras_names.FUNCTION, function
        ):
            acts = keras_names.is_graph_capability(function)
            rule = keras_rules.GRAPH_FUNCTION if acts else keras_rules.CUSTOM
            yield self._at(rule, place, f"calls tf.{function}", function)
        elif not isinstance(function, str):
            yield self._at(keras_rules.ODD, place, "calls something that is no name")

    def _type_spec(self, value: Json, name: object, place: str) -> Judged:
        module = value.get("module")
        if isinstance(module, str) and not module.startswith(("tensorflow.", "keras.")):
            yield from self._named(module, str(name), place)
        else:
            yield from self._listed(keras_names.TYPE_SPEC, name, place)

    def _listed(self, family: str, name: object, place: str) -> Judged:
        yield from self._named(family, name if isinstance(name, str) else "", place)


def _config(value: Json) -> Json:
    config = value.get("config")
    return config if isinstance(config, dict) else {}


def _is_code(piece: object) -> bool:
    """Whether a Lambda's function is Keras 2 bytecode: a list of code, defaults and closure."""
    return isinstance(piece, list) and len(piece) == _CODE_PIECES


def _is_bytecode(piece: object) -> bool:
    if isinstance(piece, dict) and piece.get("class_name") == "__lambda__":
        return True
    return _is_code(piece) and isinstance(piece, list) and isinstance(piece[0], str)
