"""The files of ``modelsec card``: what is read, and where a card may be written."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from modelsec.errors import BundleFormatError, ConfigurationError, shown_path
from modelsec.files import regular_file

_CARD = 16 << 20
_TOML = 1 << 20
_DOTS = 200  # in a line: tomllib takes time quadratic in those of a key, and a key is one line


def information(path: str) -> Mapping[str, object]:
    """Return what a maker says, from TOML or JSON.

    Raises:
        ConfigurationError: it is neither, or too large.
    """
    if path.endswith(".json"):
        from modelsec.signing.bundles.strict_json import loads  # noqa: PLC0415 - only for JSON

        try:
            read = loads(content(path, _CARD), limit=_CARD)
        except BundleFormatError as error:
            raise ConfigurationError(f"{shown_path(path)} is no strict JSON: {error}") from error
        if not isinstance(read, Mapping):
            raise ConfigurationError(f"{shown_path(path)} holds no JSON object")
        return read
    if path.endswith(".toml"):
        return _toml(path)
    raise ConfigurationError(f"{shown_path(path)} must end in .toml or .json")


def _toml(path: str) -> Mapping[str, object]:
    raw = content(path, _TOML)
    if any(line.count(b".") > _DOTS for line in raw.splitlines()):
        raise ConfigurationError(f"{shown_path(path)} has a line with more than {_DOTS} dots")
    try:
        return tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{shown_path(path)} is no TOML: {error}") from error


def content(path: str, limit: int = _CARD) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        ConfigurationError: it cannot be opened, or is too large.
    """
    with regular_file(path) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        read = file.read(limit + 1)
    if len(read) > limit:
        raise ConfigurationError(f"{shown_path(path)} is too large: at most {limit:,} bytes are")
    return read


def check_target(output: str | None, model: str | None) -> None:
    """Refuse to write a card into its model.

    Raises:
        ConfigurationError: the file would lie inside the model's folder, or be the model.
    """
    if output is None or model is None:
        return
    try:
        target = Path(output).parent.resolve() / Path(output).name
        folder = Path(model).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(f"cannot write {shown_path(output)}: {error}") from error
    if target.is_relative_to(folder):
        raise ConfigurationError(
            f"{shown_path(output)} is inside the model: write the card beside the model, or before "
            "signing. A file in its folder changes the tree digest, and so makes another model"
        )


def check_unused(target: str, *, replace: bool) -> None:
    """Refuse to overwrite somebody's decision.

    Raises:
        ConfigurationError: there is one already.
    """
    if os.path.lexists(target) and not replace:
        raise ConfigurationError(
            f"{shown_path(target)} exists: it may be another's decision. Name another file with "
            "--output, or say --replace"
        )
