"""What a file may do: operations on named things, per library, with the reasons.

A policy is data: the shipped layers are the TOML files in ``policies/``, a user adds layers of
their own. It never speaks about a name alone: ``numpy:dtype`` may be imported and called, which
says nothing about building it or about ``numpy:load``.
"""

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from modelsec.errors import ConfigurationError, shown

OPERATIONS = frozenset({"import", "call", "build", "items", "attribute", "operator", "layer"})
"""What a policy can permit. The first five are a pickle's (and a skops node's); ``operator`` is a
graph's (ONNX, TensorFlow), ``layer`` a Keras object's."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one layer permits on one thing.

    Attributes:
        layer: the policy layer that says so.
        operations: the permitted ones, of ``OPERATIONS``.
        arguments: name of the rule that a call's arguments have to pass; "" for any arguments
            that are data.
    """

    layer: str
    operations: frozenset[str]
    arguments: str = ""


class Policy:
    """Layers of allowances.

    A layer is parsed when something is asked that it mentions: most files ask about nothing, or
    about one library.

    Attributes:
        layers: names of the layers, in order.
        digest: SHA-256 (hex) over the layers' content, for reports and pins.
    """

    __slots__ = ("_parsed", "_sources", "_tables", "digest", "layers")

    def __init__(self, sources: Iterable[tuple[str, bytes]]) -> None:
        self._sources = tuple(sources)
        self._parsed: dict[int, dict[tuple[str, str], Allowance]] = {}
        self._tables: dict[str, dict[tuple[str, str], Allowance]] = {}
        self.layers = tuple(Path(where).name.removesuffix(".toml") for where, _ in self._sources)
        digest = hashlib.sha256()
        for _, content in self._sources:
            digest.update(hashlib.sha256(content).digest())
        self.digest = digest.hexdigest()

    def __repr__(self) -> str:
        """Return the layers' names."""
        return f"Policy{self.layers}"

    def allowance(self, module: str, name: str) -> Allowance | None:
        """Return what is permitted on ``module:name``, or None."""
        package = module.partition(".")[0]
        table = self._tables.get(package)
        if table is None:
            table = self._compose(package)
            if table:  # hostile files ask about any number of packages
                self._tables[package] = table
        return table.get((module, name))

    def permits(self, operation: str, module: str, name: str) -> Allowance | None:
        """Return the allowance for one operation on ``module:name``, or None."""
        found = self.allowance(module, name)
        return found if found is not None and operation in found.operations else None

    @classmethod
    def load(cls, *layers: str | Path) -> "Policy":
        """Compose a policy of shipped layers (by name) and files (by path).

        Args:
            layers: e.g. ``"core", "numpy", Path("ours.toml")``; none means all shipped layers.

        Raises:
            ConfigurationError: there is no such layer, or it is not a policy.
        """
        policy = cls(_source(layer) for layer in layers or shipped_layers())
        shipped = shipped_layers()
        for index, (where, _) in enumerate(policy._sources):
            if where not in shipped:
                policy._layer(index)  # a user's own layer is checked now, not when it is needed
        return policy

    def _compose(self, package: str) -> dict[tuple[str, str], Allowance]:
        """Return the allowances of the layers that mention a package, later layers last."""
        mention = f'"{package}'.encode()
        table: dict[tuple[str, str], Allowance] = {}
        for index, (_, content) in enumerate(self._sources):
            # An escape could spell the package differently; shipped layers have none.
            if mention not in content and b"\\" not in content:
                continue
            for key, allowance in self._layer(index).items():
                held = table.get(key)
                if held is not None and held.arguments == allowance.arguments:
                    operations = held.operations | allowance.operations
                    table[key] = Allowance(held.layer, operations, held.arguments)
                else:
                    # A later layer replaces: whoever names a thing anew has looked at it anew.
                    table[key] = allowance
        return table

    def _layer(self, index: int) -> dict[tuple[str, str], Allowance]:
        if index not in self._parsed:
            where, content = self._sources[index]
            self._parsed[index] = parse_layer(content, where)[1]
        return self._parsed[index]


@cache
def default_policy() -> Policy:
    """Return the policy of all shipped layers."""
    return Policy.load()


def shipped_layers() -> list[str]:
    """Return the names of the layers that come with the library."""
    found = files("modelsec.scanning.policies").iterdir()
    return sorted(item.name.removesuffix(".toml") for item in found if item.name.endswith(".toml"))


def _source(layer: str | Path) -> tuple[str, bytes]:
    if isinstance(layer, Path) or (isinstance(layer, str) and layer.endswith(".toml")):
        try:
            return str(layer), Path(layer).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"cannot read policy {layer}: {error.strerror}") from error
    if layer not in shipped_layers():
        raise ConfigurationError(
            f"no policy layer {shown(layer)}; there is: {', '.join(shipped_layers())}; "
            "a file needs the ending .toml"
        )
    resource = files("modelsec.scanning.policies") / f"{layer}.toml"
    return layer, resource.read_bytes()


def parse_layer(content: bytes, where: str) -> tuple[str, dict[tuple[str, str], Allowance]]:
    """Return a layer's name and allowances.

    Raises:
        ConfigurationError: it is not valid TOML or not of a layer's form.
    """
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"policy {where} is not valid TOML: {error}") from error
    layer = document.get("layer")
    if not isinstance(layer, str) or not layer:
        raise ConfigurationError(f'policy {where} needs: layer = "its name"')
    entries = document.get("allow", [])
    if not isinstance(entries, list):
        raise ConfigurationError(f"policy {where}: allow must be [[allow]] tables")
    table: dict[tuple[str, str], Allowance] = {}
    for number, entry in enumerate(entries, 1):
        place = f"policy {where}, [[allow]] number {number}"
        for key in _names(entry, place):
            table[key] = Allowance(
                layer, _operations(entry, place), _text(entry, "arguments", place)
            )
    return layer, table


def _names(entry: object, place: str) -> list[tuple[str, str]]:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{place} must be a table")
    unknown = entry.keys() - {"module", "modules", "names", "operations", "arguments", "because"}
    if unknown:
        raise ConfigurationError(f"{place} has unknown keys: {', '.join(sorted(unknown))}")
    if not _text(entry, "because", place):
        raise ConfigurationError(f'{place} needs a reason: because = "..."')
    modules = entry.get("modules", [entry.get("module")])
    names = entry.get("names")
    for values, what in ((modules, "module or modules"), (names, "names")):
        if (
            not isinstance(values, list)
            or not values
            or not all(isinstance(v, str) and v for v in values)
        ):
            raise ConfigurationError(f"{place} needs {what}: non-empty strings")
    return [(module, name) for module in modules for name in names or ()]


def _operations(entry: dict[str, object], place: str) -> frozenset[str]:
    operations = entry.get("operations")
    named = operations if isinstance(operations, list) else []
    if not named or not all(isinstance(one, str) and one in OPERATIONS for one in named):
        raise ConfigurationError(
            f"{place} needs operations, some of: {', '.join(sorted(OPERATIONS))}"
        )
    return frozenset(named)


def _text(entry: dict[str, object], key: str, place: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str):
        raise ConfigurationError(f"{place}: {key} must be a string")
    return value
