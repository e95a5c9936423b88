"""Public names of a package, resolved on first use (PEP 562)."""

from collections.abc import Callable, Mapping
from importlib import import_module


def resolver(
    package: str, homes: Mapping[str, str], namespace: dict[str, object]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and the ``__dir__`` of a package.

    Args:
        package: its name.
        homes: for each public name the module that defines it, absolute.
        namespace: the package's globals, in which names are kept once they are resolved.
    """

    def resolve(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(homes[name]), name)
        namespace[name] = value
        return value

    def names() -> list[str]:
        return sorted({*namespace, *homes})

    return resolve, names
