"""Key sets: a file that lists trusted keys, so that rotation changes a file and no code."""

import tomllib
from datetime import datetime
from pathlib import Path

from modelsec.errors import BundleFormatError, ConfigurationError, shown, shown_path
from modelsec.signing.bounded_file import read_at_most
from modelsec.signing.bundles import strict_json
from modelsec.signing.keys.public_key import PublicKey
from modelsec.signing.keys.trusted_keys import TrustedKey

MAX_KEY_SET_BYTES = 4 * 1024 * 1024
_MEMBERS = ("file", "pem", "label", "not_before", "not_after", "revoked")


def read_key_set(path: str | Path) -> list[TrustedKey]:
    """Return the keys of a key set (see ``TrustedKeys.load`` for its form).

    Raises:
        ConfigurationError: it cannot be read, or has a member that is unknown: a misspelt
            ``revoked`` must not leave a key trusted.
    """
    if not isinstance(path, str | Path):
        raise ConfigurationError(f"a key set is given by its path, not by {shown(path)}")
    path = Path(path)
    where = shown_path(path)
    if path.suffix == ".pem":
        return [TrustedKey(PublicKey.load(path))]
    document = _document(path, where)
    if not isinstance(document, dict) or set(document) != {"key"}:
        raise ConfigurationError(f"{where}: a key set holds a list 'key' and nothing else")
    entries = document["key"]
    if not isinstance(entries, list) or not entries:
        raise ConfigurationError(f"{where}: 'key' must be a list of at least one table")
    return [
        _key(entry, path.parent, f"{where}, key {number}")
        for number, entry in enumerate(entries, start=1)
    ]


def _document(path: Path, where: str) -> object:
    if path.suffix not in {".toml", ".json"}:
        raise ConfigurationError(f"{where}: a key set is a .toml, .json or .pem file")
    raw = read_at_most(path, MAX_KEY_SET_BYTES)
    if raw is None:
        raise ConfigurationError(f"{where} is larger than {MAX_KEY_SET_BYTES:,} bytes")
    try:
        if path.suffix == ".json":
            return strict_json.loads(raw)
        return tomllib.loads(raw.decode())
    except (BundleFormatError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where} cannot be read: {error}") from error


def _key(entry: object, folder: Path, where: str) -> TrustedKey:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{where} must be a table, not {shown(entry)}")
    if unknown := set(entry) - set(_MEMBERS):
        raise ConfigurationError(
            f"{where} has an unknown member {shown(min(unknown))}: the members are "
            f"{', '.join(_MEMBERS)}"
        )
    try:
        return TrustedKey(
            _public(entry, folder),
            not_before=_moment(entry.get("not_before")),
            not_after=_moment(entry.get("not_after")),
            label=entry.get("label"),
            revoked=entry.get("revoked", False),
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _public(entry: dict[str, object], folder: Path) -> PublicKey:
    file, pem = entry.get("file"), entry.get("pem")
    if isinstance(file, str) and pem is None:
        return PublicKey.load(folder / file)
    if isinstance(pem, str) and file is None:
        return PublicKey.from_pem(pem)
    raise ConfigurationError("give the key either as 'file' or as 'pem', as text")


def _moment(value: object) -> datetime | None:
    """Return a time; whether it has a time zone is checked where it is used."""
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:
            raise ConfigurationError(
                f"{shown(value)} is not a time such as 2026-01-01T00:00:00Z"
            ) from error
    raise ConfigurationError(f"{shown(value)} is not a time such as 2026-01-01T00:00:00Z")
