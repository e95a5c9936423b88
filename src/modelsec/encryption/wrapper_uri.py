"""A key wrapper from one line of text, as command lines and configuration files name it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from modelsec.encryption.aws_kms import AwsKmsWrapper
from modelsec.encryption.key_file import LocalKeyWrapper
from modelsec.encryption.vault import VaultTransitWrapper
from modelsec.errors import ConfigurationError, shown
from modelsec.protocols.keys import KeyWrapper

_MAX_URI = 4_096


class _Surroundings(NamedTuple):
    """What is not in the URI."""

    environment: Mapping[str, str]
    readable_by_others: bool
    timeout: float


def wrapper_from_uri(
    uri: str,
    *,
    environment: Mapping[str, str] | None = None,
    readable_by_others: bool = False,
    timeout: float = 5.0,
) -> KeyWrapper:
    """Return the key wrapper that a URI names.

    * ``file:PATH``: a key file; the path is read literally, without escapes.
    * ``aws-kms://KEY`` (Tink) or ``awskms:///KEY`` (cosign): AWS KMS, with id, ARN or alias.
    * ``hcvault://HOST[:PORT]/MOUNT/keys/NAME`` (Tink): Vault or OpenBao over HTTPS.
    * ``hashivault://NAME`` (cosign): the same at ``VAULT_ADDR``, mounted at
      ``TRANSIT_SECRET_ENGINE_PATH`` or ``transit``.

    Args:
        uri: names service and key; it holds no secret.
        environment: where Vault's ``VAULT_TOKEN``, ``VAULT_ADDR``, ``VAULT_NAMESPACE`` and
            ``VAULT_CACERT`` are looked up, e.g. ``os.environ``; None: nowhere. boto3 reads its
            own variables in any case.
        readable_by_others: as for :meth:`LocalKeyWrapper.load`.
        timeout: seconds for each connection and answer of a service.

    Raises:
        ConfigurationError: no such scheme, a URI that names no key, a setting that is missing,
            or a key file that cannot be read.
    """
    if not isinstance(uri, str) or not 0 < len(uri) <= _MAX_URI:
        raise ConfigurationError(
            f"a key is named by a URI of up to {_MAX_URI} characters, not {shown(uri)}"
        )
    if environment is not None and not isinstance(environment, Mapping):
        raise ConfigurationError(
            f"environment must be a mapping such as os.environ, not {shown(environment)}"
        )
    scheme, colon, rest = uri.partition(":")
    make = _SCHEMES.get(scheme.lower()) if colon else None
    if make is None:
        raise ConfigurationError(
            f"{shown(uri)} is no key of ours; schemes: {', '.join(sorted(_SCHEMES))}. A key file "
            "is file:PATH; for other services pass a KeyWrapper, e.g. TinkKmsWrapper"
        )
    return make(rest, _Surroundings(environment or {}, readable_by_others, timeout))


def _key_file(rest: str, given: _Surroundings) -> KeyWrapper:
    path = rest
    if rest.startswith("//"):
        host, slash, below = rest[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise ConfigurationError(
                f"file:{shown(rest)} names another machine; a key file is file:PATH or file:///PATH"
            )
        path = f"/{below}"
    if not path:
        raise ConfigurationError("file: names no key file: write file:PATH")
    return LocalKeyWrapper.load(Path(path), readable_by_others=given.readable_by_others)


def _aws(rest: str, given: _Surroundings) -> KeyWrapper:
    return AwsKmsWrapper.connect(rest.removeprefix("//"), timeout=given.timeout)


def _aws_of_cosign(rest: str, given: _Surroundings) -> KeyWrapper:
    host, slash, key = rest.removeprefix("//").partition("/")
    if not rest.startswith("//") or host or not slash:
        raise ConfigurationError(
            f"awskms:{shown(rest)} is not awskms:///KEY; for an endpoint of your own pass "
            "AwsKmsWrapper a client"
        )
    return AwsKmsWrapper.connect(key, timeout=given.timeout)


def _vault(rest: str, given: _Surroundings) -> KeyWrapper:
    host, _, path = rest.removeprefix("//").partition("/")
    mount, keys, name = path.rpartition("/keys/")
    if not rest.startswith("//") or not host or not keys:
        raise ConfigurationError(
            f"hcvault:{shown(rest)} is not hcvault://HOST[:PORT]/MOUNT/keys/NAME"
        )
    return _connected(f"https://{host}", mount, name, given)


def _vault_of_cosign(rest: str, given: _Surroundings) -> KeyWrapper:
    if not rest.startswith("//"):
        raise ConfigurationError(f"hashivault:{shown(rest)} is not hashivault://NAME")
    address = _required(given, "VAULT_ADDR", "the address of the server")
    mount = given.environment.get("TRANSIT_SECRET_ENGINE_PATH") or "transit"
    return _connected(address, mount, rest[2:], given)


def _connected(address: str, mount: str, name: str, given: _Surroundings) -> KeyWrapper:
    return VaultTransitWrapper.connect(
        name,
        address=address,
        token=_required(given, "VAULT_TOKEN", "a token"),
        mount=mount,
        namespace=given.environment.get("VAULT_NAMESPACE") or None,
        ca_file=given.environment.get("VAULT_CACERT") or None,
        timeout=given.timeout,
    )


def _required(given: _Surroundings, variable: str, what: str) -> str:
    value = given.environment.get(variable)
    if not value:
        raise ConfigurationError(f"Vault needs {what}: set {variable}")
    return value


_SCHEMES: Mapping[str, Callable[[str, _Surroundings], KeyWrapper]] = {
    "file": _key_file,
    "aws-kms": _aws,
    "awskms": _aws_of_cosign,
    "hcvault": _vault,
    "hashivault": _vault_of_cosign,
}
