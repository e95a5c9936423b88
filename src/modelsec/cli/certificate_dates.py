"""The dates of a signer's certificate, before it signs what no verifier would accept."""

from datetime import UTC, datetime

from modelsec.errors import ConfigurationError, shown, shown_path

_LIMIT = 8 * 1024 * 1024


def check_dates(path: str) -> None:
    """Refuse a certificate that is not valid now.

    Args:
        path: of the signer's certificate, PEM or DER.

    Raises:
        ConfigurationError: it has expired, is not valid yet, or cannot be read.
    """
    from modelsec.signing.bounded_file import read_at_most  # noqa: PLC0415 - on use
    from modelsec.signing.moments import rfc3339  # noqa: PLC0415 - on use
    from modelsec.signing.x509.facts import read_all  # noqa: PLC0415 - cryptography

    leaf, *_ = read_all(read_at_most(path, _LIMIT) or b"", where=shown_path(path))
    now = datetime.now(UTC)
    if leaf.not_before <= now <= leaf.not_after:
        return
    late = now > leaf.not_after
    said = (
        f"expired on {rfc3339(leaf.not_after)}"
        if late
        else (f"is not valid before {rfc3339(leaf.not_before)}")
    )
    raise ConfigurationError(
        f"the certificate of {shown(leaf.subject)} {said}, so that no verifier accepts what it "
        "signs now: get another one, or say --allow-expired (verifiers then need --at)"
    )
