"""One text for one value: what digests and signatures of cards are over."""

import hashlib
import json

from modelsec.errors import ConfigurationError


def canonical(value: object) -> bytes:
    """Return a JSON value as bytes: keys sorted, no spaces, UTF-8, no NaN.

    Numbers are written as Python's ``repr`` writes them, so that reading and writing again gives
    the same bytes.

    Raises:
        ConfigurationError: it holds what JSON cannot say.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeError is a ValueError
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ConfigurationError(f"this cannot be written as JSON: {reason:.200}") from error


def digest_of(value: object) -> str:
    """Return the SHA-256 of a value's canonical JSON, as hex."""
    return hashlib.sha256(canonical(value)).hexdigest()
