"""The exception tree: every error says what, where and what to do, and whose fault it is."""

_PATH = 120
_VALUE = 64
_EVIDENCE = 120


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


class VerificationError(ModelSecError):
    """A model, its signature or its signer is not what it has to be: nothing was accepted."""


class BundleFormatError(VerificationError):
    """A signature bundle breaks the rules of its format, or is too large to be one."""


class UnsupportedBundleError(VerificationError):
    """A signature bundle may be valid, but asks for what this verifier does not do."""


class SignatureMismatchError(VerificationError):
    """The signature does not fit the payload and the key: forged, damaged, or another key."""


class UntrustedSignerError(VerificationError):
    """The signature may be right, but nobody said that this signer is trusted."""


class DigestMismatchError(VerificationError):
    """Files were added, removed or changed since the model was signed.

    Attributes:
        added: names that exist but were not signed.
        missing: names that were signed but do not exist.
        changed: names whose bytes are not those that were signed.
    """

    def __init__(
        self,
        message: str,
        *,
        added: tuple[str, ...] = (),
        missing: tuple[str, ...] = (),
        changed: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.added = added
        self.missing = missing
        self.changed = changed


class UnsafeTreeError(VerificationError):
    """The tree holds what no signature can cover: links, pipes, names that read as another."""


class StaleModelError(VerificationError):
    """Signed by the right signer, but it is another model, an older one, or expired."""


class DecryptionError(VerificationError):
    """The ciphertext, its header, its key or its context is not the one that was encrypted."""


class KeyServiceError(ModelSecError):
    """The service that holds a key did not answer, or refused."""


def shown(value: object, limit: int = _VALUE) -> str:
    """Return a value for a message, without fail: its beginning and its end if it is long.

    Text is shortened inside its quotes, so that what stands there is still recognised as text; a
    SHA-256 in hex is shown whole.

    Args:
        value: anything, however hostile.
        limit: characters to show, besides the quotes.
    """
    try:
        if not isinstance(value, str):
            return _shortened(repr(value), limit)
        text = repr(_shortened(value, limit))
        # What does not print is shown by escapes, which are longer: fewer characters of it, then.
        return text if len(text) <= limit + 2 else repr(_shortened(value, limit // 10))
    except Exception:  # noqa: BLE001 - too deep, too many digits, or a broken __repr__
        return f"this {type(value).__name__}"


def _shortened(text: str, limit: int) -> str:
    tail = limit // 3
    return text if len(text) <= limit else f"{text[: limit - tail - 1]}…{text[-tail:]}"


def shown_path(path: object) -> str:
    """Return a path for a message: its end says more than its beginning."""
    text = str(path)
    return repr(text if len(text) <= _PATH else f"…{text[-_PATH:]}")


def printable(text: str | bytes, limit: int = _EVIDENCE) -> str:
    """Return text that is safe to print anywhere: ASCII, escaped, at most ``limit`` characters."""
    if isinstance(text, bytes):
        text = text[: limit + 1].decode("latin-1")
    shortened = text[: limit + 1]
    escaped = "".join(
        # A report is read in terminals and in web pages: no control, bidi or homograph tricks.
        character
        if " " <= character <= "~"
        else character.encode("unicode_escape").decode()
        if not "\ud800" <= character <= "\udfff"
        else f"\\u{ord(character):04x}"
        for character in shortened
    )
    return escaped if len(escaped) <= limit else escaped[: limit - 3] + "..."
