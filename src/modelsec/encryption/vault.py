"""Wrap data keys with the transit engine of HashiCorp Vault or OpenBao."""

import hmac
import ipaddress
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from modelsec.encryption.wrapped_key import (
    MAX_BLOB_BYTES,
    MIN_KEY_BYTES,
    check_blob,
    check_context,
    check_key,
    check_timeout,
    context_digest,
    unwrapped,
)
from modelsec.errors import ConfigurationError, DecryptionError, KeyServiceError, shown

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?"
_KEY = re.compile(_NAME)
_MOUNT = re.compile(rf"{_NAME}(?:/{_NAME}){{0,8}}")
_CIPHERTEXT = re.compile(r"vault:v[1-9][0-9]{0,8}:([A-Za-z0-9+/]+={0,2})")
_VERSION = b"\x01"
_DIGEST_BYTES = 32
# What 400 may also mean when decrypting; all else is about the ciphertext.
_NOT_THE_BLOB = ("key not found", "key derivation", "non-AEAD")
_ADVICE = {
    "Forbidden": "the token is expired, or its policy does not allow it",
    "Unauthorized": "the token is not accepted",
    "InvalidPath": "no transit engine is mounted there",
    "InvalidRequest": "the key has to exist and be of a type with associated data (aes256-gcm96 "
    "or chacha20-poly1305), not derived",
    "VaultDown": "it is sealed, or down for maintenance",
    "RateLimitExceeded": "ask less often",
}


class VaultClient(Protocol):
    """What is needed of an ``hvac.Client``."""

    @property
    def url(self) -> str:
        """The address of the server."""
        ...

    @property
    def secrets(self) -> Any:  # noqa: ANN401 - hvac is untyped
        """The engines; ``transit`` is used."""
        ...


class VaultTransitWrapper:
    """Wrap data keys under a transit key, which never leaves the server.

    The key is of a type with associated data: ``aes256-gcm96`` (the default of the engine) or
    ``chacha20-poly1305``. A blob is the server's text, ``vault:v1:...``; its number is the version
    of the key. The context's SHA-256 is sent as associated data and also stands in front of the
    data key, because servers that are too old for associated data ignore it without a word.

    Args:
        key: name of the transit key.
        client: an ``hvac.Client`` of yours, with a token and timeout of yours.
        mount: where the engine is mounted.

    Raises:
        ConfigurationError: key or mount are not names.
    """

    __slots__ = ("_client", "_key", "_key_id", "_mount")

    def __init__(self, key: str, client: VaultClient, *, mount: str = "transit") -> None:
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise ConfigurationError(f"the name of a transit key cannot be {shown(key)}")
        if not isinstance(mount, str) or not _MOUNT.fullmatch(mount):
            raise ConfigurationError(f"a transit engine cannot be mounted at {shown(mount)}")
        self._key, self._mount, self._client = key, mount, client
        host = str(getattr(client, "url", "")).partition("://")[2].partition("/")[0]
        self._key_id = f"hcvault://{host.rpartition('@')[2]}/{mount}/keys/{key}"

    @classmethod
    def connect(  # noqa: PLR0913 - each is a setting of its own, all but the key by name
        cls,
        key: str,
        *,
        address: str,
        token: str,
        mount: str = "transit",
        namespace: str | None = None,
        ca_file: str | None = None,
        timeout: float = 5.0,
        unsafe_http: bool = False,
    ) -> Self:
        """Make the client, too.

        Args:
            key: name of the transit key.
            address: ``https://HOST[:PORT]``; ``http://`` only for this machine, and past proxies.
            token: the Vault token. It is not looked for anywhere, and not renewed: where tokens
                expire, pass a client of your own.
            mount: where the engine is mounted.
            namespace: the namespace, if the server has them.
            ca_file: certificates to trust instead of those of the system.
            timeout: seconds to wait for a connection, and again for an answer. Nothing is tried
                again.
            unsafe_http: accept ``http://`` to other machines: token and keys travel in the clear.

        Raises:
            ConfigurationError: hvac is missing, or one of these cannot be.
        """
        _check_address(address, unsafe_http=bool(unsafe_http))
        check_timeout(timeout)
        if (
            not isinstance(token, str)
            or not token.isascii()
            or not token.isprintable()
            or not token
        ):
            raise ConfigurationError("a Vault token is a non-empty str; it is not looked for")
        for name, value in (("namespace", namespace), ("ca_file", ca_file)):
            if value is not None and not isinstance(value, str):
                raise ConfigurationError(f"{name} must be a str or None, not {shown(value)}")
        try:
            # Here: the extra is needed by those who use Vault only.
            import hvac  # type: ignore[import-untyped] # noqa: PLC0415
        except ImportError:
            raise ConfigurationError(
                "Vault needs the package hvac: pip install 'modelsec[vault]'"
            ) from None
        client = hvac.Client(
            url=address.rstrip("/"),
            token=token,
            namespace=namespace,
            verify=ca_file or True,
            timeout=timeout,
            allow_redirects=False,  # they would carry the token along
            # A proxy of the environment would see token and keys of plain HTTP.
            proxies=None if address.lower().startswith("https:") else {"http": None, "all": None},
        )
        return cls(key, client, mount=mount)

    @property
    def key_id(self) -> str:
        """The key as a URI, without the version: ``hcvault://HOST/MOUNT/keys/NAME``."""
        return self._key_id

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a data key under the latest version of the transit key.

        Raises:
            KeyServiceError: the server could not be reached, or refused.
            ConfigurationError: key or context are not bytes or of a wrong size.
        """
        check_key(key)
        check_context(context)
        digest = context_digest(context)
        text = self._ask(
            "encrypt",
            lambda: self._client.secrets.transit.encrypt_data(
                name=self._key,
                plaintext=_text(_VERSION + digest + key),
                associated_data=_text(digest),
                mount_point=self._mount,
            ),
            "ciphertext",
        )
        if len(text) > MAX_BLOB_BYTES or not _is_ciphertext(text):
            raise KeyServiceError(f"{self.key_id} answered without a ciphertext")
        return text.encode("ascii")

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Decrypt a data key under the version of the transit key that wrapped it.

        Raises:
            DecryptionError: another key, another context, a version that is not permitted any
                more, or a blob that was changed.
            KeyServiceError: the server could not be reached, or refused.
            ConfigurationError: blob or context are not bytes, or the context is too long.
        """
        check_blob(blob)
        check_context(context)
        ciphertext = blob.decode("latin-1")
        if not _is_ciphertext(ciphertext):
            raise DecryptionError(
                f"a blob that begins with {shown(blob[:12])} was not wrapped by a transit engine: "
                "it is damaged, or another service's"
            )
        digest = context_digest(context)
        text = self._ask(
            "decrypt",
            lambda: self._client.secrets.transit.decrypt_data(
                name=self._key,
                ciphertext=ciphertext,
                associated_data=_text(digest),
                mount_point=self._mount,
            ),
            "plaintext",
        )
        return self._unpacked(text, digest)

    def rewrap(self, blob: bytes, context: bytes) -> bytes:
        """Wrap again, under the latest version of the transit key.

        The server's own ``rewrap`` does not know associated data, so the data key comes here and
        goes back: it takes both permissions, ``decrypt`` and ``encrypt``.

        Raises:
            DecryptionError: as for :meth:`unwrap`.
            KeyServiceError: the server could not be reached, or refused.
            ConfigurationError: as for :meth:`unwrap`.
        """
        return self.wrap(self.unwrap(blob, context), context)

    def __repr__(self) -> str:
        """Show the key's name."""
        return f"VaultTransitWrapper({self._key_id!r})"

    def _unpacked(self, text: str, digest: bytes) -> bytes:
        """Return the data key behind the version and the digest of its context."""
        try:
            payload = b64decode(text, validate=True)
        except ValueError:
            payload = b""
        start = len(_VERSION) + _DIGEST_BYTES
        if len(payload) < start + MIN_KEY_BYTES or not payload.startswith(_VERSION):
            raise DecryptionError(
                f"what {self.key_id} decrypted is not a wrapped data key: it was encrypted there "
                "by something else"
            )
        if not hmac.compare_digest(payload[len(_VERSION) : start], digest):
            raise DecryptionError(_other_context(self.key_id))
        return unwrapped(payload[start:], self.key_id)

    def _ask(self, operation: str, call: Callable[[], object], field: str) -> str:
        """Call the server once and return one text of its answer."""
        try:
            answer = call()
        except Exception as error:  # noqa: BLE001 - a client raises whatever its transport does
            refusal = self._refusal(operation, error)
        else:
            data = answer.get("data") if isinstance(answer, dict) else None
            text = data.get(field) if isinstance(data, dict) else None
            if isinstance(text, str):
                return text
            refusal = KeyServiceError(
                f"{self.key_id} answered without a {field}: is this the address of a Vault?"
            )
        # Out here, the client's exception is not kept as context: it may hold the request.
        raise refusal

    def _refusal(self, operation: str, error: Exception) -> KeyServiceError | DecryptionError:
        kind, text = type(error).__name__, str(error)
        blamed = operation == "decrypt" and kind == "InvalidRequest"
        if blamed and "authentication failed" in text:
            return DecryptionError(_other_context(self.key_id))
        if blamed and not any(phrase in text for phrase in _NOT_THE_BLOB):
            return DecryptionError(f"{self.key_id} does not decrypt the blob: {text!r:.200}")
        advice = _ADVICE.get(kind, "is the server there, and its certificate trusted?")
        return KeyServiceError(
            f"{self.key_id} failed to {operation}: {advice} ({kind}: {text!r:.200})"
        )


def _is_ciphertext(text: str) -> bool:
    """Return whether a text is what a server writes, and the only spelling of it.

    Servers read more than they write: version 0 as 1, and any bits in the padding.
    """
    match = _CIPHERTEXT.fullmatch(text)
    if match is None:
        return False
    try:
        return _text(b64decode(match[1], validate=True)) == match[1]
    except ValueError:
        return False


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _other_context(key_id: str) -> str:
    return (
        f"{key_id} does not decrypt the blob: it was changed, wrapped under another key, or with "
        "another context: another model, version or file name"
    )


def _check_address(address: object, *, unsafe_http: bool) -> None:
    """Refuse what is not the root of a server, or would show it the token in the clear.

    Raises:
        ConfigurationError: it is one of these.
    """
    try:
        parts = urlsplit(address) if isinstance(address, str) and address.isascii() else None
        rooted = parts and parts.hostname and (parts.port or 443) and parts.path in ("", "/")
    except ValueError:
        parts = rooted = None
    # An address with a password in it is not repeated.
    given = "" if isinstance(address, str) and "@" in address else f", not {shown(address)}"
    if parts is None or not rooted or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(
            f"the address of a Vault is https://HOST[:PORT] and nothing more{given}"
        )
    if parts.scheme == "https":
        return
    if parts.scheme != "http" or not (unsafe_http or _is_this_machine(parts.hostname or "")):
        raise ConfigurationError(
            f"the address {shown(address)} is not https://: token and keys would travel in the "
            "clear; unsafe_http=True permits http:// in a network that you trust"
        )


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
