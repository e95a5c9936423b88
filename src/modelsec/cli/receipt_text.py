"""A receipt in a few lines, safe for terminals."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelsec.errors import printable

if TYPE_CHECKING:
    from modelsec.signing import Release, Verification

_LISTED = 20
_WIDTH = 500


def receipt_text(verification: "Verification", *, as_of: str | None = None) -> str:
    """Return a receipt as text.

    Args:
        verification: the receipt.
        as_of: the time as of which validity was judged, if that was not now.
    """
    return "\n".join(_lines(verification, as_of))


def release_text(release: "Release") -> str:
    """Return which model it is, in one line."""
    said = ", ".join(f"{key} {value}" for key, value in release.to_dict().items())
    return printable(said, _WIDTH)


def _lines(verification: "Verification", as_of: str | None) -> Iterator[str]:
    count = len(verification.files)
    part = " (only these)" if verification.partial else ""
    path = printable(verification.path, _WIDTH)
    yield f"{path}: {count:,} file{'s' * (count != 1)} verified{part}"
    for who in verification.signatories:
        named = "" if who.identity is None else f" {printable(who.identity, 200)}"
        yield f"signed by    {who.method} {who.key_id} ({who.algorithm}){named}"
    yield f"tree digest  {verification.tree_digest}"
    if verification.release is not None:
        yield f"release      {release_text(verification.release)}"
    if as_of is not None:
        yield f"as of        {as_of}"
    yield f"profile      {printable(verification.profile, _WIDTH)}"
    for title, names in (("left out", verification.ignored), ("not signed", verification.unsigned)):
        for name in names[:_LISTED]:
            yield f"{title:<12} {printable(name, _WIDTH)}"
        if len(names) > _LISTED:
            yield f"{title:<12} ... and {len(names) - _LISTED:,} more (--json lists them)"
    for gap in verification.unchecked:
        yield f"not checked  {printable(gap, _WIDTH)}"
