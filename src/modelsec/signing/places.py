"""Where a model is, and where its signature."""

from pathlib import Path

from modelsec.errors import ConfigurationError, shown_path
from modelsec.files import as_path


def model_path(path: str | Path) -> Path:
    """Return the path of a model.

    Raises:
        ConfigurationError: it is not a path.
    """
    return as_path(path, "model")


def bundle_path(model: Path, signature: str | Path | None) -> Path:
    """Return where a model's bundle is: where the caller says, else ``<model>.sig`` beside it.

    Raises:
        ConfigurationError: the model's path has no name to derive it from.
    """
    if signature is not None:
        given = as_path(signature, "signature")
        if not given.name:
            raise ConfigurationError(
                f"the signature {shown_path(given)} is a folder: name a file, e.g. in it"
            )
        return given
    whole = model if model.name not in {"", ".."} else model.resolve()
    if not whole.name:
        raise ConfigurationError(
            f"{shown_path(model)} has no name: say where its signature is (signature=...)"
        )
    return whole.with_name(f"{whole.name}.sig")
