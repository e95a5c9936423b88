"""Wrap data keys with AWS KMS: the wrapping key never leaves the service."""

import re
from typing import Protocol, Self

from modelsec.encryption.wrapped_key import (
    MAX_BLOB_BYTES,
    check_blob,
    check_context,
    check_key,
    check_timeout,
    context_digest,
    unwrapped,
)
from modelsec.errors import ConfigurationError, DecryptionError, KeyServiceError, shown

_KEY = re.compile(
    r"(?:arn:[a-z0-9-]+:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:)?"
    r"(?:(?:key/)?(?P<id>[A-Za-z0-9-]{1,64})|alias/[A-Za-z0-9/_-]{1,250})"
)
_WRONG_CIPHERTEXT = {
    "InvalidCiphertextException": "the blob was changed, wrapped elsewhere, or with another "
    "context: another model, version or file name",
    "IncorrectKeyException": "the blob was wrapped under another key; name that one (an alias "
    "may point to a new key since)",
}
_ADVICE = {
    "AccessDeniedException": "allow kms:Encrypt (to wrap) or kms:Decrypt (to unwrap) on the key; "
    "KMS says the same of a blob that was wrapped under a key which is not there",
    "NotFoundException": "check the key, the account and the region",
    "DisabledException": "enable the key in KMS",
    "KMSInvalidStateException": "the key is pending deletion, pending import or not available",
    "NoCredentialsError": "give credentials the way boto3 looks for them",
    "NoRegionError": "name the region, or the key by its ARN",
}
_ATTEMPTS = 3


class KmsClient(Protocol):
    """The two calls of ``boto3.client("kms")`` that are needed."""

    def encrypt(self, **request: object) -> object:
        """Call ``Encrypt``."""
        ...

    def decrypt(self, **request: object) -> object:
        """Call ``Decrypt``."""
        ...


class AwsKmsWrapper:
    """Wrap data keys under a symmetric KMS key.

    The SHA-256 of the context becomes the encryption context ``{"modelsec": <hex>}``, which KMS
    authenticates and CloudTrail records; key policies can require it. Unwrapping names the key,
    so that KMS does not pick whichever one a hostile blob asks for.

    Args:
        key: key id, key ARN, ``alias/NAME`` or alias ARN.
        client: a ``boto3.client("kms")`` of yours, with timeouts and retries of yours.

    Raises:
        ConfigurationError: the key is not named in one of these ways.
    """

    __slots__ = ("_client", "_key", "_pinned")

    def __init__(self, key: str, client: KmsClient) -> None:
        match = _named(key)
        self._key = key
        self._client = client
        self._pinned = match["id"]

    @classmethod
    def connect(
        cls,
        key: str,
        *,
        region: str | None = None,
        profile: str | None = None,
        timeout: float = 5.0,
    ) -> Self:
        """Make the client, too; it finds its credentials where every boto3 client does.

        Args:
            key: as for the class; an ARN also tells the region.
            region: the key's region; None: that of the ARN, or what boto3 is configured with.
            profile: a profile of the shared configuration files.
            timeout: seconds to wait for a connection, and again for an answer, three times at
                most.

        Raises:
            ConfigurationError: boto3 is missing, the key or timeout cannot be, no region is
                known, or there is no such profile.
        """
        for what, value in (("region", region), ("profile", profile)):
            if value is not None and not isinstance(value, str):
                raise ConfigurationError(f"{what} must be a str or None, not {shown(value)}")
        region = region or _named(key)["region"]
        check_timeout(timeout)
        try:
            # Here: the extra is needed by those who use KMS only.
            from boto3.session import Session  # type: ignore[import-untyped] # noqa: PLC0415
            from botocore.config import Config  # type: ignore[import-untyped] # noqa: PLC0415
            from botocore.exceptions import (  # type: ignore[import-untyped] # noqa: PLC0415
                BotoCoreError,
            )
        except ImportError:
            raise ConfigurationError(
                "AWS KMS needs the package boto3: pip install 'modelsec[aws]'"
            ) from None
        config = Config(
            connect_timeout=timeout,
            read_timeout=timeout,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        )
        try:
            session = Session(profile_name=profile, region_name=region)
            client = session.client("kms", config=config)
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationError(
                f"cannot make a client for AWS KMS: {str(error)!r:.200}; name the region (or the "
                "key by its ARN) and an existing profile"
            ) from error
        return cls(key, client)

    @property
    def key_id(self) -> str:
        """The key as a URI: ``aws-kms://`` and how it was named."""
        return f"aws-kms://{self._key}"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a data key with ``kms:Encrypt``.

        Raises:
            KeyServiceError: KMS could not be reached, or refused.
            ConfigurationError: key or context are not bytes or of a wrong size.
        """
        check_key(key)
        check_context(context)
        blob = self._ask("encrypt", {"Plaintext": key}, context).get("CiphertextBlob")
        if not isinstance(blob, bytes) or not 0 < len(blob) <= MAX_BLOB_BYTES:
            raise KeyServiceError(f"{self.key_id} answered without a ciphertext")
        return blob

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Decrypt a data key with ``kms:Decrypt``.

        Raises:
            DecryptionError: another key, another context, or a blob that was changed.
            KeyServiceError: KMS could not be reached, or refused. "Access denied" may be about the
                blob, too: KMS does not say whether the key that it names exists.
            ConfigurationError: blob or context are not bytes, or the context is too long.
        """
        check_blob(blob)
        check_context(context)
        answer = self._ask("decrypt", {"CiphertextBlob": blob}, context)
        used = answer.get("KeyId")
        if self._pinned and not (isinstance(used, str) and used.endswith(f"/{self._pinned}")):
            raise DecryptionError(
                f"{self.key_id} was asked, but another key decrypted: {shown(used)}"
            )
        return unwrapped(answer.get("Plaintext"), self.key_id)

    def __repr__(self) -> str:
        """Show the key's name."""
        return f"AwsKmsWrapper({self._key!r})"

    def _ask(self, operation: str, payload: dict[str, bytes], context: bytes) -> dict[str, object]:
        """Call KMS once and return its answer."""
        call = self._client.encrypt if operation == "encrypt" else self._client.decrypt
        try:
            answer = call(
                KeyId=self._key,
                EncryptionContext={"modelsec": context_digest(context).hex()},
                **payload,
            )
        except Exception as error:  # noqa: BLE001 - a client raises whatever its transport does
            refusal = self._refusal(operation, error)
        else:
            if isinstance(answer, dict):
                return answer
            refusal = KeyServiceError(f"{self.key_id} answered with a {type(answer).__name__}")
        # Out here, the client's exception is not kept as context: it may hold the request.
        raise refusal

    def _refusal(self, operation: str, error: Exception) -> KeyServiceError | DecryptionError:
        code = _code(error)
        if operation == "decrypt" and code in _WRONG_CIPHERTEXT:
            return DecryptionError(
                f"{self.key_id} cannot decrypt ({code}): {_WRONG_CIPHERTEXT[code]}"
            )
        return KeyServiceError(
            f"{self.key_id} failed to {operation} ({code}): "
            f"{_ADVICE.get(code, 'try again; if it stays, see the status of KMS')}"
        )


def _named(key: object) -> re.Match[str]:
    match = _KEY.fullmatch(key) if isinstance(key, str) else None
    if match is None:
        raise ConfigurationError(
            "a KMS key is named by its id, its ARN, alias/NAME or the ARN of an alias, "
            f"not {shown(key)}"
        )
    return match


def _code(error: Exception) -> str:
    """Return KMS's error code, or the name of the exception if it has none."""
    response = getattr(error, "response", None)
    details = response.get("Error") if isinstance(response, dict) else None
    code = details.get("Code") if isinstance(details, dict) else None
    return code[:60] if isinstance(code, str) else type(error).__name__
