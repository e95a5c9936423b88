"""Options that were given and cannot be honoured are refused: none is ever ignored."""

from argparse import Namespace
from collections.abc import Iterable

from modelsec.errors import ConfigurationError


def given(options: Namespace, names: Iterable[str]) -> list[str]:
    """Return those of the named options that were given, as they are typed.

    Args:
        options: parsed; what was not given is None, False or an empty list.
        names: of members of ``options``.
    """
    values = ((name, getattr(options, name)) for name in names)
    return [
        f"--{name.replace('_', '-')}"
        for name, value in values
        if not (value is None or value is False or value == [])
    ]


def refuse(options: Namespace, names: Iterable[str], reason: str) -> None:
    """Refuse the named options if one was given.

    Args:
        options: as for ``given``.
        names: as for ``given``.
        reason: why, as the rest of a sentence that begins with the options.

    Raises:
        ConfigurationError: one was.
    """
    if found := given(options, names):
        raise ConfigurationError(f"{', '.join(found)}: {reason}")
