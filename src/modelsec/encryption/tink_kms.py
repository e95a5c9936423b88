"""Wrap data keys with any KMS that Tink has a client for."""

from typing import Protocol

from modelsec.encryption.wrapped_key import (
    MAX_BLOB_BYTES,
    check_blob,
    check_context,
    check_key,
    unwrapped,
)
from modelsec.errors import ConfigurationError, DecryptionError, KeyServiceError, shown

_MAX_URI = 2_048


class Aead(Protocol):
    """Tink's authenticated encryption with associated data."""

    def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
        """Encrypt and authenticate."""
        ...

    def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
        """Authenticate and decrypt."""
        ...


class KmsClient(Protocol):
    """Tink's ``KmsClient``, as those for Google Cloud, AWS and Vault are."""

    def does_support(self, key_uri: str) -> bool:
        """Return whether the client knows the key."""
        ...

    def get_aead(self, key_uri: str) -> Aead:
        """Return the key's authenticated encryption."""
        ...


class TinkKmsWrapper:
    """Wrap data keys with a Tink KMS client, e.g. that for ``gcp-kms://``.

    Tink itself is not imported. A client of Tink says only that decryption failed, not why: what
    is not plainly a broken connection is a ``DecryptionError``.

    Args:
        client: the client.
        uri: the wrapping key, e.g. ``gcp-kms://projects/...``.

    Raises:
        ConfigurationError: the URI is none, or not one of this client.
        KeyServiceError: the client failed to give access to the key.
    """

    __slots__ = ("_aead", "_uri")

    def __init__(self, client: KmsClient, uri: str) -> None:
        named = isinstance(uri, str) and "://" in uri
        if not (named and uri.isascii() and uri.isprintable()):
            raise ConfigurationError(f"a key URI such as gcp-kms://... is needed: {shown(uri)}")
        if len(uri) > _MAX_URI:
            raise ConfigurationError(f"a key URI has at most {_MAX_URI} characters")
        try:
            supported = client.does_support(uri)
            aead = client.get_aead(uri) if supported else None
        except Exception as error:  # noqa: BLE001 - whatever the client's transport raises
            raise KeyServiceError(
                f"the KMS client gives no access to {shown(uri)}: {_said(error)}"
            ) from None
        if aead is None:
            raise ConfigurationError(f"this KMS client is not for {shown(uri)}: pass the right one")
        self._aead = aead
        self._uri = uri

    @property
    def key_id(self) -> str:
        """The key's URI."""
        return self._uri

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a data key.

        Raises:
            KeyServiceError: the client failed.
            ConfigurationError: key or context are not bytes or of a wrong size.
        """
        check_key(key)
        check_context(context)
        try:
            blob: object = self._aead.encrypt(key, context)
        except Exception as error:  # noqa: BLE001 - whatever the client's transport raises
            said, blob = _said(error), None
        else:
            said = "no ciphertext, or one too large"
        if isinstance(blob, bytes) and 0 < len(blob) <= MAX_BLOB_BYTES:
            return blob
        raise KeyServiceError(f"{self._uri} failed to encrypt: {said}")

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Decrypt a data key.

        Raises:
            DecryptionError: the client refused the blob.
            KeyServiceError: the connection of the client broke.
            ConfigurationError: blob or context are not bytes, or the context is too long.
        """
        check_blob(blob)
        check_context(context)
        try:
            key = self._aead.decrypt(blob, context)
        except Exception as error:  # noqa: BLE001 - whatever the client's transport raises
            refusal = self._refusal(error)
        else:
            return unwrapped(key, self._uri)
        # Out here, the client's exception is not kept as context: it may hold what was sent.
        raise refusal

    def __repr__(self) -> str:
        """Show the key's URI."""
        return f"TinkKmsWrapper({self._uri!r})"

    def _refusal(self, error: Exception) -> KeyServiceError | DecryptionError:
        causes = (error, error.__cause__, error.__context__, *error.args)
        if any(isinstance(cause, OSError) for cause in causes):
            return KeyServiceError(f"{self._uri} could not be reached: {_said(error)}")
        return DecryptionError(
            f"{self._uri} does not decrypt the blob ({_said(error)}): it was changed, wrapped "
            "under another key or with another context, or the service refused"
        )


def _said(error: Exception) -> str:
    """Return the kind of an error: its text may repeat what the client was given."""
    return type(error).__name__
