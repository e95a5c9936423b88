"""Signature bundles inside a model: the only files that its digest does not cover."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from modelsec.errors import BundleFormatError, ConfigurationError, VerificationError, shown_path
from modelsec.signing.bundles.bundle import parse_bundle, read_bundle


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A bundle inside the model's folder.

    Attributes:
        name: relative to the folder.
        sha256: of its bytes, hex.
    """

    name: str
    sha256: str

    def to_dict(self) -> dict[str, object]:
        """Return the file as JSON-ready values."""
        return {"name": self.name, "sha256": self.sha256}


def left_out(folder: Path, bundles: tuple[Path, ...]) -> tuple[LeftOut, ...]:
    """Return the bundles that lie inside a folder, by name; each must be a bundle.

    Whatever may be left out by its name alone is where a pickle would hide. A bundle is strict
    JSON with a signature in it, which no loader takes for weights or code.

    Raises:
        BundleFormatError: a file inside the folder is none.
        ConfigurationError: it cannot be read.
    """
    found: dict[str, LeftOut] = {}
    for bundle in bundles:
        name = _within(folder, bundle)
        if name is not None:
            found[name] = LeftOut(name, _digest(bundle))
    return tuple(found[name] for name in sorted(found))


def _within(folder: Path, bundle: Path) -> str | None:
    try:
        # Of a link its own place, not that of its target: that may be a file of the model.
        place = bundle.parent.resolve(strict=True) / bundle.name
        if not bundle.is_file() or bundle.is_symlink():
            return None  # The strict walk of the folder refuses what is no plain file.
        root = folder.resolve(strict=True)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(f"cannot open {shown_path(bundle)}: {error}") from error
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else None


def _digest(bundle: Path) -> str:
    try:
        content = read_bundle(bundle)
        parse_bundle(content)
    except VerificationError as error:
        raise BundleFormatError(
            f"{shown_path(bundle)} is no signature bundle, so it is a part of the model and cannot "
            f"be left out: {error}"
        ) from error
    return hashlib.sha256(content).hexdigest()
