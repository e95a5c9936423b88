"""Paths to leave out, as people and scripts type them."""

import os
from collections.abc import Sequence
from pathlib import Path

from modelsec.errors import ConfigurationError, shown


def relative_paths(model: str, paths: Sequence[str]) -> tuple[str, ...]:
    """Return paths relative to the model, with ``/``; absolute ones must lie inside it.

    Raises:
        ConfigurationError: an absolute path is not inside the model.
    """
    root = Path(os.path.abspath(model))  # noqa: PTH100 - resolve() would follow links
    relative = []
    for path in paths:
        if not Path(path).is_absolute():
            relative.append(path)
            continue
        whole = Path(os.path.abspath(path))  # noqa: PTH100 - idem
        if not whole.is_relative_to(root):
            raise ConfigurationError(
                f"cannot leave out {shown(path)}: it is not inside {shown(model)}"
            )
        relative.append(whole.relative_to(root).as_posix())
    return tuple(relative)
