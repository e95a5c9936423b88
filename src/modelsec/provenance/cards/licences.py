"""Which licence is meant: SPDX expressions, and the names that only model hubs know.

The list of SPDX ids is that of the ``packaging`` distribution, which keeps it up to date; the
list of the Hub's identifiers is its documentation's (Hub documentation, "Licenses").
"""

from dataclasses import dataclass

from modelsec.errors import ConfigurationError, shown

_LONGEST = 300

HUB_ONLY = frozenset(
    (
        *("openrail", "openrail++", "bigscience-openrail-m", "creativeml-openrail-m"),
        *("bigscience-bloom-rail-1.0", "bigcode-openrail-m", "deepfloyd-if-license"),
        *("llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "gemma"),
        *("apple-ascl", "apple-amlr", "intel-research", "h-research", "lgpl-lr"),
        *("bsd", "cc", "gfdl", "gpl", "lgpl", "c-uda", "odbl", "odc-by", "pddl"),
        *("unknown", "other"),
    )
)
"""Identifiers of the Hub that are no SPDX ids: model licences and whole families."""

_HUB_SPDX = frozenset(
    (
        *("apache-2.0", "mit", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd-2-clause"),
        *("bsd-3-clause", "bsd-3-clause-clear", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0"),
        *("cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0"),
        *("cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
        *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0"),
        *("cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0"),
        *("etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0", "gpl-2.0", "gpl-3.0", "lgpl-2.1"),
        *("lgpl-3.0", "isc", "lppl-1.3c", "ms-pl", "mpl-2.0", "osl-3.0", "postgresql"),
        *("ofl-1.1", "ncsa", "unlicense", "zlib"),
    )
)
_FAMILY = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl", "c-uda-1.0": "c-uda"}


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence by its name.

    Attributes:
        name: the canonical SPDX expression, or the Hub's identifier.
        spdx: it is an SPDX expression.
        hub: what the Hub calls it; ``other`` if it has no name for it.
    """

    name: str
    spdx: bool
    hub: str


def read_licence(text: str) -> Licence:
    """Say which licence is meant, without the network.

    Raises:
        ConfigurationError: it is neither an SPDX expression nor an identifier of the Hub, or the
            extra is not installed.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"a licence is named by text, not by {shown(text)}")
    name = text.strip()
    if name.lower() in HUB_ONLY:
        return Licence(name.lower(), spdx=False, hub=name.lower())
    expression = _spdx(name)
    if expression is None:
        raise ConfigurationError(
            f"{shown(text)} is no licence that SPDX or the Hub lists; write an SPDX expression "
            "such as Apache-2.0, or LicenseRef-<name> for a licence of your own"
        )
    known = expression.lower().removesuffix("-only")
    known = _FAMILY.get(known, known)
    listed = known in _HUB_SPDX or known in HUB_ONLY
    return Licence(expression, spdx=True, hub=known if listed else "other")


def _spdx(text: str) -> str | None:
    try:
        from packaging.licenses import (  # noqa: PLC0415 - an extra, and seldom needed
            InvalidLicenseExpression,
            canonicalize_license_expression,
        )
    except ImportError as error:
        raise ConfigurationError(
            "checking a licence needs: pip install 'modelsec[card]'"
        ) from error
    if not text or len(text) > _LONGEST or not text.isascii() or not text.isprintable():
        return None
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return None
