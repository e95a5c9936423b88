"""The exception tree: every error says what, where and what to do, and whose fault it is."""


class ModelSecError(Exception):
    """Root of every exception that modelsec raises on purpose."""


class ConfigurationError(ModelSecError):
    """The caller asked for something that cannot be: fix the call, the policy or the file."""


class StoreError(ModelSecError):
    """The store did not answer, answered too late, or holds a value that is not ours."""


class ScorerError(ModelSecError):
    """A signal scorer raised or returned something that is not a score."""


class PluginError(ModelSecError):
    """An entry point could not be found, told apart from another, or loaded."""


class ArtifactError(ModelSecError):
    """A model file is not what it has to be."""


class MalformedArtifactError(ArtifactError):
    """The bytes break the rules of their format: cut off, inconsistent, or never valid."""


class UnsupportedFormatError(ArtifactError):
    """The bytes may be valid, but this reader does not understand them."""


class ResourceLimitError(ArtifactError):
    """Reading on would cost more than the limits allow."""


class UnsafeArtifactError(ArtifactError):
    """The artifact was understood and is not safe to load."""


def shown(value: object) -> str:
    """Return a value for a message: short, and without fail."""
    try:
        return f"{value!r:.60}"
    except Exception:  # noqa: BLE001 - too deep, too many digits, or a broken __repr__
        return f"this {type(value).__name__}"
