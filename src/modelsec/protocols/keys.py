"""Who holds the key that encrypts the keys of models: one small protocol."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class KeyWrapper(Protocol):
    """Encrypt and decrypt the data key of a model under a key that stays where it is.

    A key file, AWS KMS and Vault are behind one of these, and so is whatever else can
    authenticate what it decrypts. :func:`modelsec.testing.check_key_wrapper` holds an
    implementation to this contract.

    Keys are ``bytes`` of 16 to 512 bytes, contexts ``bytes`` of 0 to 65,536 bytes, anything else
    is a ``ConfigurationError``. No key may show in an exception, a log line or a ``repr``.
    """

    @property
    def key_id(self) -> str:
        """Name of the wrapping key, for people and logs: stable, printable, not secret."""
        ...

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return ``key`` encrypted and authenticated, together with ``context``.

        Args:
            key: the data key.
            context: associated data; it is not part of the result, and has to be told again.

        Returns:
            A blob of at most 8,192 bytes, safe to store beside what the key encrypts.

        Raises:
            KeyServiceError: the service that holds the wrapping key failed or refused.
            ConfigurationError: key or context are not what they have to be.
        """
        ...

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Return the key that :meth:`wrap` was given.

        Args:
            blob: what ``wrap`` returned; hostile until it has been authenticated.
            context: exactly the context that ``wrap`` was given.

        Raises:
            DecryptionError: another wrapping key, another context, or a blob that was changed.
            KeyServiceError: the service failed, or refused without saying that it is for the
                blob; the blob may be right.
            ConfigurationError: blob or context are not bytes, or the context is too long.
        """
        ...
